/** Mail for a store, and the requests a peer would make of it. All of it is deterministic. */
import { createHash } from "node:crypto";
import { utf8 } from "../../src/core/bytes.ts";
import type { MailboxUpdate } from "../../src/mailbox/update/update_rules.ts";
import type { MailboxState } from "../../src/model/mailbox.ts";
import { ownerKey, parseName, useridOf } from "../../src/model/names.ts";
import { allAnnotations, type MailRecord, NO_VIRTUAL_FIELDS } from "../../src/model/record.ts";
import {
  ANNOT_VARIANTS,
  annotationCrc,
  basicRecordCrc,
  flagsCrc,
} from "../../src/model/sync_crc.ts";
import { applyMailbox } from "../../src/places/store/commit/mailbox_update.ts";

import type { Staging } from "../../src/places/store/messages/staging.ts";
import type { Store } from "../../src/places/store/store.ts";

export const NOW = 1_800_000_000;

/** A message by number: always the same bytes. */
export function message(number: number, bodyBytes = 40): Uint8Array {
  const body = "x".repeat(bodyBytes);
  return utf8(`From: <a@example.com>\r\nSubject: message ${number}\r\n\r\n${body} ${number}\r\n`);
}

export function guidOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

/** A record of message `number` under UID `uid`. */
export function record(uid: number, change: Partial<MailRecord> = {}, number = uid): MailRecord {
  const bytes = message(number);
  return {
    ...NO_VIRTUAL_FIELDS,
    ...{ uid, modseq: BigInt(uid + 1), lastUpdated: NOW + uid, flags: [], expunged: false },
    ...{ internaldate: NOW - 1000 + uid, size: bytes.length, guid: guidOf(bytes), annotations: [] },
    savedate: NOW,
    createdmodseq: BigInt(uid + 1),
    ...change,
  };
}

/** SYNC_CRC and SYNC_CRC_ANNOT of records as a peer computes them, added up from nothing. */
export function peerCrcs(
  records: readonly MailRecord[],
  variant = ANNOT_VARIANTS[0] as (typeof ANNOT_VARIANTS)[number],
): { syncCrc: number; syncCrcAnnot: number } {
  let syncCrc = 0;
  let syncCrcAnnot: number = variant.init;
  for (const one of records.filter((record) => !record.expunged)) {
    syncCrc ^= basicRecordCrc(one, flagsCrc(one.flags));
    for (const annotation of allAnnotations(one)) {
      const isThrid = annotation.entry.endsWith("/thrid") && variant.thrid === "short";
      const value = isThrid ? utf8(one.cid.toString(16)) : annotation.value;
      const userid = annotation.userid ?? undefined;
      syncCrcAnnot ^= annotationCrc(one.uid, { entry: annotation.entry, userid, value }, variant);
    }
  }
  return { syncCrc: syncCrc >>> 0, syncCrcAnnot: syncCrcAnnot >>> 0 };
}

/** The state a peer sends whose mailbox holds exactly `records`. */
export function stateOf(
  name: string,
  records: readonly MailRecord[],
  change: Partial<MailboxState> = {},
): MailboxState {
  const userid = useridOf(name) ?? "anyone";
  return {
    uniqueid: `id-${createHash("sha1").update(name).digest("hex").slice(0, 16)}`,
    name,
    ...peerCrcs(records),
    lastUid: records.reduce((most, { uid }) => Math.max(most, uid), 0),
    highestmodseq: records.reduce((most, { modseq }) => (modseq > most ? modseq : most), 1n),
    ...{ recentUid: 0, recentTime: 0, lastAppenddate: NOW, pop3LastLogin: 0, pop3ShowAfter: 0 },
    uidvalidity: NOW,
    partition: "default",
    acl: `${userid}\tlrswipkxtecdan\t`,
    options: "",
    createdmodseq: 1n,
    foldermodseq: 1n,
    annotations: [],
    ...change,
  };
}

/** Applies `update`, staging the messages of its records first: `record` uses message `uid`. */
export function apply(
  store: Store,
  update: MailboxUpdate,
  messages: readonly Uint8Array[] = [],
): void {
  const staging = store.stage();
  try {
    for (const bytes of messages) stageWhole(staging, bytes);
    applyStaged(store, update, staging);
  } finally {
    staging.close();
  }
}

/** Stages a message, under its own GUID if no other is given. */
export function stageWhole(staging: Staging, bytes: Uint8Array, guid = guidOf(bytes)): void {
  const writer = staging.begin(guid);
  try {
    writer.write(bytes);
    writer.end();
  } catch (error) {
    writer.abort();
    throw error;
  }
}

export function applyStaged(store: Store, update: MailboxUpdate, staging: Staging): void {
  const { owner } = parseName(update.state.name);
  applyMailbox(update, {
    folder: store.make(owner),
    staging,
    claim: (uniqueid) => {
      const holder = store.claim(uniqueid, owner);
      return holder === undefined ? undefined : ownerKey(holder);
    },
    indexVersion: store.settings.indexVersion,
    userFlags: store.limits.userFlags,
    now: store.now(),
  });
}

/** Makes mailbox `name` hold messages 1 to `count`. */
export function fill(store: Store, name: string, count: number): MailRecord[] {
  const records = Array.from({ length: count }, (_, at) => record(at + 1));
  apply(
    store,
    { state: stateOf(name, records), records },
    records.map(({ uid }) => message(uid)),
  );
  return records;
}
