/**
 * What no transcript holds: other versions' forms, and input that must be refused with the key
 * named.
 */
import { describe, expect, test } from "bun:test";
import { latin1, utf8 } from "../../../src/core/bytes.ts";
import { FieldError } from "../../../src/formats/dlist/access.ts";
import { printLine } from "../../../src/formats/dlist/print.ts";
import { parseAnswer, printAnswer } from "../../../src/formats/sync/answer.ts";
import { parseApply, parseRestore, printApply } from "../../../src/formats/sync/apply_command.ts";
import { parseGet } from "../../../src/formats/sync/get_command.ts";
import { parseRecord, printRecord } from "../../../src/formats/sync/record_line.ts";
import { REFUSAL_TEXTS, reasonOf } from "../../../src/formats/sync/status.ts";
import type { RefusalReason } from "../../../src/model/outcome.ts";
import { parseLine } from "../../support/dlist_line.ts";

const BASE =
  "UNIQUEID abc MBOXNAME user.anne LAST_UID 1 HIGHESTMODSEQ 4 RECENTUID 1 RECENTTIME 17 " +
  'LAST_APPENDDATE 18 POP3_LAST_LOGIN 0 UIDVALIDITY 16 PARTITION default ACL "anne\tlrs\t" ' +
  "OPTIONS P";
const RECORD =
  "UID 1 MODSEQ 4 LAST_UPDATED 17 FLAGS () INTERNALDATE 17 SIZE 23 " +
  "GUID 92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";

const get = (line: string) => {
  const { name, value } = parseLine(utf8(line));
  return parseGet(name, value);
};
const apply = (line: string) => {
  const { name, value } = parseLine(utf8(line));
  return parseApply(name, value);
};
const answer = (line: string) => {
  const { name, value } = parseLine(utf8(line));
  return parseAnswer(name, value);
};
const printed = (entry: { name: string; value: Parameters<typeof printLine>[1] }) =>
  latin1(printLine(entry.name, entry.value, { from: "server" }));

describe("parseApply()", () => {
  test("keeps every key that later versions know", () => {
    const line =
      "LOCAL_MAILBOX %(JMAPID NIL UNIQUEID abc MBOXNAME user.anne MBOXTYPE e SYNC_CRC 1 " +
      "SYNC_CRC_ANNOT 2 " +
      "LAST_UID 1 HIGHESTMODSEQ 4 RECENTUID 1 RECENTTIME 17 LAST_APPENDDATE 18 POP3_LAST_LOGIN 0 " +
      'POP3_SHOW_AFTER 3 XCONVMODSEQ 5 COMPACT_EMAILIDS 1 RACLMODSEQ 6 USERGROUPS "a\tb" ' +
      "VERSION 20 " +
      'UIDVALIDITY 16 PARTITION default ACL "anne\tlrs\t" OPTIONS PSDA QUOTAROOT user.anne ' +
      "CREATEDMODSEQ 2 FOLDERMODSEQ 3 DELETEDMODSEQ 1 USERFLAGS ($A $B) " +
      "SINCE_MODSEQ 3 SINCE_CRC 7 SINCE_CRC_ANNOT 8 RECORD ())";
    const request = apply(line);
    if (request?.kind !== "mailbox") throw new Error("not a mailbox");
    expect(request.isLocal).toBe(true);
    expect(request.since).toEqual({ modseq: 3n, crc: 7, crcAnnot: 8 });
    expect(request.state).toMatchObject({
      jmapid: null,
      xconvmodseq: 5n,
      compactEmailids: 1,
      raclmodseq: 6n,
      usergroups: "a\tb",
      version: 20,
      deletedmodseq: 1n,
      userflags: ["$A", "$B"],
    });
    expect(printed(printApply(request))).toBe(line);
  });

  test("ignores unknown keys and sub-command case", () => {
    const request = apply(`mailbox %(NEWKEY (a) ${BASE} RECORD (%(X y ${RECORD})))`);
    expect(request).toMatchObject({ kind: "mailbox", state: { name: "user.anne" } });
  });

  test.each([
    ...["UNIQUEID", "MBOXNAME", "LAST_UID", "HIGHESTMODSEQ", "RECENTUID", "RECENTTIME"],
    ...["LAST_APPENDDATE", "POP3_LAST_LOGIN", "UIDVALIDITY", "PARTITION", "ACL", "OPTIONS"],
  ])("parseApply() names %s if a MAILBOX lacks it", (key) => {
    const line = `MAILBOX %(${BASE.replace(key, `X${key}`)} RECORD ())`;
    expect(() => apply(line)).toThrow(FieldError);
    expect(() => apply(line)).toThrow(new RegExp(`\\b(${key}|MBOXNAME)\\b`));
  });

  test("demands RECORD, but not of an intermediate", () => {
    expect(() => apply(`MAILBOX %(${BASE})`)).toThrow(/RECORD/);
    const line =
      "MAILBOX %(UNIQUEID a MBOXNAME user.x MBOXTYPE ei HIGHESTMODSEQ 3 CREATEDMODSEQ 2 " +
      "FOLDERMODSEQ 3)";
    const request = apply(line);
    expect(request).toMatchObject({ kind: "mailbox", state: { type: "ei", partition: null } });
    if (request === undefined) throw new Error("not read");
    expect(printed(printApply(request))).toBe(line);
  });

  test.each(["UID", "MODSEQ", "LAST_UPDATED", "FLAGS", "INTERNALDATE", "SIZE", "GUID"])(
    "names %s if a RECORD lacks it",
    (key) => {
      const record = RECORD.replace(new RegExp(`\\b${key}\\b`), `X${key}`);
      expect(() => apply(`MAILBOX %(${BASE} RECORD (%(${record})))`)).toThrow(new RegExp(key));
    },
  );

  test("reads a bare NIL in a list of words as the word, and prints it quoted", () => {
    const record = RECORD.replace("FLAGS ()", "FLAGS (\\Seen NIL $a)");
    const request = apply(`MAILBOX %(${BASE} USERFLAGS (NIL $a) RECORD (%(${record})))`);
    if (request?.kind !== "mailbox") throw new Error("not a mailbox");
    expect(request.state.userflags).toEqual(["NIL", "$a"]);
    expect(printed(printApply(request))).toContain('USERFLAGS ("NIL" $a)');
    expect(answer("LSUB (NIL user.a)")).toEqual({
      kind: "subscriptions",
      names: ["NIL", "user.a"],
    });
    const { value } = parseLine(utf8(`RECORD %(${record})`));
    expect(printed({ name: "RECORD", value: printRecord(parseRecord(value)) })).toContain(
      'FLAGS (\\Seen "NIL" $a)',
    );
  });

  test("takes annotations without MODSEQ, as 2.5 sends them, and NIL for a user", () => {
    const thrid = "%(ENTRY /vendor/cmu/cyrus-imapd/thrid USERID NIL VALUE 0123456789abcdef)";
    const line =
      `MAILBOX %(${BASE} RECORD (%(${RECORD} ANNOTATIONS (%(ENTRY /c USERID a ` +
      `VALUE x) ${thrid}))))`;
    const request = apply(line);
    if (request?.kind !== "mailbox") throw new Error("not a mailbox");
    const [batch] = [...(request.records.batches() as Iterable<unknown[]>)];
    expect(batch?.[0]).toMatchObject({ cid: 0x0123456789abcdefn, annotations: [{ modseq: 0n }] });
  });

  test.each([
    ["UNMAILBOX (a)", "UNMAILBOX"],
    ["SUB %(USERID a)", "MBOXNAME"],
    ["SUB a", "SUB"],
    ["SEEN %(USERID a UNIQUEID b LASTREAD x)", "LASTREAD"],
    ["RENAME %(OLDMBOXNAME a NEWMBOXNAME b)", "PARTITION"],
    ["EXPUNGE %(MBOXNAME a UNIQUEID b UID (x))", "UID"],
    ["QUOTA %(LIMIT 1)", "ROOT"],
    ["QUOTA %(ROOT a STORAGE x)", "STORAGE"],
    ["SIEVE %(USERID a FILENAME b LAST_UPDATE 1)", "CONTENT"],
    ["RESERVE %(PARTITION a MBOXNAME (b))", "GUID"],
    ["ANNOTATION %(MBOXNAME a ENTRY b USERID NIL VALUE c)", "USERID"],
  ])("parseApply() refuses %s and names %s", (line, key) => {
    expect(() => apply(line)).toThrow(FieldError);
    expect(() => apply(line)).toThrow(new RegExp(`^expected ${key} as`));
  });

  test("knows no other names", () => {
    for (const name of ["NONSENSE", "toString", "__proto__", "LOCAL_SUB"]) {
      expect(apply(`${name} %(A B)`)).toBeUndefined();
    }
  });
});

describe("parseRestore()", () => {
  test("needs a name and records, nothing else", () => {
    const read = (line: string) => {
      const { name, value } = parseLine(utf8(line));
      return parseRestore(name, value);
    };
    expect(read("MAILBOX %(MBOXNAME user.x UIDVALIDITY 7 RECORD ())")).toMatchObject({
      kind: "restore",
      name: "user.x",
      state: { name: "user.x", uidvalidity: 7 },
      isLocal: false,
    });
    expect(read("LOCAL_MAILBOX %(MBOXNAME user.x RECORD ())")?.isLocal).toBe(true);
    expect(read("NONSENSE %()")).toBeUndefined();
    expect(() => read("MAILBOX %(MBOXNAME user.x)")).toThrow(/RECORD/);
  });
});

describe("parseGet()", () => {
  test("takes a FETCH without UNIQUEID, as 2.4 sends it", () => {
    const line = `FETCH %(MBOXNAME a PARTITION b GUID ${"0".repeat(40)} UID 1)`;
    expect(get(line)).toMatchObject({ kind: "fetch", uniqueid: "" });
  });

  test.each(["USER (a)", "USER NIL", "MAILBOXES a", "FETCH a", "FETCH_SIEVE %(USERID a)"])(
    "refuses %s",
    (line) => {
      expect(() => get(line)).toThrow(FieldError);
    },
  );

  test("knows no other names", () => {
    for (const name of ["SEEN", "SIEVE", "toString"]) expect(get(`${name} x`)).toBeUndefined();
  });
});

describe("quotas", () => {
  test.each([
    ["QUOTA %(ROOT a LIMIT 100)", { STORAGE: 100 }],
    ["QUOTA %(ROOT a LIMIT 4294967295)", {}],
    ["QUOTA %(ROOT a LIMIT 18446744073709551615)", {}],
    ["QUOTA %(ROOT a LIMIT 5 STORAGE 6 X-NUM-FOLDERS 7)", { STORAGE: 6, MAILBOX: 7 }],
    ["QUOTA %(ROOT a LIMIT 4294967295 MAILBOX 8 X-NUM-FOLDERS 7)", { MAILBOX: 8 }],
  ])("%s is read", (line, limits) => {
    expect(answer(line)).toMatchObject({ kind: "quota", quota: { root: "a", limits } });
  });

  test("printAnswer() says a limit beyond 32 bits in STORAGE alone", () => {
    const quota = { root: "a", limits: { STORAGE: 5_000_000_000 } };
    expect(printed(printAnswer({ kind: "quota", quota }))).toBe(
      "QUOTA %(ROOT a LIMIT 4294967295 STORAGE 5000000000)",
    );
  });
});

describe("owners, Bobbin's own", () => {
  test("are asked for and listed as they are read", () => {
    const owners = [
      { kind: "user", userid: "ann@example.com" },
      { kind: "shared", toplevel: "example.com!lists" },
    ] as const;
    const line = "OWNERS (user:ann@example.com shared:example.com!lists)";
    expect(printed(printAnswer({ kind: "owners", owners }))).toBe(line);
    expect(answer(line)).toEqual({ kind: "owners", owners });
    expect(() => answer("OWNERS (nobody)")).toThrow("OWNERS");
  });
});

describe("refusals", () => {
  test("reasonOf() knows every token that is sent, and those of 2.4", () => {
    for (const [reason, text] of Object.entries(REFUSAL_TEXTS) as [RefusalReason, string][]) {
      const isKnown = text.startsWith("IMAP_") || reason === "damaged"; // so says Bobbin alone
      if (isKnown) expect(reasonOf(text)).toBe(reason);
      else expect(reasonOf(text)).toBe("failed");
    }
    expect(reasonOf("IMAP_MAILBOX_CRC Checksum Failure")).toBe("checksum");
    expect(reasonOf("IMAP_PROTOCOL_BAD_PARAMETERS")).toBe("badParameters");
    expect(reasonOf("toString x")).toBe("failed");
    expect(reasonOf("")).toBe("failed");
  });
});
