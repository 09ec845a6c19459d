/**
 * The dry pass of APPLY MAILBOX (sync-protocol.md 5.5): what a place refuses of a request, and
 * what is to be done for each of its records. Nothing is changed here.
 */
import { hasBit, INTERNAL_FLAG } from "../../formats/cyrus/index/index_flags.ts";
import { flawOfMailbox, flawOfRecord } from "../../model/flaws.ts";
import { type Guid, NULL_GUID } from "../../model/guid.ts";
import type { MailboxState, Since } from "../../model/mailbox.ts";
import type { MailRecord } from "../../model/record.ts";
import { refusal } from "../../model/refusal.ts";
import type { AnnotVariant } from "../../model/sync_crc.ts";
import type { MailboxImage } from "../mailbox_image.ts";

export interface MailboxUpdate {
  readonly state: MailboxState;
  /** Ascending by UID. */
  readonly records: readonly MailRecord[];
  readonly since?: Since;
  /** Take it although the place's mailbox is ahead in something, or is another one of that name. */
  readonly force?: boolean;
}

/** The same without its records. */
export type Incoming = Omit<MailboxUpdate, "records">;

/** What the place could not give back as it came is refused. */
export function requireSound({ state, records }: MailboxUpdate): void {
  const requireNone = (flaw: string | undefined) => {
    if (flaw !== undefined) throw refusal("badParameters", flaw);
  };
  requireNone(flawOfMailbox(state));
  for (const record of records) requireNone(flawOfRecord(record, state.name));
}

/** What the peer takes for the state of the place's mailbox must hold, with FORCE too. */
export function requireSince({ state, since }: Incoming, image: MailboxImage): void {
  if (since === undefined || since.modseq === 0n) return;
  const { header } = image.index;
  const { modseq, crc = 0, crcAnnot = 0 } = since;
  const holds =
    modseq === header.highestmodseq &&
    (crc === 0 || header.syncCrc === 0 || crc === header.syncCrc) &&
    (crcAnnot === 0 || image.fittingVariant(crcAnnot) !== undefined);
  if (!holds) throw refusal("changed", `Mailbox ${state.name} has changed since modseq ${modseq}`);
}

/** The place's mailbox, whose XCONVMODSEQ is `ours`, must not be ahead of the peer's. */
export function requireNotAhead({ state }: Incoming, image: MailboxImage, ours = 0n): void {
  const { header } = image.index;
  const { xconvmodseq } = state;
  const ahead = [
    { what: "highestmodseq", here: header.highestmodseq, there: state.highestmodseq },
    { what: "uidvalidity", here: header.uidvalidity, there: state.uidvalidity },
    { what: "last uid", here: header.lastUid, there: state.lastUid },
    { what: "xconvmodseq", here: ours, there: xconvmodseq ?? ours },
  ].find(({ here, there }) => here > there);
  if (ahead === undefined) return;
  throw refusal(
    "checksum",
    `Mailbox ${state.name}: ${ahead.what} is ${ahead.here}, over ${ahead.there}`,
  );
}

/** What is to be done for one record of the request. */
export type PlannedRecord<Message> =
  | { readonly kind: "update"; readonly number: number; readonly record: MailRecord }
  | {
      readonly kind: "append";
      readonly record: MailRecord;
      readonly staged: Message | undefined;
    };

/** Gives the message of a GUID that was sent or reserved. */
export type FindMessage<Message> = (guid: Guid) => Message | undefined;

/**
 * Each record must be possible before anything is changed. Of records that come in parts, `after`
 * is the last UID of the part before.
 */
export function planRecords<Message>(
  update: MailboxUpdate & { readonly after?: number },
  image: MailboxImage,
  find: FindMessage<Message>,
): PlannedRecord<Message>[] {
  const { index } = image;
  const { lastUid } = index.header;
  const planned: PlannedRecord<Message>[] = [];
  const { name, lastUid: mostUid, highestmodseq } = update.state;
  let previous = update.after ?? 0;
  for (const record of update.records) {
    const { uid, modseq } = record;
    if (uid <= previous) {
      throw refusal("badParameters", `Mailbox ${name}: UID ${uid} after ${previous}`);
    }
    if (uid > mostUid) {
      throw refusal("badParameters", `Mailbox ${name}: UID ${uid} over LAST_UID ${mostUid}`);
    }
    if (modseq > highestmodseq) {
      const what = `UID ${uid} has modseq ${modseq}, over HIGHESTMODSEQ ${highestmodseq}`;
      throw refusal("badParameters", `Mailbox ${name}: ${what}`);
    }
    previous = uid;
    const number = index.find(uid);
    if (number !== undefined) {
      if (mayUpdate(record, image, { number, update }))
        planned.push({ kind: "update", number, record });
    } else if (uid > lastUid) {
      planned.push({ kind: "append", record, staged: stagedFor(record, update, find) });
    } else if (!record.expunged) {
      throw refusal("checksum", `Mailbox ${name}: UID ${uid} is not here, ${lastUid} was`);
    }
  }
  return planned;
}

/** False for a record that is expunged at both sides: there is nothing to do. */
function mayUpdate(
  record: MailRecord,
  image: MailboxImage,
  { number, update }: { readonly number: number; readonly update: MailboxUpdate },
): boolean {
  const ours = image.index.record(number);
  const gone = hasBit(ours.systemFlags, INTERNAL_FLAG.expunged);
  if (gone && record.expunged) return false;
  const where = `Mailbox ${update.state.name}: UID ${record.uid}`;
  if (ours.guid !== record.guid)
    throw refusal("checksum", `${where} is ${ours.guid}, not ${record.guid}`);
  // Also with FORCE, of which Cyrus dies here: no message's modseq may ever go back.
  if (ours.modseq > record.modseq) {
    throw refusal("checksum", `${where} has modseq ${ours.modseq}, over ${record.modseq}`);
  }
  if (gone) throw refusal("checksum", `${where} is expunged here`);
  return true;
}

/** The staged message of a new record; none is needed for one that is expunged already. */
function stagedFor<Message>(
  record: MailRecord,
  update: MailboxUpdate,
  find: FindMessage<Message>,
): Message | undefined {
  const where = `Mailbox ${update.state.name}: UID ${record.uid}`;
  if (record.guid === NULL_GUID) throw refusal("badParameters", `${where} has no GUID`);
  if (record.internaldate === 0) throw refusal("badParameters", `${where} has no internaldate`);
  const staged = find(record.guid);
  if (staged !== undefined || record.expunged) return staged;
  const why = "was neither sent nor reserved: its file may be damaged or missing at the sender";
  throw refusal("checksum", `${where}: message ${record.guid} ${why}`);
}

/**
 * The sums must come out as the peer's. Returns the form of the peer's SYNC_CRC_ANNOT
 * where it is not that of the folder.
 */
export function agree(update: Incoming, image: MailboxImage): AnnotVariant | undefined {
  const { header } = image.index;
  const { name, syncCrc = 0, syncCrcAnnot = 0 } = update.state;
  if (syncCrc !== 0 && header.syncCrc !== 0 && syncCrc !== header.syncCrc) {
    throw refusal(
      "checksum",
      `Mailbox ${name}: SYNC_CRC would be ${header.syncCrc}, not ${syncCrc}`,
    );
  }
  if (syncCrcAnnot === 0 || syncCrcAnnot === header.syncCrcAnnot) return undefined;
  const variant = image.fittingVariant(syncCrcAnnot);
  if (variant !== undefined) return variant;
  throw refusal(
    "checksum",
    `Mailbox ${name}: SYNC_CRC_ANNOT would be ${header.syncCrcAnnot}, not ${syncCrcAnnot}`,
  );
}
