/**
 * What upstream's readers take of an archive, checked by sections 2, 3 and 5 of backup-format.md
 * alone, with nothing of src/places/backup: an archive that Bobbin wrote must have no more than
 * that. Where Bobbin goes its own way, and upstream's readers mind it not, the rule says so.
 */
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { crc32, inflateRawSync } from "node:zlib";
import { parseHeaderFile } from "../../src/formats/cyrus/header_file.ts";
import { hasBit, INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";

const BLOCK = 512;
const LONG_LINK = "././@LongLink";

/** An entry as its header has it; `offset` is that of its first block in the stream. */
interface Entry {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly mtime: number;
  readonly linkname: string;
  readonly inode: number;
  readonly offset: number;
  readonly content: Buffer;
}

/** Tells a rule that was broken. */
type Tell = (text: string) => void;

/**
 * Everything in the archive in `folder` that upstream's readers would not take. The files of a copy
 * have other times.
 */
export function upstreamObjections(folder: string, { isCopy = false } = {}): string[] {
  const objections: string[] = [];
  const object: Tell = (text) => objections.push(text);
  const state = new Database(join(folder, "backupstate.sqlite3"), { readonly: true });
  const [status, ...more] = rowsOf(state, "SELECT * FROM status");
  if (status === undefined || more.length > 0) throw new Error("status has one row");
  const path = join(folder, String(status["filename"]));
  const others = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isFile());
  const known = [status["filename"], "backupstate.sqlite3", ".lock", "dump.jsonl.gz"];
  for (const { name } of others) if (!known.includes(name)) object(`there is a file ${name}`);
  const members = membersOf(readFileSync(path));
  const stream = Buffer.concat(members);
  const { size, mtimeMs } = statSync(path);
  const facts = { size, mtime: Math.floor(mtimeMs / 1000), offset: stream.length, version: 5 };
  for (const [column, value] of Object.entries(facts)) {
    if (isCopy && column === "mtime") continue;
    if (status[column] !== value) object(`status.${column} is ${status[column]}, not ${value}`);
  }
  const entries = [...entriesOf(stream, object)];
  const begins = new Set([0, ...entries.map(({ offset }) => offset)]);
  let at = 0;
  for (const { length } of members) {
    if (!begins.has(at)) object(`a member begins at ${at}, within an entry`);
    at += length;
  }
  const replay = new Replay(object);
  for (const entry of entries) {
    checkEntry(entry, object);
    replay.take(entry);
  }
  replay.checkEnd();
  compareRows(state, replay, object);
  state.close();
  return objections;
}

type Row = Readonly<Record<string, unknown>>;

function rowsOf(state: Database, sql: string): Row[] {
  return state.query<Row, []>(sql).all();
}

/** The unpacked members of a file of gzip members, with their sums checked. */
function membersOf(file: Buffer): Buffer[] {
  const members: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    if (file.readUInt32BE(at) !== 0x1f8b0800) throw new Error(`no plain gzip member at ${at}`);
    const { buffer, engine } = inflateRawSync(file.subarray(at + 10), {
      info: true,
    }) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    const end = at + 10 + engine.bytesWritten;
    const sums = [file.readUInt32LE(end), file.readUInt32LE(end + 4)];
    if (crc32(buffer) !== sums[0] || buffer.length !== sums[1]) throw new Error(`sums at ${end}`);
    members.push(buffer);
    at = end + 8;
  }
  return members;
}

/** Section 2: the header of each entry, octet for octet. */
function* entriesOf(stream: Buffer, object: Tell): Generator<Entry, void> {
  let long: { readonly name: string; readonly offset: number } | undefined;
  for (let at = 0; at < stream.length; ) {
    const block = stream.subarray(at, at + BLOCK);
    const bad = (what: string) => object(`the header at ${at}: ${what}`);
    const text = (from: number, bytes: number): string => {
      const field = block.toString("latin1", from, from + bytes);
      const [value = ""] = field.split("\0", 1);
      if (/[^\0]/.test(field.slice(value.length))) bad(`bytes behind the NUL at ${from}`);
      return value;
    };
    const octal = (from: number, form: RegExp): number => {
      const [, digits] = form.exec(block.toString("latin1", from, from + 12)) ?? [];
      if (digits === undefined) bad(`no octal number at ${from}`);
      return Number.parseInt(digits ?? "0", 8);
    };
    const sum = Buffer.from(block)
      .fill(" ", 148, 156)
      .reduce((all, byte) => all + byte, 0);
    if (octal(148, /^([0-7]{6})\0 /) !== sum) bad("its checksum");
    if (block.toString("latin1", 100, 124) !== "0000777\0".concat("0000000\0".repeat(2))) {
      bad("mode, uid or gid");
    }
    if (block.toString("latin1", 257, 265) !== "ustar\x0000") bad("the magic");
    if (block.toString("latin1", 329, 337) !== "0000000\0") bad("devmajor");
    if (/[^\0]/.test(block.toString("latin1", 265, 329))) bad("an owner has a name");
    if (/[^\0]/.test(block.toString("latin1", 345))) bad("a prefix");
    const type = String.fromCharCode(block[156] ?? 0);
    const size = octal(124, /^([0-7]{11})\0/);
    const end = at + BLOCK + size;
    const next = Math.ceil(end / BLOCK) * BLOCK;
    if (next > stream.length) throw new Error(`the entry at ${at} has no end`);
    const content = stream.subarray(at + BLOCK, end);
    if (stream.subarray(end, next).some((byte) => byte !== 0)) bad("the padding is not zero");
    const name = text(0, 100);
    if (type === "L") {
      if (name !== LONG_LINK || content.at(-1) !== 0 || size < 102) bad("a long name");
      long = { name: content.toString("latin1", 0, size - 1), offset: at };
    } else {
      if (!["0", "2"].includes(type)) bad(`an entry of type ${type}`);
      if (long !== undefined && name !== long.name.slice(0, 100)) bad("not its long name");
      yield {
        ...{ name: long?.name ?? name, type, size, content, offset: long?.offset ?? at },
        mtime: octal(136, /^([0-7]{11})\0/),
        linkname: text(157, 100),
        inode: octal(329 + 8, /^([0-7]{7}\0|[0-7]{8})/),
      };
      long = undefined;
    }
    at = next;
  }
}

const NAMES = {
  file: /^files\/([0-9a-f]{40})$/,
  folder: /^folders\/([A-Za-z0-9-]+)\/cyrus\.([^/]+)$/,
  link: /^imap\/([ -.0-~]+)\/$/,
  meta: /^meta\/([^/]+)$/,
};

/** Section 2: what each kind of entry may say. */
function checkEntry({ name, type, size, mtime, linkname, inode, content }: Entry, object: Tell) {
  const bad = (what: string) => object(`${name}: ${what}`);
  if (NAMES.link.test(name)) {
    if (type !== "2" || size !== 0 || mtime === 0 || inode !== 0) bad("not as links are");
    if (!/^[A-Za-z0-9-]*$/.test(linkname)) bad(`it leads to ${linkname}`);
    return;
  }
  const [isMessage, isOther] = [NAMES.file.test(name), NAMES.folder.test(name)];
  if (!isMessage && !isOther && !NAMES.meta.test(name)) bad("no name of an entry");
  if (type !== "0") bad("no file");
  const sha1 = size === 0 ? "" : createHash("sha1").update(content).digest("hex");
  if (linkname !== sha1) bad(`it says ${linkname}, and is ${sha1}`);
  if (isMessage && name !== `files/${sha1}`) bad(`it is ${sha1}`);
  // One that a compaction of Bobbin has kept has the time since when it counts; no reader looks.
  if (size === 0 && inode !== 0) bad("a deletion with an inode");
  // Upstream gives it no time, and two bytes of its SHA-1 as inode; its readers look at neither.
  if (size > 0 && mtime === 0 && !name.endsWith("cyrus.mailbox_annotations")) bad("no time");
}

/** A file in force, as fmeta and meta have it. */
interface FileRow {
  readonly sha1: string;
  readonly size: number;
  readonly mtime: number;
  readonly inode: number;
  readonly stale: number;
  readonly offset: number;
  readonly content: Buffer;
}

interface LinkRow {
  deleted: number;
  offset: number;
}

/** Section 3: what the entries do to the state, in order. */
class Replay {
  readonly files = new Map<string, { readonly size: number; readonly offset: number }>();
  readonly rows = new Map<string, FileRow>();
  /** By name, and then by uniqueid. */
  readonly links = new Map<string, Map<string, LinkRow>>();
  /** By uniqueid: the GUID of each UID. */
  readonly indexed = new Map<string, Map<number, string>>();
  readonly #object: Tell;

  constructor(object: Tell) {
    this.#object = object;
  }

  take(entry: Entry): void {
    const { name, size, mtime, linkname: sha1, inode, offset, content } = entry;
    const [, guid] = NAMES.file.exec(name) ?? [];
    const [, link] = NAMES.link.exec(name) ?? [];
    const [, uniqueid = "", file] = NAMES.folder.exec(name) ?? [];
    if (guid !== undefined) {
      if (this.files.has(guid)) this.#object(`${name} is there twice`);
      else this.files.set(guid, { size, offset });
    } else if (link !== undefined) this.#link(link, entry);
    else if (size === 0) this.rows.delete(name);
    else {
      const old = this.rows.get(name);
      const stale = old === undefined ? 0 : old.stale + old.size;
      this.rows.set(name, { sha1, size, mtime, inode, stale, offset, content });
      if (file === "index") this.#index(uniqueid, entry);
    }
  }

  #link(link: string, { linkname: uniqueid, mtime, offset }: Entry): void {
    const rows = this.links.get(link) ?? new Map<string, LinkRow>();
    this.links.set(link, rows);
    const newest = Math.max(...[...rows.values()].map((row) => row.offset));
    const isLive = [...rows.values()].some((row) => row.offset === newest && row.deleted === 0);
    for (const row of rows.values()) {
      if (isLive && row.deleted === 0) Object.assign(row, { deleted: mtime, offset });
    }
    if (uniqueid !== "") rows.set(uniqueid, { deleted: 0, offset });
  }

  #index(uniqueid: string, { name, content }: Entry): void {
    const image = IndexImage.open(content, name);
    const { table, storedCrcs: crcs } = image;
    if (table.version < 10 || crcs?.stored !== crcs?.computed) this.#object(`${name}: its header`);
    const before = this.indexed.get(uniqueid) ?? new Map<number, string>();
    const after = new Map<number, string>();
    for (const { uid, guid, systemFlags } of image.records()) {
      const known = before.get(uid);
      if (known !== undefined) after.set(uid, known);
      if (hasBit(systemFlags, INTERNAL_FLAG.unlinked)) continue;
      // Here upstream's rebuild dies.
      if (!this.files.has(guid)) this.#object(`${name}: no file for ${uid} before it`);
      if (known !== undefined && known !== guid) this.#object(`${name}: ${uid} was ${known}`);
      after.set(uid, guid);
    }
    this.indexed.set(uniqueid, after);
  }

  /** Section 5, points 7 and 8. */
  checkEnd(): void {
    for (const [link, rows] of this.links) {
      const live = [...rows].filter(([, { deleted }]) => deleted === 0);
      if (live.length > 1) this.#object(`${link} has ${live.length} live rows`);
      for (const [uniqueid] of live) {
        const fileOf = (name: string) => this.rows.get(`folders/${uniqueid}/cyrus.${name}`);
        const [header, index] = [fileOf("header"), fileOf("index")];
        // A name of the tree without mail has neither: upstream has no such names at all.
        if (header !== undefined && index !== undefined) {
          this.#checkFolder(uniqueid, header.content, index.content);
        } else if (header !== undefined || index !== undefined || !fileOf("x-mailbox")) {
          this.#object(`${link} lacks files`);
        }
      }
    }
  }

  #checkFolder(uniqueid: string, header: Buffer, index: Buffer): void {
    const told = parseHeaderFile(header).uniqueid;
    if (told !== uniqueid) this.#object(`the header of ${uniqueid} is that of ${told}`);
    const { headerFileCrc } = IndexImage.open(index, uniqueid).header;
    const crc = crc32(header);
    if (headerFileCrc !== crc) this.#object(`${uniqueid}: ${headerFileCrc} is not ${crc}`);
  }
}

/** Section 5, points 2 to 6: the state has the rows that the entries give, and no others. */
function compareRows(state: Database, replay: Replay, object: Tell): void {
  const tables: Readonly<Record<string, readonly [sql: string, rows: readonly unknown[]]>> = {
    imap: [
      `SELECT name || '/' || uniqueid AS key, deleted, offset
        FROM imap JOIN folders USING (folderid)`,
      [...replay.links].flatMap(([name, rows]) =>
        [...rows].map(([uniqueid, row]) => ({ key: `${name}/${uniqueid}`, ...row })),
      ),
    ],
    files: [
      "SELECT guid AS key, size, refcount, offset FROM files",
      [...replay.files].map(([key, { size, offset }]) => {
        const listed = [...replay.indexed.values()].flatMap((one) => [...one.values()]);
        return { key, size, refcount: listed.filter((guid) => guid === key).length, offset };
      }),
    ],
    "meta and fmeta": [
      `SELECT 'meta/' || name AS key, sha1, size, mtime, inode % 16777216 AS inode, stale, offset
          FROM meta WHERE type = 'meta'
        UNION ALL SELECT 'folders/' || uniqueid || '/cyrus.' || name, sha1, size, mtime,
          inode % 16777216, stale, offset FROM fmeta JOIN folders USING (folderid)`,
      [...replay.rows].map(([key, { content: _, ...row }]) => ({ key, ...row })),
    ],
    indexed: [
      `SELECT uniqueid || '/' || uid AS key, guid, deleted FROM indexed
        JOIN folders USING (folderid) JOIN files USING (fileid)`,
      [...replay.indexed].flatMap(([uniqueid, uids]) =>
        [...uids].map(([uid, guid]) => ({ key: `${uniqueid}/${uid}`, guid, deleted: 0 })),
      ),
    ],
  };
  for (const [table, [sql, rows]] of Object.entries(tables)) {
    const found = new Set(rowsOf(state, sql).map((row) => JSON.stringify(row)));
    const wanted = new Set(rows.map((row) => JSON.stringify(row)));
    for (const row of found.difference(wanted)) object(`${table} has ${row}`);
    for (const row of wanted.difference(found)) object(`${table} lacks ${row}`);
  }
}
