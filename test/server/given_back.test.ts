/**
 * What a client sends is refused or given back as it came, whatever its fields hold: nothing is
 * kept that spoils later answers.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { bytesOf, kvlistOf, lookUp } from "../../src/formats/dlist/access.ts";
import { printLine } from "../../src/formats/dlist/print.ts";
import { dlistKvlist, dlistList, dlistString } from "../../src/formats/dlist/value.ts";
import { Csync } from "../support/csync.ts";
import { parseLine } from "../support/dlist_line.ts";
import { asyncProperty } from "../support/property.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { verifyStore } from "../support/store_verify.ts";

const MESSAGE = "Subject: odd\r\n\r\nText\r\n";
const GUID = new Bun.CryptoHasher("sha1").update(MESSAGE).digest("hex");

/** In latin1. */
type Fields = Readonly<Record<string, string>>;

/** Odd values are few, as one of them is enough to have all fields refused. */
const mostly = (odd: fc.Arbitrary<string>, ...good: readonly string[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: odd });

const odd = fc.oneof(
  fc.constantFrom("", "NIL", "a b", '"\\', "a\tb", "a\nb", "a\r", "\0", "a\0b", "\xff", "*"),
  fc.constantFrom("../../x", "user.q", "{5+}", "%(A B)", "z".repeat(5000), "1,", "1 2", "0"),
  fc.string({ unit: "binary-ascii", maxLength: 12 }),
);
const words = mostly(odd, "x", "NIL", "1a", "a-b", "\xff");
const acls = mostly(odd, "", "p\tlrs\t", "p\tlrs\tgroup:x y\tl\t");
const numbers = mostly(
  fc.constantFrom(
    ...["2147483648", "4294967296", "9007199254740991", "9007199254740993", "9223372036854775807"],
    ...["9223372036854775808", "18446744073709551615", "18446744073709551616"],
    ...["-1", "1.5", "1e3", " 1", ""],
  ),
  ...["0", "1", "7", "1700000000", "4294967295"],
);
const sets = mostly(
  fc.oneof(fc.constantFrom("0", "1:", "*", "1:*", "1,", ":", "4294967296", "1 2"), odd),
  ...["", "1", "1:5,9", "9,1:5", "5:1"],
);

const MAILBOX: Fields = {
  ...{ UNIQUEID: "id-p", MBOXNAME: "user.p", LAST_UID: "0", HIGHESTMODSEQ: "9", RECENTUID: "0" },
  ...{ RECENTTIME: "0", LAST_APPENDDATE: "0", POP3_LAST_LOGIN: "0", POP3_SHOW_AFTER: "0" },
  ...{ UIDVALIDITY: "1700000000", PARTITION: "default", ACL: "p\tlrs\t", OPTIONS: "P" },
};

interface Kind {
  /** Fields with any values. */
  readonly fields: fc.Arbitrary<Fields>;
  /** What shows them again, by the name of its lines. */
  readonly get: string;
  readonly shows: string;
  /** The fields by which the line is found. */
  readonly key: readonly string[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  SEEN: {
    fields: fc.record({
      ...{ USERID: fc.constant("p"), UNIQUEID: words, LASTREAD: numbers, LASTUID: numbers },
      ...{ LASTCHANGE: numbers, SEENUIDS: sets },
    }),
    ...{ get: "GET META p", shows: "SEEN", key: ["UNIQUEID"] },
  },
  SIEVE: {
    fields: fc.record({
      USERID: fc.constant("p"),
      FILENAME: words.map((word) => `${word}.script`),
      LAST_UPDATE: numbers,
      CONTENT: fc.constant("keep;"),
    }),
    ...{ get: "GET META p", shows: "SIEVE", key: ["FILENAME"] },
  },
  QUOTA: {
    fields: fc.record({
      ...{ ROOT: fc.constantFrom("user.p", "user.p.Sub"), STORAGE: numbers, MESSAGE: numbers },
      ...{ "ANNOTATION-STORAGE": numbers, MAILBOX: numbers, MODSEQ: numbers },
    }),
    ...{ get: "GET QUOTA user.p", shows: "QUOTA", key: ["ROOT"] },
  },
  ANNOTATION: {
    fields: fc.record({
      MBOXNAME: fc.constant("user.p"),
      ...{ ENTRY: words, USERID: words, VALUE: words },
    }),
    ...{ get: "GET ANNOTATION user.p", shows: "ANNOTATION", key: ["ENTRY", "USERID"] },
  },
  MAILBOX: {
    fields: fc
      .record(
        {
          ...{ JMAPID: words, QUOTAROOT: words, USERGROUPS: words, PARTITION: words, ACL: acls },
          ...{ XCONVMODSEQ: numbers, RACLMODSEQ: numbers, FOLDERMODSEQ: numbers },
          ...{ HIGHESTMODSEQ: numbers, CREATEDMODSEQ: numbers, LAST_UID: numbers },
          ...{ RECENTUID: numbers, RECENTTIME: numbers, LAST_APPENDDATE: numbers },
          ...{ POP3_LAST_LOGIN: numbers, UIDVALIDITY: numbers, COMPACT_EMAILIDS: numbers },
        },
        { requiredKeys: [] },
      )
      .map((fields) => ({ ...MAILBOX, ...fields, MBOXNAME: "user.p.New", UNIQUEID: "id-new" })),
    ...{ get: "GET MAILBOXES (user.p.New)", shows: "MAILBOX", key: ["MBOXNAME"] },
  },
};

function line(name: string, fields: Fields): Uint8Array {
  const pairs = Object.entries(fields).map(
    ([key, text]) => [key, dlistString(fromLatin1(text))] as const,
  );
  const value = dlistKvlist([...pairs, ["RECORD", name === "MAILBOX" ? dlistList([]) : undefined]]);
  return new Uint8Array([
    ...fromLatin1("APPLY "),
    ...printLine(name, value, { from: "client" }),
    ...fromLatin1("\r\n"),
  ]);
}

describe("what a client sends", () => {
  let server: TestServer;
  let client: Csync;

  async function apply(name: string, fields: Fields): Promise<string> {
    client.send(line(name, fields));
    return (await client.reply()).status;
  }

  beforeAll(async () => {
    server = await testServer();
    client = await Csync.signedIn(server.port);
    expect(await apply("MAILBOX", MAILBOX)).toStartWith("OK");
  });

  afterAll(async () => {
    client.close();
    await server.stop();
  });

  test.each(Object.keys(KINDS))(
    "in %s is refused, or given back as it came",
    async (name) => {
      const kind = KINDS[name] as Kind; // its own key
      let taken = 0;
      await asyncProperty(kind.fields, async (fields) => {
        const status = await apply(name, fields);
        if (!status.startsWith("OK")) {
          expect(status).toMatch(/^(NO|BAD) IMAP_PROTOCOL/);
          return;
        }
        taken++;
        const get = name === "QUOTA" ? `GET QUOTA ${fields["ROOT"]}` : kind.get;
        const { data, status: got } = await client.command(get);
        expect(got).toBe("OK success");
        const shown = data
          .map((text) => parseLine(fromLatin1(text)))
          .filter((entry) => entry.name === kind.shows)
          .map(({ value }) => kvlistOf(value, name));
        const text = (value: (typeof shown)[number], key: string) => {
          const found = lookUp(value, key);
          return found === undefined || found.kind === "nil" ? found : latin1(bytesOf(found, key));
        };
        const own = shown.find((value) =>
          kind.key.every((key) => text(value, key) === fields[key]),
        );
        if (own === undefined) throw new Error(`not shown: ${JSON.stringify(fields)}`);
        const sent = Object.keys(fields).filter((key) => !["USERID", "CONTENT"].includes(key));
        const back = Object.fromEntries(sent.map((key) => [key, text(own, key)]));
        expect(back).toEqual(Object.fromEntries(sent.map((key) => [key, fields[key]])));
        if (name === "MAILBOX") await client.command("APPLY UNMAILBOX user.p.New");
      });
      // Some are, or nothing was tried.
      expect(taken).toBeGreaterThan(2);
    },
    600_000,
  );

  const VENDOR = "/vendor/cmu/cyrus-imapd";
  const odd = (entry: string, value: string, userid = "", modseq = 0) =>
    `%(ENTRY ${entry} USERID "${userid}" MODSEQ ${modseq} VALUE ${value})`;
  const OK = odd("/comment", "x");
  test.each<readonly [what: string, annotations: string, uid?: number, modseq?: number]>([
    ["a UID over LAST_UID", OK, 10],
    ["a modseq over HIGHESTMODSEQ", OK, 1, 10],
    ["no UID", OK, 0],
    ["one annotation twice", `${OK} ${OK}`],
    ["an entry with a NUL", odd("{3+}\r\n/a\0", "x")],
    ["a thread id that is none", odd(`${VENDOR}/thrid`, "zzzz")],
    ["a private thread id", odd(`${VENDOR}/thrid`, "00000000000000ff", "p")],
    ["a savedate of twenty digits", odd(`${VENDOR}/savedate`, "99999999999999999999")],
    ["a savedate of 33 bits, with a modseq", odd(`${VENDOR}/savedate`, "4294967296", "", 1)],
    ["no nanoseconds", odd(`${VENDOR}/internaldate.nsec`, "1000000000")],
    ["a createdmodseq of 65 bits", odd(`${VENDOR}/createdmodseq`, "18446744073709551616")],
  ])("in a record with %s is refused", async (_, annotations, uid = 1, modseq = 1) => {
    const record =
      `%(UID ${uid} MODSEQ ${modseq} LAST_UPDATED 1 FLAGS () INTERNALDATE 1 ` +
      `SIZE ${MESSAGE.length} GUID ${GUID} ANNOTATIONS (${annotations}))`;
    const fields = { ...MAILBOX, MBOXNAME: "user.p.Odd", UNIQUEID: "id-odd", LAST_UID: "9" };
    const text = latin1(line("MAILBOX", fields)).trimEnd();
    await client.command(`APPLY MESSAGE (%{default ${GUID} ${MESSAGE.length}}\r\n${MESSAGE})`);
    const { status } = await client.command(text.replace("RECORD ()", `RECORD (${record})`));
    expect(status).toBe("NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters");
    expect((await client.command("GET MAILBOXES (user.p.Odd)")).data).toEqual([]);
  });

  test("in flags for which cyrus.header has no room is refused", async () => {
    const flags = Array.from({ length: 128 }, (_, at) => `f${at}`.padEnd(131_072, "x")).join(" ");
    const fields = { ...MAILBOX, MBOXNAME: "user.p.Flags", UNIQUEID: "id-flags" };
    const text = latin1(line("MAILBOX", fields)).trimEnd();
    const { status } = await client.command(text.replace("RECORD", `USERFLAGS (${flags}) RECORD`));
    expect(status).toStartWith("NO ");
    expect((await client.command("GET USER p")).status).toBe("OK success");
  });

  test("leaves a store that is sound", () => {
    verifyStore(server.root);
  });
});
