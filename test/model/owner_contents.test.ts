import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import type { ApplyCommand } from "../../src/model/apply.ts";
import { recordsOf } from "../../src/model/mailbox.ts";
import {
  noContents,
  recordsOfContents,
  reduceOwner,
  userStateOf,
} from "../../src/model/owner_contents.ts";
import { countedWork } from "../support/counted_work.ts";
import { recordsIn } from "../support/places.ts";
import { record, stateOf } from "../support/store_fixture.ts";

const INBOX = "user.fred";
const WHOSE = { userid: "fred" } as const;

/** One command of each kind that changes a little of a lot, by number. */
function commandsOf(number: number): ApplyCommand[] {
  const uniqueid = `id${number}`;
  const name = `user.fred.${number}`;
  const filename = `${number}.script`;
  const seen = { uniqueid, lastRead: 1, lastUid: 1, lastChange: 1, seenUids: "" };
  return [
    { kind: "mailbox", state: stateOf(name, []), records: recordsOf([]) },
    { kind: "sub", ...WHOSE, name },
    { kind: "seen", ...WHOSE, seen },
    { kind: "quota", quota: { root: name, limits: {} } },
    { kind: "sieve", ...WHOSE, filename, lastUpdate: 1, content: utf8("keep;") },
    { kind: "annotation", name: INBOX, entry: `/e${number}`, userid: "", value: utf8("x") },
    { kind: "expunge", name: INBOX, uniqueid: "1", uids: [number] },
    { kind: "rename", oldName: name, newName: `user.fred.x${number}`, partition: "" },
    { kind: "unsub", ...WHOSE, name: `user.fred.${number >>> 1}` },
  ]; // biome-ignore format: a table
}

const FILLED = reduceOwner(noContents(), {
  kind: "mailbox",
  state: stateOf(INBOX, []),
  records: recordsOf([record(1), record(2)]),
});

function workOf(rounds: number): Promise<number> {
  let owner = reduceOwner(noContents(), {
    kind: "mailbox",
    state: stateOf(INBOX, []),
    records: recordsOf([]),
  });
  return countedWork(() => {
    for (let number = 0; number < rounds; number++)
      for (const command of commandsOf(number)) owner = reduceOwner(owner, command);
  });
}

describe("reduceOwner()", () => {
  test("a command costs the same however much the owner holds", async () => {
    const [some, twice] = [await workOf(1000), await workOf(2000)];
    expect(some).toBeGreaterThan(9000);
    expect(twice).toBeLessThan(2.1 * some);
  });

  test("what was before a command stays as it was", async () => {
    const before = userStateOf(FILLED);
    const commands = [...commandsOf(1), { kind: "unmailbox", name: INBOX } as const];
    const after = commands.reduce(reduceOwner, FILLED);
    expect(userStateOf(after).mailboxes.map(({ name }) => name)).toEqual(["user.fred.x1"]);
    expect(userStateOf(FILLED)).toEqual(before);
    expect(userStateOf(commands.reduce(reduceOwner, FILLED))).toEqual(userStateOf(after));
  });

  test("later records of a UID replace earlier ones, and expunged ones stay", async () => {
    const changed = record(2, { flags: ["\\Seen"], modseq: 9n });
    const commands: ApplyCommand[] = [
      { kind: "mailbox", state: stateOf(INBOX, []), records: recordsOf([changed, record(3)]) },
      { kind: "expunge", name: INBOX, uniqueid: "1", uids: [1, 77] },
    ];
    const mailbox = commands.reduce(reduceOwner, FILLED).mailboxes.get(INBOX);
    if (mailbox === undefined) return expect.unreachable();
    const records = await recordsIn(recordsOfContents(mailbox));
    expect(records).toEqual([{ ...record(1), expunged: true }, changed, record(3)]);
  });

  test("nothing is left of a user who was deleted", () => {
    const filled = commandsOf(1).reduce(reduceOwner, FILLED);
    expect(userStateOf(reduceOwner(filled, { kind: "unuser", userid: "fred" }))).toEqual(
      userStateOf(noContents()),
    );
  });
});
