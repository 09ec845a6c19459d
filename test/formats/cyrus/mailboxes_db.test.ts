import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../../src/core/bytes.ts";
import { readDatabase } from "../../../src/formats/cyrus/databases/database.ts";
import type { DatabaseEntry } from "../../../src/formats/cyrus/databases/database_contents.ts";
import { dbNameOfInternal, internalOfDbName } from "../../../src/formats/cyrus/mailbox_dbname.ts";
import {
  type MailboxEntry,
  mailboxType,
  newEntryCache,
  parseMailboxEntry,
} from "../../../src/formats/cyrus/mailbox_entry.ts";
import { type MailboxesDb, parseMailboxesDb } from "../../../src/formats/cyrus/mailboxes_db.ts";
import { fixturePath, readOnlyFixture } from "../../support/fixtures.ts";
import {
  printJmapRecord,
  printNameRecord,
  printReverseAcl,
  printReverseAclsKept,
  printUniqueidRecord,
} from "../../support/formats/mailboxes_writer.ts";
import { property } from "../../support/property.ts";

const LISTED = [
  "legacy-paths",
  "uuid-paths",
  "conversations-3.6",
  "uuid-paths-3.12",
  "uuid-paths-master",
  "cyrus-3.10",
];
const OTHERS = ["index-versions", "index-versions-master", "damaged"];

function recordsOf(root: string): readonly DatabaseEntry[] {
  const database = readDatabase(readFileSync(join(root, "conf/mailboxes.db")));
  return database.kind === "read" ? database.entries : expect.unreachable();
}

function record(key: string, value: string): DatabaseEntry {
  return { key: fromLatin1(key), value: fromLatin1(value) };
}

/** An entry as `ctl_mboxlist -d` of the server that wrote it shows it. */
function shown(entry: MailboxEntry): Record<string, unknown> {
  const common = (of: Pick<MailboxEntry, "name" | "mtime" | "uidvalidity" | "type">) => ({
    name: of.name,
    mtime: `${of.mtime}`,
    uidvalidity: `${of.uidvalidity}`,
    mbtype: of.type.text,
  });
  return {
    ...common(entry),
    createdmodseq: `${entry.createdmodseq}`,
    foldermodseq: `${entry.foldermodseq}`,
    ...(entry.partition === undefined ? {} : { partition: entry.partition }),
    acl: Object.fromEntries(entry.acl.map(({ identifier, rights }) => [identifier, rights])),
    uniqueid: entry.uniqueid,
    ...(entry.jmapid === undefined ? {} : { jmapId: entry.jmapid }),
  };
}

describe("parseMailboxesDb()", () => {
  for (const fixture of LISTED) {
    test(`reads what Cyrus itself lists of ${fixture}`, () => {
      const db = parseMailboxesDb(recordsOf(readOnlyFixture(`cyrus-spools/${fixture}`)));
      expect(db).toMatchObject({ generation: "keyed", problems: [] });
      const expected: Record<string, Record<string, unknown>> = JSON.parse(
        readFileSync(fixturePath(`cyrus-spools/${fixture}.mailboxes.json`), "utf8"),
      );
      for (const entry of db.names) {
        const { name_history: _, ...facts } = expected[entry.name] ?? {};
        expect(shown(entry)).toEqual(facts);
      }
      expect(db.names.map((entry) => entry.name).sort()).toEqual(Object.keys(expected).sort());
      const live = db.names.filter((entry) => !entry.type.deleted);
      expect(db.uniqueids.map(byName).sort()).toEqual(live.map(byName).sort());
    });
  }

  for (const fixture of [...LISTED, ...OTHERS]) {
    test(`reads every record of ${fixture}, former names and tombstones too`, () => {
      const records = recordsOf(readOnlyFixture(`cyrus-spools/${fixture}`));
      const db = parseMailboxesDb(records);
      expect(db.problems).toEqual([]);
      expect(db.names.length + db.uniqueids.length + db.jmapids.length).toBe(records.length);
      for (const entry of db.uniqueids) {
        const former = entry.history.map(({ name }) => name);
        const tombstones = db.names.filter((other) => other.type.deleted && isSame(entry, other));
        for (const { name } of tombstones) expect(former).toContain(name);
      }
    });
  }

  test.each([
    ["cyrus-2.4", "text", 17],
    ["cyrus-3.4", "dlist", 23],
  ] as const)("reads what Cyrus itself lists of %s, in its own text form", (name, form, count) => {
    const db = parseMailboxesDb(recordsOf(readOnlyFixture(`cyrus-spools/${name}`)));
    expect(db).toMatchObject({ generation: form, problems: [], uniqueids: [] });
    const listed = readFileSync(fixturePath(`cyrus-spools/${name}.mailboxes.txt`), "latin1");
    expect(listed.trimEnd().split("\n")).toHaveLength(count);
    const lines = db.names
      .filter(({ type }) => !type.intermediate) // ctl_mboxlist leaves them out
      .map(({ name, type, partition, acl }) => {
        const rights = acl.map(({ identifier, rights }) => `${identifier}\t${rights}\t`).join("");
        return type.deleted ? `${name}\t16 (null) \n` : `${name}\t0 ${partition} ${rights}\n`;
      });
    expect(lines.join("")).toBe(listed);
  });

  test("reads the text form of Cyrus 2.4 and before", () => {
    const db = parseMailboxesDb([
      record("user.fred", "0 default fred\tlrswipcda\tanyone\tp\t"),
      record("user.fred.Gone", "1 backend.example!part fred\tlrs\t"),
      record("user.gone", "16 default "),
      record("user.new", "(uniqueid 54b3aa81 specialuse \\Sent) 8 ssd fred\tlrs\t"),
    ]);
    expect(db).toMatchObject({ generation: "text", problems: [], uniqueids: [] });
    expect(db.names).toMatchObject([
      { name: "user.fred", partition: "default", type: { text: "el", legacy: true } },
      { server: "backend.example", partition: "part", type: { remote: true } },
      { type: { deleted: true }, acl: [] },
      { uniqueid: "54b3aa81", partition: "ssd", type: { moving: true } },
    ]);
    expect(db.names[0]?.acl).toEqual([
      { identifier: "fred", rights: "lrswipcda" },
      { identifier: "anyone", rights: "p" },
    ]);
  });

  test("reads the dlist form of Cyrus 2.5 to 3.4 under plain names", () => {
    const db = parseMailboxesDb([
      record("$RACL$S$", "2"),
      record("$RACL$U$bob$user.fred", ""),
      record("$RUNQ$54b3aa81$user.fred", ""),
      record("INBOXES.N", "%(I 3344 P default V 6 C 1 F 2 M 77 A %(anyone lrs))"),
      record("user.fred", "%(T e I 54b3aa81 P default V 5 C 1 F 2 M 77 A %(fred lrs bob r))"),
    ]);
    expect(db).toMatchObject({ generation: "dlist", problems: [], reverseAclsKept: true });
    expect(db.reverseAcls).toEqual([{ owner: "user", identifier: "bob", name: "user.fred" }]);
    expect(db.names.map(({ name, uniqueid, type }) => [name, uniqueid, type.text])).toEqual([
      ["INBOXES.N", "3344", ""],
      ["user.fred", "54b3aa81", "e"],
    ]);
  });

  test("reads reverse ACLs, group records, domains, quoted and literal names", () => {
    const db = parseMailboxesDb([
      record("AS\x1e", ""),
      record("AU\x1ebob\x1euser\x1ffred\x1fA.b", ""),
      record("AS\x1egroup:staff\x1eshared", ""),
      record("UGbob\x1egroup:staff", ""),
      record("Nex.org\x1duser\x1ffred\x1fA.b", "%(T e I a1 P default V 5 C 1 F 2 M 77 A %(f lrs))"),
      record("Ia1", '%(T e N {15}\r\nex.org\x1duser\x1fA"b P NIL V 5 M 77 A %("f g" lrs) H ())'),
    ]);
    expect(db.problems).toEqual([]);
    expect(db.reverseAclsKept).toBe(true);
    expect(db.reverseAcls).toEqual([
      { owner: "user", identifier: "bob", name: "user.fred.A^b" },
      { owner: "shared", identifier: "group:staff", name: "shared" },
    ]);
    expect(db.names[0]?.name).toBe("ex.org!user.fred.A^b");
    expect(db.uniqueids[0]).toMatchObject({
      name: 'ex.org!user.A"b',
      partition: undefined,
      createdmodseq: 0n,
      acl: [{ identifier: "f g", rights: "lrs" }],
    });
  });

  test("turns each record it cannot read into a problem and reads on", () => {
    const good = record("Nuser\x1ffred", "%(T e I a1 P default V 5 C 1 F 2 M 77 A %(f lrs))");
    const bad = [
      record("Nuser\x1fa", "%(T e I a1 P default V 99999999999)"),
      record("Nuser\x1fb", "%(T q)"),
      record("Nuser\x1fc", "%(T e I a1"),
      record("Nuser\x1fd", ""),
      record("Ia2", "%(T e P default V 5)"),
      record("Jfred", "%(T e N x)"),
      record("AX\x1e", ""),
      record("\x00", ""),
    ];
    const db = parseMailboxesDb([...bad, good]);
    expect(db.problems.map(({ key }) => key)).toEqual(bad.map(({ key }) => latin1(key)));
    expect(db.names).toHaveLength(1);
  });

  test("never throws on random values", () => {
    const noise = fc.uint8Array({ maxLength: 60 });
    property(fc.array(fc.tuple(noise, noise), { maxLength: 5 }), (pairs) => {
      parseMailboxesDb(pairs.map(([key, value]) => ({ key, value })));
    });
  });
});

describe("records of mailboxes.db", () => {
  for (const fixture of ["uuid-paths-3.12", "uuid-paths-master"]) {
    test(`of ${fixture} are printed byte for byte`, () => {
      const records = recordsOf(readOnlyFixture(`cyrus-spools/${fixture}`));
      expect(printAll(parseMailboxesDb(records)).map(shownRecord).sort()).toEqual(
        records.map(shownRecord).sort(),
      );
    });
  }

  const text = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
    minLength: 1,
    maxLength: 12,
  });
  const name = fc.array(
    text.map((level) => level.replace(/[.^!\x1d-\x1f]/g, "_")),
    { minLength: 1, maxLength: 3 },
  );
  const letters = fc.constantFrom("e", "el", "edl", "f", "ei", "c", "d", "r");
  const modseq = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

  test("are read back as they were, whatever is in them", () => {
    const cache = newEntryCache();
    const entries = fc.record({
      name: name.map((levels) => levels.join(".")),
      uniqueid: text,
      jmapid: fc.option(text, { nil: undefined }),
      type: letters.map((each) => mailboxType(each, cache)),
      partition: fc.option(text, { nil: undefined }),
      server: fc.option(text, { nil: undefined }),
      uidvalidity: fc.nat(0xffff_ffff),
      createdmodseq: modseq,
      foldermodseq: modseq,
      mtime: fc.nat(),
      acl: fc.array(fc.record({ identifier: text, rights: text }), { maxLength: 3 }),
      history: fc.constant([]),
    });
    property(entries, (entry) => {
      const facts = { name: entry.name };
      const options = { cache: newEntryCache() };
      expect(parseMailboxEntry(printNameRecord(entry).value, facts, options)).toEqual(entry);
      const id = { uniqueid: entry.uniqueid };
      expect(parseMailboxEntry(printUniqueidRecord(entry).value, id, options)).toEqual(entry);
    });
  });
});

describe("internalOfDbName()", () => {
  test("turns each form into the other", () => {
    for (const [dbName, internal] of [
      ["user\x1ffred", "user.fred"],
      ["user\x1ffred.b\x1fA.b.c", "user.fred^b.A^b^c"],
      ["ex.org\x1duser\x1ffred", "ex.org!user.fred"],
      ["shared", "shared"],
    ] as const) {
      expect(internalOfDbName(dbName)).toBe(internal);
      expect(dbNameOfInternal(internal)).toBe(dbName);
    }
  });
});

function byName({ name, uniqueid }: MailboxEntry): string {
  return `${name} ${uniqueid}`;
}

function isSame(left: MailboxEntry, right: MailboxEntry): boolean {
  return left.uniqueid === right.uniqueid;
}

function shownRecord({ key, value }: DatabaseEntry): string {
  return `${latin1(key)} = ${latin1(value)}`;
}

function printAll(db: MailboxesDb): DatabaseEntry[] {
  const kept = db.reverseAclsKept ? [printReverseAclsKept()] : [];
  return [
    ...db.names.map(printNameRecord),
    ...db.uniqueids.map((entry) =>
      printUniqueidRecord({ ...entry, uniqueid: entry.uniqueid ?? "" }),
    ),
    ...db.jmapids.map(printJmapRecord),
    ...kept,
    ...db.reverseAcls.map(printReverseAcl),
  ];
}
