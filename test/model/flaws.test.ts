import { describe, expect, test } from "bun:test";
import { flawOfMailbox, flawOfRecord, flawOfSetting } from "../../src/model/flaws.ts";
import { record, stateOf } from "../support/store_fixture.ts";

const NAME = "user.anne";

describe("flawOfRecord()", () => {
  test("finds no flaw in system flags and in keywords that are atoms", () => {
    const flags = ["\\Seen", "\\draft", "$Label1", "NIL", "a]b", "+5"];
    expect(flawOfRecord(record(7, { flags }), NAME)).toBeUndefined();
  });

  const bad = [
    "",
    "a b",
    "a(b",
    "a)b",
    'a"b',
    "a%b",
    "a*b",
    "{5}",
    "a\\b",
    "\\Odd",
    "\x7f",
    "\t",
    "ü",
  ];
  for (const flag of bad) {
    test(`names the message whose keyword is ${JSON.stringify(flag)}`, () => {
      const flaw = flawOfRecord(record(7, { flags: ["\\Seen", flag] }), NAME);
      expect(flaw).toBe(
        `Mailbox user.anne, message 7: the keyword ${JSON.stringify(flag)} is no atom`,
      );
    });
  }

  test("finds times that cyrus.index cannot hold", () => {
    expect(flawOfRecord(record(1, { internaldate: 2 ** 32 }), NAME)).toContain("INTERNALDATE");
    expect(flawOfRecord(record(1, { savedate: -1 }), NAME)).toContain("savedate -1");
  });
});

describe("flawOfMailbox()", () => {
  test("finds ACLs that would break cyrus.header, and bad words in USERFLAGS", () => {
    const flawOf = (change: object) => flawOfMailbox(stateOf(NAME, [], change));
    expect(flawOf({ acl: "anne\tlrs\tgroup:a b\tl\t", userflags: ["NIL"] })).toBeUndefined();
    for (const acl of ["anne\tl\nrs\t", "an\rne\tl\t", "a\0\tl\t", "anne", "\tl\t"]) {
      expect(flawOf({ acl })).toBe(`Mailbox user.anne: ${JSON.stringify(acl)} is no ACL`);
    }
    expect(flawOf({ userflags: ["a b"] })).toContain('the keyword "a b"');
    expect(flawOf({ recentTime: 2 ** 32 })).toContain("RECENTTIME");
  });
});

describe("flawOfSetting()", () => {
  const seen = { uniqueid: "id", lastRead: 1, lastUid: 2, lastChange: 3, seenUids: "1:2" };
  const seenOf = (change: object) =>
    flawOfSetting({ kind: "seen", userid: "anne", seen: { ...seen, ...change } });

  test("finds what is no set of UIDs, no uniqueid and no time in seen state", () => {
    expect(seenOf({})).toBeUndefined();
    expect(seenOf({ seenUids: "" })).toBeUndefined();
    expect(seenOf({ seenUids: "1,x" })).toBe(
      'A seen state of anne: SEENUIDS "1,x" is no set of UIDs',
    );
    expect(seenOf({ uniqueid: "../x" })).toContain("UNIQUEID");
    expect(seenOf({ lastRead: -1 })).toContain("LASTREAD -1");
  });

  test("finds a script that no client would take", () => {
    const script = { filename: "x.script", lastUpdate: 1 };
    const flawOf = (bytes: number) =>
      flawOfSetting({ kind: "sieve", userid: "a", ...script, content: new Uint8Array(bytes) });
    expect(flawOf(8 * 1024 * 1024)).toBeUndefined();
    expect(flawOf(8 * 1024 * 1024 + 1)).toContain("CONTENT has 8388609 bytes");
  });

  test("finds names of scripts that lead out of the user's folder", () => {
    const script = { userid: "a", lastUpdate: 1, content: new Uint8Array() };
    const flawOf = (filename: string) => flawOfSetting({ kind: "sieve", filename, ...script });
    expect(flawOf("..script.script")).toBeUndefined();
    const flaw = 'A script of a: FILENAME "../b/x.script" has a slash';
    expect(flawOf("../b/x.script")).toBe(flaw);
    expect(flawOfSetting({ kind: "activateSieve", userid: "a", filename: "../b/x.bc" })).toContain(
      "slash",
    );
  });

  test("finds names that would end a line or a key", () => {
    const sub = (name: string) => flawOfSetting({ kind: "sub", userid: "anne", name });
    expect(sub("user.anne.A b")).toBeUndefined();
    for (const name of ["", "a\0", "a\nb", "x".repeat(5000)])
      expect(sub(name)).toContain("MBOXNAME");
    const entry = { name: "", entry: "/a\tb", userid: "", value: new Uint8Array() };
    expect(flawOfSetting({ kind: "annotation", ...entry })).toContain('ENTRY "/a\\tb"');
  });
});
