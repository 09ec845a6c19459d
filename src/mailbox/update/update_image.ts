/** What an APPLY MAILBOX that has passed its rules (update_rules.ts) makes of a mailbox's image. */
import { BLANK_HEADER_FILE } from "../../formats/cyrus/header_file.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Arrived, keptRecord, newRecord, optionBits, updatedRecord } from "../mail_record.ts";
import { MailboxImage } from "../mailbox_image.ts";
import { storedForm } from "../owner_image.ts";
import type { Incoming, MailboxUpdate, PlannedRecord } from "./update_rules.ts";

export interface NewImage {
  readonly owner: Owner;
  readonly indexVersion: number;
}

/** The mailbox of `state`, still without messages. */
export function newImage(state: MailboxState, { owner, indexVersion }: NewImage): MailboxImage {
  const { uniqueid, uidvalidity, deletedmodseq = 0n } = state;
  const header = {
    ...BLANK_HEADER_FILE,
    type: state.type ?? "e",
    name: state.name,
    acl: state.acl ?? "",
    quotaroot: state.quotaroot,
    jmapid: state.jmapid,
  };
  return MailboxImage.make(
    { uniqueid, indexVersion, header, index: { uidvalidity, deletedmodseq } },
    storedForm(owner, indexVersion),
  );
}

export interface RecordOptions {
  readonly owner: Owner;
  /** User flags that a mailbox has room for. */
  readonly userFlags: number;
}

/** Puts the planned records into `image`, and makes the keywords of `update` known to it. */
export function putRecords(
  update: MailboxUpdate,
  planned: readonly PlannedRecord<{ readonly facts: Arrived }>[],
  { image, ...options }: RecordOptions & { readonly image: MailboxImage },
): void {
  const indexVersion = image.index.table.version;
  const { owner } = storedForm(options.owner, indexVersion);
  const slotOf = (name: string): number => image.header.flagSlot(name, options.userFlags);
  for (const name of update.state.userflags ?? []) slotOf(name);
  const records = planned.map((step) => {
    const { record, annotations } = keptRecord(step.record, { indexVersion, owner });
    const next =
      step.kind === "update"
        ? updatedRecord(image.index.record(step.number), record, slotOf)
        : newRecord(record, step.staged?.facts, slotOf);
    return { record: next, annotations };
  });
  image.put(records);
  const expunged = update.records.filter((record) => record.expunged);
  const times = [image.index.header.firstExpunged, ...expunged.map((record) => record.lastUpdated)]
    .filter((time) => time !== 0)
    .sort((left, right) => left - right);
  image.index.setHeader({ firstExpunged: times[0] ?? 0 });
}

/** Sets the fields of the index header and of cyrus.header, in memory. */
export function setMailbox({ state }: Incoming, image: MailboxImage): void {
  const { index } = image;
  index.setHeader({
    lastUid: state.lastUid,
    highestmodseq: state.highestmodseq,
    recentuid: state.recentUid,
    recenttime: state.recentTime,
    lastAppenddate: state.lastAppenddate ?? index.header.lastAppenddate,
    pop3LastLogin: state.pop3LastLogin,
    pop3ShowAfter: state.pop3ShowAfter ?? 0,
    createdmodseq: state.createdmodseq ?? 0n,
    options: ((index.header.options & 0xe000_0000) | optionBits(state.options)) >>> 0,
    uidvalidity: state.uidvalidity,
  });
  const { acl, quotaroot, jmapid } = state;
  const before = image.header.file;
  const changed =
    before.acl !== (acl ?? "") || before.quotaroot !== quotaroot || before.jmapid !== jmapid;
  if (changed) image.header.set({ acl: acl ?? "", quotaroot, jmapid });
}
