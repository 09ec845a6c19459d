/**
 * Archives, and states beside them, that were made to do harm: what is wrong is found and named,
 * what is good can still be had, and nothing fails with a bug.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { runsOfArchive } from "../../../src/places/backup/read/archive_runs.ts";
import { backUp } from "../../support/backup.ts";
import {
  ANN,
  altered,
  archiveWith,
  type Base,
  baseArchive,
  codesOf,
  dataIn,
  entry,
  packed,
  STATE,
  STRANGE,
  tryAll,
} from "../../support/hostile_archive.ts";
import { newStorePlace, put } from "../../support/replication.ts";
import { randomOf } from "../../support/spool/random.ts";
import { record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const ALL = { "user.ann": [1, 2, 3], "user.ann.Sub": [4] };
const NOTHING = { "user.ann": [], "user.ann.Sub": [] };

let base: Base;
beforeAll(async () => {
  base = await baseArchive();
});
afterAll(() => base.source.close());

const EVIL = "../../../../../../tmp/bobbin-evil";
const SHA1 = "ab".repeat(20);
const ID = "1234567890abcdef";

/** Names that would lead somewhere, were they taken for a path, for SQL or for a line. */
const NAMES = [
  ...[`files/${EVIL}`, "/etc/bobbin-evil", `files//${SHA1}`, `./files/${SHA1}`, `files/${SHA1}/x`],
  ...[`folders/../${ID}/cyrus.header`, `folders/${ID}/../cyrus.header`, "folders//cyrus.index"],
  ...[`folders/${ID}/cyrus.${EVIL}`, `imap/${EVIL}/`, "imap//", "meta/", `meta/${EVIL}`, ""],
  ...[`files/${SHA1}'; DROP TABLE files; --`, "imap/a/b/", "meta/../seen", `FILES/${SHA1}`],
];
/** Such parts as a name may have: they are keys of rows and nothing else. */
const ODD_NAMES = [
  ...["meta/..", "meta/x'); DROP TABLE meta; --", "meta/a\nb\r\nc", "meta/\x1b[2J\x07\xff"],
  ...[`folders/${ID}/cyrus.x" OR 1=1`, `folders/${ID}/cyrus.$folderid`, `meta/${"n".repeat(3000)}`],
];

interface Hostile {
  readonly what: string;
  /** The stream; an array is several members. */
  readonly tar: () => Buffer | Buffer[];
  /** Among what verify finds. */
  readonly finds: readonly string[];
  /** What can be had; all of ann's mail if left out. */
  readonly reads?: Readonly<Record<string, readonly number[]>>;
}

const HOSTILE: readonly Hostile[] = [
  {
    what: "names, links and types that lead away, and names of rows with anything in them",
    tar: () => {
      const targets = [EVIL, "/etc/passwd", `folders/../${ID}`, "'; DROP TABLE imap; --"];
      const types = ["1", "3", "4", "5", "6", "7", "x", "g", "S", "V", "\xff"];
      return Buffer.concat([
        ...NAMES.map((name) => entry(name, "evil")),
        ...types.map((type) => altered(entry(`files/${SHA1}`), 156, type)),
        base.tar,
        ...targets.map((linkname, n) => {
          return entry(`imap/INBOX.${STRANGE}${n}/`, "", { type: "link", linkname });
        }),
        entry(`files/${SHA1}`, "", { type: "link", linkname: "/etc/passwd" }),
        entry("imap/INBOX/", "a file"),
        entry(`files/${SHA1}`, "another content"),
        ...ODD_NAMES.map((name) => entry(name, "odd")),
      ]);
    },
    finds: ["BK03", "BK04"],
  },
  {
    what: "a name over the limit",
    tar: () => Buffer.concat([base.tar, entry(`meta/${"n".repeat(5000)}`, "x")]),
    finds: ["BK01"],
  },
  {
    what: "long names without end",
    tar: () => {
      const long = entry("x".repeat(200)).subarray(0, 1024);
      return Buffer.concat([base.tar, ...Array.from({ length: 50 }, () => long)]);
    },
    finds: ["BK01"],
  },
  {
    what: "a size beyond the end",
    tar: () => Buffer.concat([base.tar, entry(`files/${SHA1}`, "", { size: 8 ** 10 })]),
    finds: ["BK01"],
  },
  {
    what: "a size over the limit",
    tar: () => Buffer.concat([base.tar, entry("meta/x", "", { size: 8 ** 11 - 1 })]),
    finds: ["BK01"],
  },
  {
    what: "a size that is no number",
    tar: () => Buffer.concat([base.tar, altered(entry("meta/x"), 124, "\x80\xff\xff\xff\xff")]),
    finds: ["BK01"],
  },
  {
    what: "a time of twelve digits",
    tar: () => {
      const late = (one: Buffer) => altered(one.subarray(0, 512), 136, "7".repeat(12));
      const link = { type: "link", linkname: ID } as const;
      return Buffer.concat([base.tar, late(entry(`imap/INBOX.${STRANGE}/`, "", link))]);
    },
    finds: ["BK08"],
  },
  {
    what: "two sizes of one file",
    tar: () => Buffer.concat([entry("meta/sub", "x".repeat(600), { size: 10 }), base.tar]),
    finds: ["BK01"],
    reads: {},
  },
  {
    what: "an index of zeros",
    tar: () => {
      const index = entry(`folders/${ID}/cyrus.index`, "\0".repeat(100_000));
      const link = entry(`imap/INBOX.${STRANGE}/`, "", { type: "link", linkname: ID });
      return Buffer.concat([base.tar, index, link]);
    },
    finds: ["BK07", "BK08"],
  },
  {
    what: "an index that has rotted",
    tar: () => {
      const rotten = Buffer.from(base.tar);
      const at = rotten.indexOf("/cyrus.index");
      rotten.write("rot", at - (at % 512) + 512 + 300);
      return rotten;
    },
    finds: ["BK03", "BK08"],
    reads: { "user.ann.Sub": [4] },
  },
  {
    what: "settings and runs of noise",
    tar: () => {
      const names = ["sub", "seen", "x-sieve", "x-quota", "x-run"];
      const noise = names.map((name) => entry(`meta/${name}`, `\x80\0${name}\n)((`.repeat(99)));
      return Buffer.concat([base.tar, ...noise]);
    },
    finds: ["BK07"],
  },
  { what: "blocks of zeros in the midst", tar: zerosInTheMidst, finds: ["BK01"], reads: {} },
  { what: "blocks of zeros at the end", tar: () => zerosAt(base.tar.length), finds: ["BK01"] },
  { what: "entries in reverse order", tar: reversed, finds: ["BK05"] },
  { what: "a gzip file within gzip", tar: () => gzipSync(base.tar), finds: ["BK01"], reads: {} },
  {
    what: "members of nothing",
    tar: () => [...Array.from({ length: 300 }, () => Buffer.alloc(0)), base.tar],
    finds: [],
  },
  {
    what: "members that end within entries",
    tar: () => [base.tar.subarray(0, 700), base.tar.subarray(700)],
    finds: ["BK01"],
    reads: {},
  },
  { what: "no gzip at all", tar: () => [], finds: [], reads: {} },
];

function zerosAt(at: number): Buffer {
  return Buffer.concat([base.tar.subarray(0, at), Buffer.alloc(1024), base.tar.subarray(at)]);
}

function zerosInTheMidst(): Buffer {
  return zerosAt(0);
}

/** The entries of a tar with short names, one by one. */
function entriesOf(tar: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < tar.length; ) {
    const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8);
    const end = at + 512 + Math.ceil(size / 512) * 512;
    entries.push(tar.subarray(at, end));
    at = end;
  }
  return entries;
}

function reversed(): Buffer {
  return Buffer.concat(entriesOf(base.tar).reverse());
}

describe("a hostile archive", () => {
  test.each(HOSTILE.map((one) => [one.what, one] as const))(
    "with %s",
    async (_, { tar, finds, reads = ALL }) => {
      const members = [tar()].flat();
      const trial = await tryAll(archiveWith(packed(...members)), base);
      expect(trial.codes).toEqual(expect.arrayContaining([...finds]));
      expect(trial.read).toMatchObject(reads);
      expect(trial.restored).toMatchObject({ ...NOTHING, ...reads });
      expect(trial.afterRun).toBe("whole");
    },
  );
});

/** A state beside the archive, and what is done to it. */
interface Lie {
  readonly what: string;
  readonly tell: (folder: string) => void;
  readonly finds: string;
}

function sql(...statements: string[]) {
  return (folder: string): void => {
    const database = new Database(join(folder, STATE));
    for (const statement of statements) database.run(statement);
    database.close();
  };
}

const LIES: readonly Lie[] = [
  ...[
    "UPDATE files SET offset = offset + 512 WHERE fileid = 2",
    "UPDATE x_entries SET offset = offset + 1 WHERE name = 'index'",
    "UPDATE x_entries SET sha1 = NULL, content = x'00' WHERE name = 'x-mailbox'",
    "DELETE FROM x_entries WHERE kind = 'link'",
    "UPDATE x_members SET coffset = 100",
    "INSERT INTO x_lacking SELECT folderid, 1, guid FROM folders, files WHERE fileid = 1",
  ].map((one) => ({ what: one, tell: sql(one), finds: "BK06" })),
  ...[
    "UPDATE files SET offset = 1000000000000",
    "UPDATE x_members SET size = 1 << 50",
    "UPDATE x_members SET coffset = -1",
    "UPDATE status SET offset = 1 << 60",
    "UPDATE status SET filename = '../../../etc/passwd'",
    "INSERT INTO status SELECT 'backupdata-2.tar.gz', size, mtime, offset, 5 FROM status",
    "UPDATE folders SET uniqueid = '../../x' WHERE folderid = 1",
    "CREATE VIEW evil AS SELECT 1",
    "CREATE TABLE evil (y, x AS (y + 1))",
    "CREATE TRIGGER evil AFTER INSERT ON x_entries BEGIN DELETE FROM x_entries; END",
  ].map((one) => ({ what: one, tell: sql(one), finds: "BK02" })),
  {
    what: "an endless view for a table",
    tell: sql(
      "DROP TABLE x_members",
      `CREATE VIEW x_members AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n)
        SELECT x AS coffset, x AS offset, x AS size FROM n`,
    ),
    finds: "BK02",
  },
  {
    what: "a trigger under a name of ours",
    tell: sql(
      "DROP TRIGGER upref",
      "CREATE TRIGGER upref AFTER INSERT ON indexed BEGIN DELETE FROM files; END",
    ),
    finds: "BK02",
  },
  {
    what: "noise",
    tell: (folder) => writeFileSync(join(folder, STATE), "noise ".repeat(3000)),
    finds: "BK02",
  },
  {
    what: "pages of noise",
    tell: (folder) => {
      const bytes = readFileSync(join(folder, STATE));
      bytes.fill("noise", 4096);
      writeFileSync(join(folder, STATE), bytes);
    },
    finds: "BK02",
  },
  { what: "nothing", tell: (folder) => writeFileSync(join(folder, STATE), ""), finds: "BK02" },
  {
    what: "a folder",
    tell: (folder) => {
      rmSync(join(folder, STATE));
      mkdirSync(join(folder, STATE));
    },
    finds: "BK02",
  },
  {
    what: "a link to another state",
    tell: (folder) => {
      const other = join(tempDir("elsewhere"), STATE);
      cpSync(join(folder, STATE), other);
      rmSync(join(folder, STATE));
      symlinkSync(other, join(folder, STATE));
    },
    finds: "BK02",
  },
  {
    what: "a pipe",
    tell: (folder) => {
      rmSync(join(folder, STATE));
      expect(Bun.spawnSync(["mkfifo", join(folder, STATE)]).exitCode).toBe(0);
    },
    finds: "BK02",
  },
];

function withState(tell: Lie["tell"]): string {
  const folder = join(tempDir("lies"), "ann");
  cpSync(base.folder, folder, { recursive: true });
  tell(folder);
  return folder;
}

describe("a state that lies", () => {
  test.each(LIES.map((one) => [one.what, one] as const))("by %s", async (_, { tell, finds }) => {
    const isBelieved = finds === "BK06";
    const trial = await tryAll(withState(tell), { ...base, isBelieved });
    expect(trial.codes).toContain(finds);
    if (!isBelieved) expect([trial.read, trial.restored]).toEqual([ALL, ALL]);
    expect(trial.afterRun).toBe("whole");
  });
});

/** Each column of each table with each value, in an order that a seed gives. */
function wrongValues(): string[] {
  const values = ["'x'", "x'00'", "-1", "9000000000000000000", "0.5", "NULL"];
  const database = new Database(join(base.folder, STATE), { readonly: true });
  const columns = database
    .query<{ name: string; column: string; isKey: number }, []>(
      `SELECT t.name AS name, c.name AS column, c.pk = 1 AND c.type = 'INTEGER' AS isKey
        FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'`,
    )
    .all();
  database.close();
  return columns.flatMap(({ name, column, isKey }) => {
    // Such a key takes nothing but numbers: what it does not take is no lie that a state can tell.
    const taken = values.filter((value) => isKey === 0 || /^-?\d+$/.test(value));
    return taken.map((value) => `UPDATE OR IGNORE ${name} SET ${column} = ${value}`);
  });
}

test("a state with any value in any column is found, or does no harm", async () => {
  const { below } = randomOf(20261201);
  const all = wrongValues();
  expect(all.length).toBeGreaterThan(200);
  const some = isLong ? all : Array.from({ length: 6 }, () => all[below(all.length)] ?? "");
  for (const statement of some) {
    const trial = await tryAll(withState(sql(statement)), { ...base, isBelieved: true });
    expect([statement, trial.afterRun]).toEqual([statement, "whole"]);
  }
}, 1_200_000);

test("an archive that is cut off anywhere is told so, and mended by a run", async () => {
  const { below } = randomOf(20261202);
  const data = readFileSync(dataIn(base.folder));
  const blocks = Array.from({ length: base.tar.length / 512 }, (_, n) => n * 512);
  const cuts = isLong ? blocks : Array.from({ length: 2 }, () => blocks[below(blocks.length)] ?? 0);
  const bytes = Array.from({ length: isLong ? 100 : 2 }, () => below(data.length));
  for (const cut of cuts) {
    const { codes, afterRun } = await tryAll(archiveWith(packed(base.tar.subarray(0, cut))), base);
    expect([cut, codes, afterRun]).toEqual([cut, expect.arrayContaining(["BK02"]), "whole"]);
  }
  for (const cut of bytes) {
    const { codes, afterRun } = await tryAll(archiveWith(data.subarray(0, cut)), base);
    expect([cut, codes, afterRun]).toEqual([cut, expect.arrayContaining(["BK01"]), "whole"]);
  }
}, 1_200_000);

test("an older state cuts off nothing of the runs that it does not know", async () => {
  const source = newStorePlace();
  await put(source, "user.ann", [record(1)]);
  const folder = join(tempDir("older"), "ann");
  await backUp(ANN, source, folder);
  const older = readFileSync(join(folder, STATE));
  await put(source, "user.ann.Sub", [record(2)]);
  await backUp(ANN, source, folder);
  await put(source, "user.ann.New", [record(3)]);
  const whole = readFileSync(dataIn(folder));
  writeFileSync(join(folder, STATE), older);
  const notices: string[] = [];
  await backUp(ANN, source, folder, { open: { notice: (text) => notices.push(text) } });
  expect(notices).toEqual([expect.stringContaining("its state is older")]);
  expect(readFileSync(dataIn(folder)).subarray(0, whole.length)).toEqual(whole);
  expect(await codesOf(folder)).toEqual([]);
  expect((await runsOfArchive(folder)).runs.length).toBe(3);
  await source.close();
});
