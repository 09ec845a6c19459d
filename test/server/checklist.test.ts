/**
 * The server's half of the interoperability checklist (sync-protocol.md 7), point by point, over
 * the wire. Points 1 to 5 are in session.test.ts, 30 is in test/interop/serve.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Csync, type Reply } from "../support/csync.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { verifyStore } from "../support/store_verify.ts";

// The worked example of sync-protocol.md 5.1.
const A = {
  bytes: "Subject: one\r\n\r\nhello\r\n",
  guid: "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc",
};
const C = {
  bytes: "Subject: three\r\n\r\nworld\r\n",
  guid: "e75fc6ab10b3c188032e86562003b2443d32f38e",
};
const NOWHERE = "0123456789012345678901234567890123456789";
const VENDOR = "/vendor/cmu/cyrus-imapd";

type Fields = Readonly<Record<string, string | number>>;

const kvlist = (fields: Fields) =>
  `%(${Object.entries(fields)
    .map((pair) => pair.join(" "))
    .join(" ")})`;

function record(fields: Fields, annotations: readonly Fields[] = []): string {
  return kvlist({
    ...{ UID: 1, MODSEQ: 4, LAST_UPDATED: 1700000100, FLAGS: "()", INTERNALDATE: 1700000000 },
    ...{ SIZE: A.bytes.length, GUID: A.guid },
    ...fields,
    ...(annotations.length > 0 && { ANNOTATIONS: `(${annotations.map(kvlist).join(" ")})` }),
  });
}

/** APPLY MAILBOX of a mailbox that has had one message, its checksums left open. */
function apply(name: string, fields: Fields = {}, records: readonly string[] = []): string {
  return `APPLY MAILBOX ${kvlist({
    ...{
      UNIQUEID: `id-${name.replace(/[.#]/g, "-")}`,
      MBOXNAME: name,
      SYNC_CRC: 0,
      SYNC_CRC_ANNOT: 0,
    },
    ...{ LAST_UID: 1, HIGHESTMODSEQ: 4, RECENTUID: 1, RECENTTIME: 1700000000 },
    ...{
      LAST_APPENDDATE: 1700000000,
      POP3_LAST_LOGIN: 0,
      POP3_SHOW_AFTER: 0,
      UIDVALIDITY: 1699999999,
    },
    ...{ PARTITION: "default", ACL: '"anne\tlrswipkxtecdan\t"', OPTIONS: "P", CREATEDMODSEQ: 1 },
    ...{ FOLDERMODSEQ: 1, ...fields, RECORD: `(${records.join(" ")})` },
  })}`;
}

const FLAGGED = record({ FLAGS: "(\\Seen $Label1)" });
const CHECKSUM = "NO IMAP_SYNC_CHECKSUM Checksum Failure";
const MOVED = "NO IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid";
const NONEXISTENT = "NO IMAP_MAILBOX_NONEXISTENT No Such Mailbox";

let server: TestServer;
let client: Csync;

beforeAll(async () => {
  server = await testServer();
  client = await Csync.signedIn(server.port);
});

afterAll(async () => {
  client.close();
  await server.stop();
  verifyStore(server.root);
});

const say = async (line: string): Promise<string> => (await client.command(line)).status;
const data = async (line: string): Promise<readonly string[]> => (await client.command(line)).data;

async function ok(line: string): Promise<Reply> {
  const reply = await client.command(line);
  expect([line, reply.status]).toEqual([line, "OK success"]);
  return reply;
}

/** Stages messages anew: nothing else is staged afterwards. */
async function stage(...messages: readonly { bytes: string; guid: string }[]): Promise<void> {
  expect(await say("RESTART")).toBe("OK Begun anew");
  const files = messages.map(({ bytes, guid }) => `%{default ${guid} ${bytes.length}}\r\n${bytes}`);
  if (files.length > 0) await ok(`APPLY MESSAGE (${files.join(" ")})`);
}

/** A mailbox with message A under UID 1; the line that GET has for it. */
async function filled(name: string, fields: Fields = {}): Promise<string> {
  await stage(A);
  await ok(apply(name, fields, [FLAGGED]));
  return (await data(`GET MAILBOXES (${name})`))[0] ?? "";
}

/** Refused as `status`, and nothing of the mailbox has changed. */
async function refuses(name: string, line: string, status: string): Promise<void> {
  const before = await data(`GET FULLMAILBOX ${name}`);
  expect([line, await say(line)]).toEqual([line, status]);
  expect(await data(`GET FULLMAILBOX ${name}`)).toEqual(before);
  expect(await say("NOOP")).toBe("OK Nothing done");
}

describe("checklist, GET", () => {
  test("6, 7: what is not there has no line; FULLMAILBOX of it is refused", async () => {
    await filled("user.p6");
    expect(await ok("GET USER nobody")).toMatchObject({ data: [] });
    expect(await data("GET MAILBOXES (user.p6.None user.p6)")).toHaveLength(1);
    expect(await ok("GET MAILBOXES (user.p6.None)")).toMatchObject({ data: [] });
    expect(await client.command("GET FULLMAILBOX user.p6.None")).toEqual({
      data: [],
      status: NONEXISTENT,
    });
  });

  test("8, 9, 11: a MAILBOX line has every key, decimals, and the ACL as it came", async () => {
    const line = await filled("user.p8", { OPTIONS: '""', SYNC_CRC: 19524074, HIGHESTMODSEQ: 9 });
    expect(line).toBe(
      "MAILBOX %(UNIQUEID id-user-p8 MBOXNAME user.p8 SYNC_CRC 19524074 SYNC_CRC_ANNOT " +
        "12345678 LAST_UID 1 " +
        "HIGHESTMODSEQ 9 RECENTUID 1 RECENTTIME 1700000000 LAST_APPENDDATE 1700000000 " +
        "POP3_LAST_LOGIN 0 " +
        "POP3_SHOW_AFTER 0 UIDVALIDITY 1699999999 PARTITION default ACL " +
        '"anne\tlrswipkxtecdan\t" OPTIONS "" ' +
        "CREATEDMODSEQ 1 FOLDERMODSEQ 1 USERFLAGS ($Label1))",
    );
    expect(await data("GET USER p8")).toEqual([line]);
  });

  test("10: literals go out as {n}, and come in as {n} and {n+}", async () => {
    for (const plus of ["", "+"]) {
      await ok(
        apply("user.p10", {
          ANNOTATIONS: `(%(ENTRY /comment USERID "" MODSEQ 1 VALUE {3${plus}}\r\n\xe9\r\n))`,
        }),
      );
      expect((await data("GET MAILBOXES (user.p10)"))[0]).toContain(" VALUE {3}\r\n\xe9\r\n)");
    }
  });
});

describe("checklist, RESERVE and MESSAGE", () => {
  test("12, 13: MISSING has what is not staged, in the order asked, or is left out", async () => {
    await filled("user.p12");
    await stage(C);
    const reserve = (guids: string) =>
      client.command(`APPLY RESERVE %(PARTITION default MBOXNAME (user.p12) GUID (${guids}))`);
    const others = ["f", "0", "a"].map((digit) => digit.repeat(40));
    const wanted = `${others[0]} ${A.guid} ${others[2]} ${C.guid} ${"1".repeat(40)}`;
    expect(await reserve(wanted)).toEqual({
      data: [`MISSING (${others[0]} ${others[2]} ${"1".repeat(40)})`],
      status: "OK success",
    });
    expect(await reserve(`${C.guid} ${A.guid}`)).toEqual({ data: [], status: "OK success" });
    await say("RESTART");
    expect(await reserve(C.guid)).toMatchObject({ data: [`MISSING (${C.guid})`] });
  });

  test("14: one MESSAGE has two files; a GUID that is none or not theirs is refused", async () => {
    await stage(A, C);
    const two = [record({}), record({ UID: 2, GUID: C.guid, SIZE: C.bytes.length })];
    await ok(apply("user.p14", { LAST_UID: 2 }, two));
    expect(await say(`APPLY MESSAGE (%{default xyz 5}\r\nabcde)`)).toStartWith("BAD ");
    expect(await say(`APPLY MESSAGE (%{default ${NOWHERE} 5}\r\nabcde)`)).toStartWith("NO ");
    const third = record({ UID: 3, MODSEQ: 5, GUID: NOWHERE });
    await refuses(
      "user.p14",
      apply("user.p14", { LAST_UID: 3, HIGHESTMODSEQ: 5 }, [third]),
      CHECKSUM,
    );
  });
});

describe("checklist, MAILBOX", () => {
  test("15: what it makes is what was sent, if the checksums fit", async () => {
    await stage(A, C);
    const thrid = { ENTRY: `${VENDOR}/thrid`, USERID: '""', MODSEQ: 0, VALUE: "0123456789abcdef" };
    const savedate = { ENTRY: `${VENDOR}/savedate`, USERID: '""', MODSEQ: 0, VALUE: "1700000001" };
    const created = { ENTRY: `${VENDOR}/createdmodseq`, USERID: '""', MODSEQ: 0, VALUE: "4" };
    const comment = { ENTRY: "/comment", USERID: "fred", MODSEQ: 4, VALUE: "hello" };
    const records = [
      record({ FLAGS: "(\\Seen $Label1)" }, [comment, thrid, savedate, created]),
      record({ UID: 2, MODSEQ: 7, FLAGS: "(\\Seen \\Expunged)", GUID: NOWHERE }),
      record({
        UID: 3,
        MODSEQ: 9,
        LAST_UPDATED: 1700000300,
        INTERNALDATE: 1700000060,
        GUID: C.guid,
        SIZE: C.bytes.length,
      }),
    ];
    const fields = { LAST_UID: 3, HIGHESTMODSEQ: 9, SYNC_CRC: 3716120869 };
    expect(await say(apply("user.p15", { ...fields, SYNC_CRC_ANNOT: 1 }, records))).toBe(CHECKSUM);
    expect(await data("GET MAILBOXES (user.p15)")).toEqual([]);
    // 3.2 to 3.12, master up to version 19, 2.5 and 3.0: each of their sums fits, and is echoed.
    for (const [number, crc] of [3365277254, 67351950].entries()) {
      const name = `user.p15.v${number}`;
      await ok(apply(name, { ...fields, SYNC_CRC_ANNOT: crc }, records));
      expect((await data(`GET MAILBOXES (${name})`))[0]).toContain(
        `SYNC_CRC 3716120869 SYNC_CRC_ANNOT ${crc} `,
      );
    }
    const [line = ""] = await data("GET FULLMAILBOX user.p15.v0");
    expect(line).toContain(
      "%(UID 3 MODSEQ 9 LAST_UPDATED 1700000300 FLAGS () INTERNALDATE 1700000060 SIZE 25 GUID " +
        `${C.guid})`,
    );
    expect(line).toMatch(/UID 2 MODSEQ 7 LAST_UPDATED 1700000100 FLAGS \(\\Expunged \\Seen\)/);
  });

  test("16: a lower HIGHESTMODSEQ, LAST_UID, UIDVALIDITY or XCONVMODSEQ", async () => {
    const name = "user.p16";
    await filled(name, { XCONVMODSEQ: 20 });
    for (const lower of [
      { HIGHESTMODSEQ: 3 },
      { LAST_UID: 0 },
      { UIDVALIDITY: 1 },
      { XCONVMODSEQ: 19 },
    ]) {
      await refuses(name, apply(name, { XCONVMODSEQ: 20, ...lower }), CHECKSUM);
    }
  });

  test("17: SINCE_* must be what is here", async () => {
    const name = "user.p17";
    await filled(name);
    const changed = "NO IMAP_SYNC_CHANGED Changed since last sync";
    const since = { SINCE_MODSEQ: 4, SINCE_CRC: 19524074, SINCE_CRC_ANNOT: 12345678 };
    await refuses(name, apply(name, { ...since, SINCE_MODSEQ: 3 }), changed);
    await refuses(name, apply(name, { ...since, SINCE_CRC: 7 }), changed);
    await refuses(name, apply(name, { ...since, SINCE_CRC_ANNOT: 7 }), changed);
    await ok(apply(name, since));
    await ok(apply(name, { SINCE_MODSEQ: 0, SINCE_CRC: 7 }));
  });

  test("18: another GUID under a UID, and what is expunged on one side or both", async () => {
    const name = "user.p18";
    await filled(name);
    await stage(C);
    await refuses(name, apply(name, {}, [record({ GUID: C.guid })]), CHECKSUM);
    await refuses(name, apply(name, {}, [record({ MODSEQ: 3 })]), CHECKSUM);
    const gone = { MODSEQ: 5, FLAGS: "(\\Expunged)" };
    await ok(apply(name, { HIGHESTMODSEQ: 5 }, [record(gone)]));
    await refuses(name, apply(name, { HIGHESTMODSEQ: 6 }, [record({ MODSEQ: 6 })]), CHECKSUM);
    await ok(apply(name, { HIGHESTMODSEQ: 6 }, [record({ ...gone, MODSEQ: 6, GUID: C.guid })]));
    expect((await data(`GET FULLMAILBOX ${name}`))[0]).toContain(`UID 1 MODSEQ 5 `);
  });

  test("19: a tombstone needs no file; a message does, and its UID must be new", async () => {
    const name = "user.p19";
    await filled(name, { LAST_UID: 3 });
    await say("RESTART");
    const live = record({ UID: 4, MODSEQ: 5, GUID: C.guid });
    await refuses(name, apply(name, { LAST_UID: 4, HIGHESTMODSEQ: 5 }, [live]), CHECKSUM);
    await refuses(
      name,
      apply(name, { LAST_UID: 3, HIGHESTMODSEQ: 5 }, [record({ UID: 2 })]),
      CHECKSUM,
    );
    const gone = { MODSEQ: 5, GUID: C.guid, FLAGS: "(\\Expunged)" };
    await ok(
      apply(name, { LAST_UID: 4, HIGHESTMODSEQ: 5 }, [
        record({ ...gone, UID: 2 }),
        record({ ...gone, UID: 4 }),
      ]),
    );
    const [line = ""] = await data(`GET FULLMAILBOX ${name}`);
    expect([...line.matchAll(/ ?%\(UID (\d)/g)].map(([, uid]) => uid)).toEqual(["1", "4"]);
  });

  test("20: a wrong SYNC_CRC is refused, 0 and none are not looked at", async () => {
    const name = "user.p20";
    await filled(name);
    await refuses(name, apply(name, { SYNC_CRC: 42 }), CHECKSUM);
    await refuses(name, apply(name, { SYNC_CRC_ANNOT: 42 }), CHECKSUM);
    await ok(apply(name));
    await ok(apply(name).replace("SYNC_CRC 0 SYNC_CRC_ANNOT 0 ", ""));
  });

  test("21: a name with another uniqueid, a uniqueid with another name", async () => {
    await filled("user.p21");
    await filled("user.p21.Sub");
    await refuses("user.p21", apply("user.p21", { UNIQUEID: "other" }), MOVED);
    await refuses("user.p21", apply("user.p21.New", { UNIQUEID: "id-user-p21" }), MOVED);
    // It may be another user's: then too it is taken.
    await refuses("user.p21", apply("user.p21b", { UNIQUEID: "id-user-p21" }), MOVED);
    expect(await data("GET USER p21b")).toEqual([]);
  });

  test("22: the same again succeeds", async () => {
    await stage(A);
    const line = apply("user.p22", { SYNC_CRC: 19524074, SYNC_CRC_ANNOT: 12345678 }, [FLAGGED]);
    await ok(line);
    const before = await data("GET FULLMAILBOX user.p22");
    await ok(line);
    expect(await data("GET FULLMAILBOX user.p22")).toEqual(before);
  });

  test("23: annotations not sent again are removed, of mailbox and record", async () => {
    const name = "user.p23";
    const comment = { ENTRY: "/comment", USERID: "fred", MODSEQ: 4, VALUE: "hello" };
    await stage(A);
    await ok(
      apply(name, { ANNOTATIONS: `(${kvlist({ ...comment, USERID: '""', VALUE: "box" })})` }, [
        record({}, [comment]),
      ]),
    );
    const [before = ""] = await data(`GET FULLMAILBOX ${name}`);
    expect(before).toMatch(/VALUE box.*VALUE hello/);
    await ok(apply(name, {}, [record({})]));
    expect((await data(`GET FULLMAILBOX ${name}`))[0]).not.toContain("ANNOTATIONS");
  });

  test("ACL, options and times are taken from the request; the partition stays", async () => {
    const name = "user.p5";
    await filled(name);
    const fields = {
      ACL: '"bob\tlrs\t"',
      OPTIONS: "PSD",
      POP3_LAST_LOGIN: 5,
      POP3_SHOW_AFTER: 6,
      RECENTUID: 0,
    };
    await ok(apply(name, { ...fields, PARTITION: "elsewhere" }));
    const [line = ""] = await data(`GET MAILBOXES (${name})`);
    const after = /RECENTUID 0 .*POP3_LAST_LOGIN 5 POP3_SHOW_AFTER 6 (.*)/.exec(line)?.[1];
    expect(after).toMatch(/PARTITION default ACL "bob\tlrs\t" OPTIONS PSD /);
  });
});

describe("checklist, the other APPLYs", () => {
  test("24: RENAME keeps uniqueid and messages; to the same name it moves", async () => {
    await filled("user.p24");
    await filled("user.p24.Old");
    const rename = (from: string, to: string, partition: string) =>
      say(
        `APPLY RENAME %(OLDMBOXNAME ${from} NEWMBOXNAME ${to} PARTITION ${partition} ` +
          "UIDVALIDITY 1700000001)",
      );
    const before = (await data("GET FULLMAILBOX user.p24.Old"))[0] ?? "";
    expect(await rename("user.p24.Old", "user.p24.New", "default")).toBe("OK success");
    expect(await data("GET FULLMAILBOX user.p24.New")).toEqual([
      before.replace("user.p24.Old", "user.p24.New"),
    ]);
    expect(await rename("user.p24.New", "user.p24.New", "second")).toBe("OK success");
    expect((await data("GET MAILBOXES (user.p24.New)"))[0]).toContain("PARTITION second ");
    expect(await rename("user.p24.New", "user.p24.New", "second")).toBe("NO Unknown error");
    expect(await rename("user.p24.New", "user.p24", "second")).toBe("NO Unknown error");
    expect(await rename("user.p24.Old", "user.p24.X", "second")).toBe(NONEXISTENT);
  });

  test("25: UNMAILBOX deletes at once; UNUSER all that a user has", async () => {
    await filled("user.p25");
    await filled("user.p25.Sub");
    await filled("DELETED.user.p25.Old.5F3A2B1C");
    expect(await say("APPLY UNMAILBOX user.p25.None")).toBe(NONEXISTENT);
    await ok("APPLY UNMAILBOX user.p25.Sub");
    expect(await say("APPLY UNMAILBOX user.p25.Sub")).toBe(NONEXISTENT);
    await ok("APPLY SUB %(USERID p25 MBOXNAME user.p25)");
    await ok(
      "APPLY SEEN %(USERID p25 UNIQUEID id-user-p25 LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)",
    );
    await ok("APPLY QUOTA %(ROOT user.p25 LIMIT 100 STORAGE 100)");
    await ok("APPLY SIEVE %(USERID p25 FILENAME x.script LAST_UPDATE 1 CONTENT keep;)");
    expect(await data("GET USER p25")).toHaveLength(6);
    await ok("APPLY UNUSER p25");
    expect(await data("GET USER p25")).toEqual([]);
    expect(await data("GET META p25")).toEqual([]);
    expect(await data("GET QUOTA user.p25")).toEqual([]);
    await ok("APPLY UNUSER p25");
  });

  test("26: EXPUNGE leaves modseqs alone and wants the right uniqueid", async () => {
    const name = "user.p26";
    await filled(name);
    const expunge = (uniqueid: string) =>
      `APPLY EXPUNGE %(MBOXNAME ${name} UNIQUEID ${uniqueid} UID (1))`;
    await refuses(name, expunge("other"), MOVED);
    await ok(expunge("id-user-p26"));
    const [line = ""] = await data(`GET FULLMAILBOX ${name}`);
    const record = /HIGHESTMODSEQ 4 .*UID 1 MODSEQ 4 LAST_UPDATED 1700000100 (.*)/.exec(line)?.[1];
    expect(record).toMatch(/^FLAGS \(\\Expunged \\Seen \$Label1\)/);
  });

  test("27: unknown keys are nothing; every command that lacks a key says which", async () => {
    await ok(apply("user.p27", { XFUTURE: "(a %(b c))" }));
    await ok("APPLY SUB %(USERID p27 MBOXNAME user.p27 COLOUR blue)");
    const lacking: Readonly<Record<string, string>> = {
      "GET FETCH %(MBOXNAME a PARTITION b UNIQUEID c UID 1)": "GUID",
      "GET FETCH_SIEVE %(USERID a)": "FILENAME",
      "APPLY RESERVE %(PARTITION a GUID ())": "MBOXNAME",
      "APPLY RENAME %(OLDMBOXNAME a PARTITION b)": "NEWMBOXNAME",
      "APPLY EXPUNGE %(MBOXNAME a UID (1))": "UNIQUEID",
      "APPLY QUOTA %(LIMIT 1)": "ROOT",
      "APPLY SEEN %(USERID a UNIQUEID b LASTREAD 1 LASTUID 1 LASTCHANGE 1)": "SEENUIDS",
      "APPLY SUB %(USERID a)": "MBOXNAME",
      "APPLY ANNOTATION %(MBOXNAME a ENTRY b USERID c)": "VALUE",
      "APPLY SIEVE %(USERID a FILENAME b LAST_UPDATE 1)": "CONTENT",
      "APPLY UNACTIVATE_SIEVE %(A b)": "USERID",
      "APPLY UNUSER (a b)": "UNUSER",
    };
    for (const [line, key] of Object.entries(lacking)) {
      expect([line, await say(line)]).toEqual([
        line,
        `NO IMAP_PROTOCOL_BAD_PARAMETERS near ${key}`,
      ]);
    }
    const broken = record({}).replace(" GUID", " XGUID");
    expect(await say(apply("user.p27", {}, [broken]))).toBe(
      "NO IMAP_PROTOCOL_ERROR Protocol error",
    );
  });

  test("28: CAPABILITIES says what is enabled of what was asked, and () for nothing", async () => {
    expect(await ok("APPLY CAPABILITIES (FOO)")).toMatchObject({ data: ["ENABLED ()"] });
    const other = await Csync.signedIn(server.port);
    expect((await other.command("APPLY CAPABILITIES (SIEVE-MAILBOX FOO)")).data).toEqual([
      "ENABLED (SIEVE-MAILBOX)",
    ]);
    const sieve = apply("user.p28.#sieve", { MBOXTYPE: "f" });
    expect((await other.command(sieve)).status).toBe("OK success");
    expect(await say(sieve)).toStartWith("NO IMAP_PROTOCOL_BAD_PARAMETERS ");
    other.close();
  });

  test("29: FORCE lasts as long as its session", async () => {
    const name = "user.p29";
    await filled(name);
    const lower = apply(name, { HIGHESTMODSEQ: 3 });
    const forcing = await Csync.signedIn(server.port);
    expect((await forcing.command("APPLY FORCE %()")).status).toBe("OK success");
    await refuses(name, lower, CHECKSUM);
    expect((await forcing.command(lower)).status).toBe("OK success");
    forcing.close();
    const next = await Csync.signedIn(server.port);
    expect((await next.command(apply(name, { HIGHESTMODSEQ: 2 }))).status).toBe(CHECKSUM);
    next.close();
  });

  test("29: under FORCE a mailbox may be ahead or another one, nothing else", async () => {
    const forcing = await Csync.signedIn(server.port);
    await forcing.command("APPLY FORCE %()");
    const given = async (name: string, fields: Fields, records: readonly string[] = []) => {
      await filled(name);
      return (await forcing.command(apply(name, fields, records))).status;
    };
    for (const [number, fields] of [
      { LAST_UID: 0 },
      { UIDVALIDITY: 5 },
      { UNIQUEID: "another", LAST_UID: 0, HIGHESTMODSEQ: 2 },
    ].entries()) {
      expect(await given(`user.p29f${number}`, fields)).toBe("OK success");
    }
    const changed = "NO IMAP_SYNC_CHANGED Changed since last sync";
    const lower = record({ MODSEQ: 3, FLAGS: "(\\Seen $Label1)" });
    const refused: [string, string, Fields, string[]?][] = [
      ["user.p29a", changed, { HIGHESTMODSEQ: 5, SINCE_MODSEQ: 3 }],
      ["user.p29b", changed, { HIGHESTMODSEQ: 5, SINCE_MODSEQ: 4, SINCE_CRC: 42 }],
      ["user.p29c", CHECKSUM, { HIGHESTMODSEQ: 3, SYNC_CRC: 42 }],
      ["user.p29d", CHECKSUM, { HIGHESTMODSEQ: 5 }, [record({ GUID: C.guid })]],
      ["user.p29e", CHECKSUM, { HIGHESTMODSEQ: 5 }, [lower]],
    ];
    for (const [name, status, fields, records] of refused) {
      expect([name, await given(name, fields, records)]).toEqual([name, status]);
    }
    expect((await forcing.command("NOOP")).status).toBe("OK Nothing done");
    forcing.close();
  });

  test("a client of 2.4 is told of a mismatch in its own word", async () => {
    await filled("user.p24c");
    const old = await Csync.signedIn(server.port);
    const line = apply("user.p24c", { SYNC_CRC: 42 })
      .replace(/SYNC_CRC_ANNOT 0 |POP3_SHOW_AFTER 0 |(CREATED|FOLDER)MODSEQ 1 /g, "")
      .replace("RECORD ()", "RECORD (\r\n  )");
    expect((await old.command(line)).status).toBe("NO IMAP_MAILBOX_CRC Checksum Failure");
    old.close();
  });
});

describe("many sessions", () => {
  test("write to one user at the same time, one after the other", async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => Csync.signedIn(server.port)));
    const file = `%{default ${A.guid} ${A.bytes.length}}\r\n${A.bytes}`;
    const replies = await Promise.all(
      others.map(async (other, number) => {
        await other.command(`APPLY MESSAGE (${file})`);
        const own = await other.command(apply(`user.many.f${number}`, {}, [FLAGGED]));
        const same = await other.command(apply("user.many", {}, [FLAGGED]));
        return [own.status, same.status];
      }),
    );
    expect(replies.flat().filter((status) => status !== "OK success")).toEqual([]);
    expect(await data("GET USER many")).toHaveLength(9);
    for (const other of others) other.close();
  });
});
