/** The table of commands: what an account is told of what it may not touch. */
import { describe, expect, test } from "bun:test";
import { outOfScope, scopeOf } from "../../../src/accounts/scope.ts";
import { utf8 } from "../../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { DlistReader } from "../../../src/formats/dlist/reader.ts";
import { type ReadCommand, VERBS } from "../../../src/server/commands/verbs.ts";

/** A line as a session reads it. */
function read(line: string): ReadCommand {
  const reader = new DlistReader({
    limits: DEFAULT_LIMITS,
    expect: (words) => (words.length === 0 ? "word" : "line"),
  });
  const [event] = [...reader.feed(utf8(`${line}\r\n`))].slice(-1);
  if (event?.kind !== "dlist") throw new Error(`${line} is no command`);
  const verb = VERBS.get(event.words[0] ?? "");
  const command = verb?.(event.name, event.value, { records: [] });
  if (command === undefined) throw new Error(`${line} is not in the table`);
  return command;
}

/** What somebody who may touch `allow` is told: "may" where the command is done. */
function told(line: string, allow: readonly string[]): string {
  const answer = outOfScope(scopeOf(allow), read(line).touches);
  if (answer === undefined) return "may";
  return answer.kind === "ok" ? "nothing" : answer.reason;
}

const MAILBOX =
  "MAILBOX %(UNIQUEID id MBOXNAME user.bob LAST_UID 0 HIGHESTMODSEQ 1 RECENTUID 0 RECENTTIME 0 " +
  "LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION p " +
  'ACL "" OPTIONS "" RECORD ())';
const GUID = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33";
const SCRIPT = "%(USERID bob FILENAME x.script LAST_UPDATE 1 CONTENT keep;)";

/** What anne is told of what is bob's. */
const OF_BOB: readonly (readonly [string, string])[] = [
  ["GET USER bob", "nothing"],
  ["GET META bob", "nothing"],
  ["GET FULLMAILBOX user.bob", "nonexistent"],
  ["GET ANNOTATION user.bob", "nothing"],
  ["GET QUOTA user.bob", "nothing"],
  [`GET FETCH %(MBOXNAME user.bob PARTITION p UNIQUEID id GUID ${GUID} UID 1)`, "nonexistent"],
  ["GET FETCH_SIEVE %(USERID bob FILENAME x.script)", "nonexistent"],
  [`APPLY ${MAILBOX}`, "permissionDenied"],
  [`RESTORE ${MAILBOX}`, "permissionDenied"],
  ["APPLY UNMAILBOX user.bob", "nonexistent"],
  ["APPLY RENAME %(OLDMBOXNAME user.bob NEWMBOXNAME user.anne.x PARTITION p)", "nonexistent"],
  ["APPLY RENAME %(OLDMBOXNAME user.anne.x NEWMBOXNAME user.bob PARTITION p)", "permissionDenied"],
  ["APPLY EXPUNGE %(MBOXNAME user.bob UNIQUEID id UID (1))", "nonexistent"],
  ["APPLY QUOTA %(ROOT user.bob LIMIT 1)", "permissionDenied"],
  ["APPLY UNQUOTA user.bob", "nothing"],
  [
    'APPLY SEEN %(USERID bob UNIQUEID id LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS "")',
    "permissionDenied",
  ],
  ["APPLY SUB %(USERID bob MBOXNAME user.bob)", "permissionDenied"],
  ["APPLY UNSUB %(USERID bob MBOXNAME user.bob)", "nothing"],
  ['APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /x USERID "" VALUE v)', "nonexistent"],
  ['APPLY UNANNOTATION %(MBOXNAME user.bob ENTRY /x USERID "")', "nonexistent"],
  [`APPLY SIEVE ${SCRIPT}`, "permissionDenied"],
  ["APPLY UNSIEVE %(USERID bob FILENAME x.script)", "nothing"],
  ["APPLY ACTIVATE_SIEVE %(USERID bob FILENAME x.bc)", "nonexistent"],
  ["APPLY UNACTIVATE_SIEVE %(USERID bob)", "nothing"],
  ["APPLY UNUSER bob", "nothing"],
];

/** What only somebody who may touch everything may. */
const OF_THE_SERVER: readonly (readonly [string, string])[] = [
  ['GET ANNOTATION ""', "nothing"],
  ['APPLY ANNOTATION %(MBOXNAME "" ENTRY /x USERID "" VALUE v)', "permissionDenied"],
  ['APPLY UNANNOTATION %(MBOXNAME "" ENTRY /x USERID "")', "permissionDenied"],
];

/** Their `run` leaves out what the account may not touch, or there is nothing to ask for. */
const FOR_ALL = [
  "GET MAILBOXES (user.bob)",
  "GET UNIQUEIDS (id)",
  "GET OWNERS NIL",
  `APPLY RESERVE %(PARTITION p MBOXNAME (user.bob) GUID (${GUID}))`,
  "APPLY MESSAGE ()",
  "APPLY FORCE %()",
  "APPLY CAPABILITIES (X)",
];

describe("the table of commands", () => {
  test.each(OF_BOB)("%s is answered to anne with %s, and done for bob", (line, answer) => {
    expect(told(line, ["anne"])).toBe(answer);
    expect([told(line, ["anne", "bob"]), told(line, ["*"])]).toEqual(["may", "may"]);
  });

  test.each(OF_THE_SERVER)(
    "%s is answered to anne with %s, and done for admins",
    (line, answer) => {
      expect([told(line, ["anne", "shared"]), told(line, ["*"])]).toEqual([answer, "may"]);
    },
  );

  test.each(FOR_ALL)("%s is done for anybody", (line) => {
    expect(told(line, [])).toBe("may");
  });

  test("gives a shared top level to those who may touch what is shared", () => {
    expect(told("GET SHARED lists", ["anne"])).toBe("nothing");
    for (const allow of ["shared", "*"]) expect(told("GET SHARED lists", [allow])).toBe("may");
  });

  test("says which commands grow the disk, and which lets the next one begin", () => {
    const all = [...OF_BOB.map(([line]) => line), ...FOR_ALL].map(read);
    const grow = all.filter(({ cost }) => cost === "grows");
    const kinds = new Set(grow.map(({ command }) => command.kind));
    expect([...kinds]).toEqual([
      ...(["mailbox", "restore", "rename", "quota", "seen", "sub"] as const),
      ...(["annotation", "sieve", "activateSieve", "reserve"] as const),
    ]);
    const overlap = all.filter(({ overlaps }) => overlaps);
    expect(overlap.map(({ command }) => command.kind)).toEqual(["mailbox"]);
  });

  test("has no command of another name", () => {
    expect(() => read("GET NONSENSE x")).toThrow("not in the table");
    expect(() => read("RESTORE SUB %(USERID a MBOXNAME b)")).toThrow("not in the table");
  });
});
