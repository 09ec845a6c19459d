/**
 * The annotation checksum of a peer whose release computes it otherwise: kept along, and never
 * believed when stale.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { ANNOT_VARIANTS } from "../../../src/model/sync_crc.ts";
import { mailboxByName } from "../../../src/places/store/catalogue/mailbox_rows.ts";
import type { Store } from "../../../src/places/store/store.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { readState } from "../../../src/places/store/stored_mailbox.ts";
import { newStore } from "../../support/new_store.ts";
import { granted } from "../../support/places.ts";
import { randomOf } from "../../support/spool/random.ts";
import { apply, message, peerCrcs, record, stateOf } from "../../support/store_fixture.ts";

const INBOX = "user.fred";
const OTHERS = ANNOT_VARIANTS.slice(1);

function bring(
  store: Store,
  variant: (typeof ANNOT_VARIANTS)[number],
  all: readonly MailRecord[],
  sent = all,
) {
  const state = { ...stateOf(INBOX, all), ...peerCrcs(all, variant) };
  apply(
    store,
    { state, records: sent },
    sent.map(({ uid }) => message(uid)),
  );
  return state;
}

function rowIn(store: Store) {
  const folder = store.find({ kind: "user", userid: "fred" });
  const row = folder?.read((database) => mailboxByName(database, INBOX));
  if (folder === undefined || row === undefined) throw new Error("no INBOX");
  return { folder, row };
}

function stateIn(store: Store) {
  const { folder, row } = rowIn(store);
  return readState(folder, row);
}

describe("SYNC_CRC_ANNOT of a peer of another release", () => {
  test.each(OTHERS)("$name: is right after every change", (variant) => {
    const { store } = newStore();
    const { next } = randomOf(7);
    let records = [1, 2, 3, 4].map((uid) => record(uid, { cid: BigInt(uid) }));
    bring(store, variant, records);
    for (let round = 0; round < 25; round++) {
      const modseq = BigInt(100 + round);
      const uid = 1 + Math.floor(next() * (records.length + 1));
      const old = records.find((one) => one.uid === uid);
      const cid = BigInt(Math.floor(next() * 1000));
      const changed =
        old === undefined || old.expunged
          ? record(records.length + 1, { cid, modseq })
          : { ...old, modseq, cid, expunged: next() < 0.2 };
      records = [...records.filter((one) => one.uid !== changed.uid), changed].sort(
        (left, right) => left.uid - right.uid,
      );
      const state = bring(store, variant, records, [changed]);
      expect(stateIn(store)?.syncCrcAnnot).toBe(state.syncCrcAnnot);
      expect(rowIn(store).row.annotCrc?.crc).toBe(state.syncCrcAnnot);
    }
  });

  test.each(OTHERS)("$name: asking for it and changing one record read no other", (variant) => {
    const { root, store } = newStore();
    const records = [1, 2, 3, 4].map((uid) => record(uid, { cid: BigInt(uid) }));
    const state = bring(store, variant, records);
    // A record that nobody has to read is damaged.
    const { uniqueid } = stateOf(INBOX, []);
    const path = join(root, "user/f/fred", uniqueid, "cyrus.index");
    const bytes = readFileSync(path);
    bytes[160 + 104 + 40] = 1 ^ (bytes[160 + 104 + 40] ?? 0);
    writeFileSync(path, bytes);
    expect(stateIn(store)?.syncCrcAnnot).toBe(state.syncCrcAnnot);
    const changed = record(4, { cid: 99n, modseq: 50n });
    const after = [...records.slice(0, 3), changed];
    const next = { ...stateOf(INBOX, after), ...peerCrcs(after, variant) };
    const { highestmodseq: modseq, syncCrc: crc = 0, syncCrcAnnot: crcAnnot = 0 } = state;
    apply(store, { state: next, records: [changed], since: { modseq, crc, crcAnnot } });
    expect(stateIn(store)?.syncCrcAnnot).toBe(next.syncCrcAnnot);
  });

  test.each(OTHERS)(
    "$name: a change that did not keep it makes it be added up anew",
    async (variant) => {
      const { root, store } = newStore();
      const records = [1, 2, 3].map((uid) => record(uid, { cid: BigInt(uid) }));
      bring(store, variant, records);
      store.close();
      const place = openStorePlace(root);
      const session = await place.openSession();
      const { uniqueid } = stateOf(INBOX, []);
      granted(await session.apply({ kind: "expunge", name: INBOX, uniqueid, uids: [2] }));
      const left = records.map((one) => (one.uid === 2 ? { ...one, expunged: true } : one));
      const expected = peerCrcs(left, variant).syncCrcAnnot;
      expect(granted(await place.mailboxes([INBOX]))[0]?.syncCrcAnnot).toBe(expected);
      expect(granted(await place.readMailbox(INBOX)).state.syncCrcAnnot).toBe(expected);
      // And the next APPLY keeps it again.
      const last = record(4, { cid: 4n, modseq: 60n });
      const state = { ...stateOf(INBOX, [...left, last]), ...peerCrcs([...left, last], variant) };
      const writer = session.stage({ partition: "default", guid: last.guid, size: last.size });
      await writer.write(message(4));
      await writer.end();
      granted(await session.flush());
      granted(await session.apply({ kind: "mailbox", state, records: recordsOf([last]) }));
      expect(granted(await place.mailboxes([INBOX]))[0]?.syncCrcAnnot).toBe(state.syncCrcAnnot);
      await session.close();
      await place.close();
    },
  );
});
