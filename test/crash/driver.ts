/**
 * One change of a store, in a process of its own that the crash tests trace and kill:
 *
 *     bun test/crash/driver.ts ROOT SCENARIO
 *
 * Prints `ack` when the store has promised the change, and nothing else. Doing a scenario again
 * after a kill must end the same as doing it once.
 */
import { mkdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Annotation } from "../../src/model/annotation.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { allMailboxes, mailboxByName } from "../../src/places/store/catalogue/mailbox_rows.ts";
import { renameMailboxesIn } from "../../src/places/store/commit/rename.ts";
import { applyCommand } from "../../src/places/store/commit/store_commands.ts";
import { deleteMailboxes, undeleteMailboxes } from "../../src/places/store/commit/trash.ts";
import { Store } from "../../src/places/store/store.ts";
import { collectOwner, collectStaging } from "../../src/places/store/upkeep/gc.ts";
import { apply, fill, message, NOW, record, stateOf } from "../support/store_fixture.ts";

const INBOX = "user.fred";
const GIVEN = "user.fred.Given";
const OTHER = "user.anne";
const DAY = 24 * 60 * 60;
const owner = { kind: "user", userid: "fred" } as const;

/** Brings a new store to where every scenario begins. */
export function prepare(store: Store): void {
  fill(store, INBOX, 3);
  for (const name of ["Sub", "Sub.One", "Sub.Two"]) fill(store, `${INBOX}.${name}`, 2);
  fill(store, `${INBOX}.Gone`, 2);
  const folder = store.make(owner);
  folder.write((transaction) => {
    const row = mailboxByName(transaction.database, `${INBOX}.Gone`);
    if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
  });
  // And then one sent it again whose transaction did not commit: what it left is in the way of an
  // undelete.
  const orphan = join(folder.folder, stateOf(`${INBOX}.Gone`, []).uniqueid);
  mkdirSync(orphan);
  for (const uid of [1, 9]) writeFileSync(join(orphan, `${uid}.`), message(uid));
  const old = [record(1, { expunged: true, lastUpdated: 1000, modseq: 50n }), record(2)];
  const two = `${INBOX}.Sub.Two`;
  apply(store, { state: stateOf(two, old), records: old });
  fill(store, OTHER, 1);
  // What goes to her: a message that fred's INBOX has too, one that nobody has, one that is
  // expunged.
  const given = [
    record(1, { annotations: [note("hers")] }),
    ...[record(2, {}, 50), record(3, { expunged: true })],
  ];
  const annotations = [note("of the folder")];
  const state = stateOf(GIVEN, given, { annotations });
  apply(store, { state, records: given }, [message(1), message(50), message(3)]);
  apply(
    store,
    { state: stateOf(THREADS, threads), records: threads },
    threads.map(({ uid }) => message(uid)),
  );
}

function note(text: string): Annotation {
  return { entry: "/comment", userid: "fred", modseq: 5n, value: Buffer.from(text) };
}

const inbox = [record(1), record(2), record(3)];

const THREADS = `${INBOX}.Threads`;

/** A record with what only cyrus.annotations can keep. */
function threaded(uid: number): MailRecord {
  return record(uid, { modseq: 60n, internaldateNsec: uid, basecid: BigInt(uid) });
}

const threads = [1, 2, 3, 4, 5].map(threaded);

export const SCENARIOS: Readonly<Record<string, (store: Store) => void>> = {
  append: (store) => {
    const next = [record(4, { modseq: 90n }), record(5, { modseq: 91n, flags: ["$New"] })];
    const state = stateOf(INBOX, [...inbox, ...next]);
    apply(store, { state, records: next }, [message(4), message(5)]);
  },
  create: (store) => {
    const next = [record(1), record(7)];
    apply(store, { state: stateOf(`${INBOX}.Made`, next), records: next }, [
      message(1),
      message(7),
    ]);
  },
  many: (store) => {
    const next = Array.from({ length: 20 }, (_, at) => record(at + 4, { modseq: 90n }));
    const state = stateOf(INBOX, [...inbox, ...next]);
    apply(
      store,
      { state, records: next },
      next.map(({ uid }) => message(uid)),
    );
  },
  flags: (store) => {
    const next = [
      record(1, { modseq: 90n, flags: ["\\Seen", "$New"] }),
      record(3, { modseq: 91n, flags: ["\\Flagged"] }),
    ];
    const whole = [...next, record(2)];
    apply(store, { state: stateOf(INBOX, whole), records: next });
  },
  annotate: (store) => {
    const annotations = [
      { entry: "/comment", userid: "", modseq: 5n, value: Buffer.from("a note") },
    ];
    const next = [record(2, { modseq: 90n, annotations })];
    apply(store, { state: stateOf(INBOX, [record(1), ...next, record(3)]), records: next });
  },
  "append annotated": (store) => {
    const next = [threaded(6), threaded(7)];
    const state = stateOf(THREADS, [...threads, ...next]);
    apply(store, { state, records: next }, [message(6), message(7)]);
  },
  expunge: (store) => {
    const next = [record(2, { modseq: 90n, expunged: true, flags: ["\\Deleted"] })];
    apply(store, { state: stateOf(INBOX, [record(1), ...next, record(3)]), records: next });
  },
  rename: (store) => {
    const folder = store.make(owner);
    const rows = folder.read(allMailboxes);
    if (rows.some((row) => row.name === `${INBOX}.New`)) return; // done before the kill
    const isOwn = (name: string): boolean => name.startsWith(`${INBOX}.`);
    const requests = [{ from: `${INBOX}.Sub`, to: `${INBOX}.New`, tree: true }];
    renameMailboxesIn(folder, { requests, isOwn, now: NOW });
  },
  handover: (store) => {
    if (store.make(owner).read((database) => mailboxByName(database, GIVEN)) === undefined) return;
    const oldName = GIVEN;
    const command = { kind: "rename", oldName, newName: `${OTHER}.Got`, partition: "p" } as const;
    const staging = store.stage();
    applyCommand(command, [], { store, staging, force: false });
    staging.close();
  },
  delete: (store) => {
    store.make(owner).write((transaction) => {
      const row = mailboxByName(transaction.database, `${INBOX}.Sub.One`);
      if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
    });
  },
  undelete: (store) => {
    const folder = store.make(owner);
    if (folder.read((database) => mailboxByName(database, `${INBOX}.Gone`)) !== undefined) return;
    undeleteMailboxes(
      folder,
      { which: `${INBOX}.Gone` },
      (uniqueid) => store.claim(uniqueid, owner)?.kind,
    );
  },
  gc: (store) => {
    // Far in the future everything is old.
    const now = Math.floor(Date.now() / 1000) + 100 * 365 * DAY;
    collectOwner(store.make(owner), { now, retentionSeconds: 7 * DAY });
    collectStaging(store.root);
  },
};

if (import.meta.main) {
  const [root = "", scenario = ""] = process.argv.slice(2);
  const store = new Store(root, { now: () => NOW });
  SCENARIOS[scenario]?.(store);
  writeSync(1, "ack\n");
  // As a server would be found: nothing is closed in good order.
  process.reallyExit(0);
}
