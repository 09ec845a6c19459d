/**
 * A mailbox folder of the store, copied to where Cyrus expects one, is a Cyrus mailbox: Cyrus'
 * tools say so.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renameMailboxesIn } from "../../src/places/store/commit/rename.ts";
import { type CyrusTools, cyrusTools } from "../support/cyrus_tools.ts";
import { newStore } from "../support/new_store.ts";
import { apply, message, NOW, record, stateOf } from "../support/store_fixture.ts";

const tools = cyrusTools();
const UNIQUEID = "abcdef0123456789";

/**
 * Copies the mailbox into the tools' spool and enters it into their mailboxes.db as
 * `user.fred.New`.
 */
function handOver(cyrus: CyrusTools, folder: string): string {
  const target = join(cyrus.folder, "spool/uuid/a/b", UNIQUEID);
  mkdirSync(join(target, ".."), { recursive: true });
  cpSync(folder, target, { recursive: true });
  cyrus.own(join(cyrus.folder, "spool"));
  const fields = `P default V ${NOW} A %(fred lrswipkxtecdan) M ${NOW} T e`;
  const name = "user\x1ffred\x1fNew";
  const set = (key: string, value: string): string =>
    cyrus.run("cyr_dbtool", [
      "-n",
      join(cyrus.folder, "conf/mailboxes.db"),
      "twoskip",
      "set",
      key,
      value,
    ]);
  set(`N${name}`, `%(I ${UNIQUEID} ${fields})`);
  set(`I${UNIQUEID}`, `%(N ${name} ${fields})`);
  return target;
}

describe.if(tools !== undefined)("a mailbox folder of the store", () => {
  test("is read by mbexamine and found sound by reconstruct -n -G, which also finds damage", () => {
    if (tools === undefined) return;
    const { root, store } = newStore();
    const change = { uniqueid: UNIQUEID, lastUid: 9 };
    const note = { entry: "/comment", userid: "fred", modseq: 7n, value: Buffer.from("hello") };
    const one = record(1, { flags: ["\\Seen", "$Label1", "work"], cid: 0x0123456789abcdefn });
    const two = record(2, { annotations: [note], basecid: 5n, internaldateNsec: 1234 });
    const name = "user.fred.Old";
    apply(
      store,
      { state: stateOf(name, [one, two, record(3)], change), records: [one, two, record(3)] },
      [1, 2, 3].map((number) => message(number)),
    );
    const gone = record(3, { expunged: true, modseq: 50n });
    const flagged = record(2, { flags: ["\\Flagged"], modseq: 51n, annotations: [note] });
    // Both what is removed from cyrus.annotations here and what is added is done in place.
    const late = record(10, {
      modseq: 52n,
      basecid: 6n,
      internaldateNsec: 77,
      annotations: [note],
    });
    const state = stateOf(name, [one, flagged, late], { ...change, lastUid: 10 });
    apply(store, { state, records: [flagged, gone, late] }, [message(10)]);
    const owner = store.make({ kind: "user", userid: "fred" });
    const requests = [{ from: name, to: "user.fred.New", tree: false }];
    renameMailboxesIn(owner, { requests, isOwn: () => true, now: NOW });
    store.close();

    const folder = handOver(tools, join(root, "user/f/fred", UNIQUEID));
    const shown = tools.run("mbexamine", ["user/fred/New"]);
    for (const text of [
      ...[
        `Unique ID: ${UNIQUEID}`,
        "User Flags: $Label1 work",
        "Minor Version: 17",
        "Number of Messages: 3",
      ],
      ...["Flagged: 1", "Last UID: 10", `GUID:${one.guid} MODSEQ:2  THRID: 123456789abcdef`],
      ...["FLAG_SEEN", "FLAG_FLAGGED", "USERFLAGS: 00000000 00000000 00000000 00000003"],
    ]) {
      expect(shown).toContain(text);
    }
    const before = readFileSync(join(folder, "cyrus.index"));
    expect(tools.run("reconstruct", ["-n", "-G", "user/fred/New"])).toBe("user/fred/New\n");
    expect(readFileSync(join(folder, "cyrus.index"))).toEqual(before);
    // Were it blind, its silence would say nothing.
    writeFileSync(join(folder, "1."), "another message\r\n\r\n");
    expect(tools.run("reconstruct", ["-n", "-G", "user/fred/New"])).toContain("uid 1");
  });
});
