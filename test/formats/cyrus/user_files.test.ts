import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { fromLatin1, latin1, utf8, viewOf } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { parseCounters } from "../../../src/formats/cyrus/counters.ts";
import { readDatabase } from "../../../src/formats/cyrus/databases/database.ts";
import type { DatabaseEntry } from "../../../src/formats/cyrus/databases/database_contents.ts";
import { writeFlat } from "../../../src/formats/cyrus/databases/flat.ts";
import { parseQuota } from "../../../src/formats/cyrus/quota.ts";
import { parseSeen, seenEntry } from "../../../src/formats/cyrus/seen.ts";
import { parseSubscriptions, printSubscriptions } from "../../../src/formats/cyrus/sub.ts";
import { crc32 } from "../../../src/hash/crc32.ts";
import { flipped } from "../../support/databases.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";
import { printQuota } from "../../support/formats/user_files_writer.ts";
import { property } from "../../support/property.ts";

const FIXTURES = [
  "legacy-paths",
  "uuid-paths",
  "conversations-3.6",
  "uuid-paths-3.12",
  "uuid-paths-master",
];

/** Files below conf/ of a fixture whose path ends with one of `ends`. */
function confFiles(fixture: string, ends: RegExp): string[] {
  const root = join(readOnlyFixture(`cyrus-spools/${fixture}`), "conf");
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => ends.test(path))
    .map((path) => join(root, path));
}

function entriesOfFile(path: string): readonly DatabaseEntry[] {
  const database = readDatabase(readFileSync(path));
  expect(database).toMatchObject({ kind: "read", problems: [] });
  return database.kind === "read" ? database.entries : [];
}

describe("parseSeen()", () => {
  for (const fixture of FIXTURES) {
    test(`reads what bob has seen of ann's INBOX in ${fixture}`, () => {
      const [path = "", ...more] = confFiles(fixture, /seen$|seen\.db$/);
      expect(more).toEqual([]);
      const entries = entriesOfFile(path);
      expect(entries.map(parseSeen)).toMatchObject([{ lastuid: 17, seenuids: "1:4" }]);
      for (const entry of entries) expect(seenEntry(parseSeen(entry))).toEqual(asBytes(entry));
    });
  }

  test("reads an empty set, with the space before it or without", () => {
    for (const value of ["1 5 6 7 ", "1 5 6 7"]) {
      const seen = parseSeen({ key: utf8("id"), value: utf8(value) });
      expect(seen).toEqual({
        uniqueid: "id",
        lastread: 5,
        lastuid: 6,
        lastchange: 7,
        seenuids: "",
      });
    }
  });

  test("refuses another version, missing numbers and other letters", () => {
    for (const value of ["", "2 5 6 7 1", "1 5 6", "1 5 x 7 1", "1 5 6 7 1:b", "1 5 6 7 1\0"]) {
      expect(() => parseSeen({ key: utf8("id"), value: utf8(value) })).toThrow(FormatError);
    }
  });
});

describe("parseSubscriptions()", () => {
  for (const fixture of FIXTURES) {
    test(`reads and prints ann's subscriptions of ${fixture}`, () => {
      const [path = ""] = confFiles(fixture, /sub$|sub\.db$/);
      const options = { inbox: "user.ann" };
      const subscriptions = parseSubscriptions(entriesOfFile(path), options);
      expect(subscriptions.names).toEqual(["user.ann", "user.ann.Sent", "user.ann.Two Words"]);
      expect(subscriptions.version).toBe(/3.12|master/.test(fixture) ? 3 : 2);
      const printed = writeFlat(printSubscriptions(subscriptions, options));
      expect(latin1(printed)).toBe(latin1(readFileSync(path)));
    });
  }

  test("reads the plain names of Cyrus 3.4 and before", () => {
    const entries = ["user.ann", "user.ann.a^b"].map((key) => ({
      key: utf8(key),
      value: utf8(""),
    }));
    const subscriptions = parseSubscriptions(entries, { inbox: "user.ann" });
    expect(subscriptions).toEqual({ version: 0, names: ["user.ann", "user.ann.a^b"], unknown: [] });
    expect(printSubscriptions(subscriptions, { inbox: "user.ann" })).toEqual(entries.map(asBytes));
  });

  test("keeps mailboxes of others apart from the user's own, in domains too", () => {
    const names = ["ex.org!user.ann^b", "ex.org!user.ann^b.Sent", "ex.org!user.annex", "shared.x"];
    const options = { inbox: "ex.org!user.ann^b" };
    const printed = printSubscriptions({ version: 3, names }, options);
    expect(printed.map(({ key }) => latin1(key))).toEqual([
      "\x1fVER\x1f",
      "NINBOX",
      "NINBOX\x1fSent",
      "Nex.org\x1duser\x1fannex",
      "Nshared\x1fx",
    ]);
    expect(parseSubscriptions(printed, options)).toEqual({ version: 3, names, unknown: [] });
  });

  test("names keys of no known form and a version that is no number", () => {
    const entries = ["\x1fVER\x1f", "INBOX"].map((key) => ({
      key: fromLatin1(key),
      value: utf8("x"),
    }));
    expect(parseSubscriptions(entries, { inbox: "user.ann" })).toEqual({
      version: -1,
      names: [],
      unknown: ["INBOX"],
    });
  });
});

describe("parseQuota()", () => {
  for (const fixture of FIXTURES) {
    test(`reads and prints the quota root of ${fixture}`, () => {
      const [path = ""] = confFiles(fixture, /quota\/.\/user\.ann$/);
      const bytes = readFileSync(path);
      const root = parseQuota(bytes);
      expect(root.resources).toMatchObject({ S: { limit: 1000000n }, M: { limit: undefined } });
      expect(root.resources.NF.used).toBe(13n);
      expect(latin1(printQuota(root))).toBe(latin1(bytes));
    });
  }

  test("reads the older forms, with what a broken quota -f left in them", () => {
    const use = (used: bigint, limit?: bigint) => ({ used, limit });
    const none = use(0n);
    expect(parseQuota(utf8("1024 100\n"))).toEqual({
      resources: { S: use(1024n, 100n), M: none, AS: none, NF: none },
      modseq: 0n,
      scanning: false,
      listed: new Set(["S"] as const),
    });
    expect(parseQuota(utf8("1024\n-1\n"))).toMatchObject({ resources: { S: use(1024n) } });
    expect(parseQuota(utf8("1024 100 77 M 5 -1 AS 6 7 8"))).toMatchObject({
      resources: { S: use(1024n, 100n), M: use(5n), AS: use(6n, 7n), NF: none },
      listed: new Set(["S", "M", "AS"] as const),
    });
  });

  test("knows a quota -f under way, and a list that is not complete", () => {
    const root = parseQuota(utf8("%(S (5) SCAN %(MBOX user.fred S 3) MODSEQ 9)"));
    expect(root).toMatchObject({ scanning: true, modseq: 9n, listed: new Set(["S"] as const) });
  });

  test("refuses anything else, and never throws but FormatError", () => {
    for (const text of ["", "x", "5", "5 y", "5 6 Q 1 2", "%(S 5)", "%(S (x))", "%(", "(S (5))"]) {
      expect(() => parseQuota(utf8(text))).toThrow(FormatError);
    }
    property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        parseQuota(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});

describe("parseCounters()", () => {
  test("reads the counters of real users and of the shared namespace", () => {
    for (const fixture of ["conversations-3.6", "uuid-paths-3.12", "uuid-paths-master"]) {
      const paths = confFiles(fixture, /counters(\.db)?$/);
      expect(paths.length).toBeGreaterThan(1);
      for (const path of paths) {
        const counters = parseCounters(readFileSync(path));
        expect(counters).toMatchObject({ version: 9 });
        expect(counters.highestmodseq).toBeGreaterThan(0n);
        expect(counters.uidvalidity).toBeGreaterThan(1_700_000_000);
        if (basename(path) === "shared.counters") expect(counters.highestmodseq).toBe(4n);
      }
    }
  });

  const lengths = [48, 56, 64, 88, 104, 120, 200, 232, 264, 296];
  test("reads every version by its length, and refuses each under another", () => {
    lengths.forEach((length, version) => {
      const bytes = new Uint8Array(length);
      const view = viewOf(bytes);
      // The first releases wrote anything as version.
      view.setUint32(4, version === 0 ? 0xdeadbeef : version);
      view.setBigUint64(8, 7n);
      if (version >= 4) view.setBigUint64(80, 8n);
      if (version >= 4) view.setBigUint64(88, 9n);
      view.setUint32(length - 8, 77);
      view.setUint32(length - 4, crc32(bytes.subarray(0, length - 4)));
      const later = version >= 4 ? { quotamodseq: 8n, raclmodseq: 9n } : {};
      const facts = { generation: 0, version, highestmodseq: 7n, uidvalidity: 77 };
      expect(parseCounters(bytes)).toEqual({ ...facts, ...later });
      for (let cut = 0; cut < length; cut++) {
        expect(() => parseCounters(bytes.subarray(0, cut))).toThrow(FormatError);
      }
      for (let at = 8; at < length; at++) {
        expect(() => parseCounters(flipped(bytes, at))).toThrow(FormatError);
      }
    });
  });
});

/** The same entry in plain arrays: those of a file are views of its buffer. */
function asBytes({ key, value }: DatabaseEntry): DatabaseEntry {
  return { key: Buffer.from(key), value: Buffer.from(value) };
}
