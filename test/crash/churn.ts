/**
 * A writer that never stops, to be killed at any time:
 *
 *     bun test/crash/churn.ts ROOT MAILBOX
 *
 * Appends message after message, and says `ack UID` when the store has promised it.
 */
import { writeSync } from "node:fs";
import { mailboxByName } from "../../src/places/store/catalogue/mailbox_rows.ts";
import { openImage } from "../../src/places/store/commit/open_mailbox.ts";
import { Store } from "../../src/places/store/store.ts";
import { whileBusy } from "../../src/storage/retry.ts";
import { apply, message, NOW, record, stateOf } from "../support/store_fixture.ts";

const [root = "", name = ""] = process.argv.slice(2);
const store = new Store(root, { now: () => NOW });
const folder = await whileBusy(() => store.make({ kind: "user", userid: "fred" }));
const count = await whileBusy(() => {
  const row = folder.read((database) => mailboxByName(database, name));
  return row === undefined ? 0 : openImage(folder, row).index.count;
});
/** The first messages are the test's; the others have what only cyrus.annotations can keep. */
const recordOf = (uid: number) =>
  record(uid, uid <= 3 ? {} : { internaldateNsec: uid, basecid: BigInt(uid) });
const records = Array.from({ length: count }, (_, at) => recordOf(at + 1));
for (;;) {
  const next = recordOf(records.length + 1);
  records.push(next);
  const state = stateOf(name, records);
  await whileBusy(() => apply(store, { state, records: [next] }, [message(next.uid)]));
  writeSync(1, `ack ${next.uid}\n`);
}
