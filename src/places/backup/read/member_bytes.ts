/**
 * The unpacked stream of a data file, read by its gzip members: a part of it costs as much as the
 * members in which it lies.
 */
import type { Database } from "bun:sqlite";
import { closeSync, fstatSync, openSync } from "node:fs";
import { constants, inflateRawSync } from "node:zlib";
import { concat } from "../../../core/bytes.ts";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { READ_FLAGS } from "../../../core/files.ts";
import { diskError, readFully } from "../../../storage/disk.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";
import { gzipHeaderBytes } from "./gzip_members.ts";

/** Bytes that stay unpacked: messages are mostly asked for in the order of the stream. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** What a last member that is damaged may hold beyond the entries that are whole. */
const TORN_BYTES = 256 * 1024 * 1024;

interface MemberRow {
  readonly coffset: number;
  readonly offset: number;
  readonly size: number;
  /** Where the next one begins in the file. */
  readonly end: number | null;
}

const MEMBER_AT = `SELECT coffset, offset, size,
  (SELECT min(coffset) FROM x_members AS next WHERE next.coffset > x_members.coffset) AS end
  FROM x_members WHERE offset <= $at ORDER BY offset DESC LIMIT 1`;

export class MemberBytes implements ArchiveBytes {
  readonly #database: Database;
  readonly #path: string;
  readonly #fd: number;
  /** By where they begin in the file, those used last at the end. */
  readonly #kept = new Map<number, Uint8Array>();

  /** The data file at `path`, whose members are in the state. Throws AppError (io). */
  constructor(database: Database, path: string) {
    this.#database = database;
    this.#path = path;
    try {
      this.#fd = openSync(path, READ_FLAGS);
    } catch (error) {
      throw diskError(error, "open the archive", path);
    }
  }

  read(offset: number, size: number): Uint8Array {
    if (!this.#path.endsWith(".gz")) return this.#plain(offset, size);
    const parts: Uint8Array[] = [];
    for (let at = offset; at < offset + size; ) {
      const member = this.#memberAt(at);
      const bytes = this.#unpacked(member);
      const part = bytes.subarray(at - member.offset, offset + size - member.offset);
      parts.push(part);
      at += part.length;
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts); // it has one
  }

  /** An archive that is not packed is its own stream. */
  #plain(offset: number, size: number): Uint8Array {
    try {
      return readFully(this.#fd, size, offset);
    } catch (error) {
      throw diskError(error, "read the archive", this.#path);
    }
  }

  #memberAt(at: number): MemberRow {
    const row = this.#database.query<MemberRow, { at: number }>(MEMBER_AT).get({ at });
    if (row !== null && at < row.offset + row.size) return row;
    throw this.#damaged(`nothing is known of byte ${at} of its stream`);
  }

  #unpacked({ coffset, size, end }: MemberRow): Uint8Array {
    const known = this.#kept.get(coffset);
    // Behind the last one may be what a killed run has left: unpacking stops before that.
    const bytes = known ?? this.#unpack(coffset, { size, end: end ?? undefined });
    this.#kept.delete(coffset);
    this.#kept.set(coffset, bytes);
    let held = 0;
    for (const [at, { length }] of [...this.#kept].reverse()) {
      held += length;
      if (held > KEPT_BYTES && at !== coffset) this.#kept.delete(at);
    }
    return bytes;
  }

  #unpack(coffset: number, { size, end }: { size: number; end: number | undefined }): Uint8Array {
    let packed: Uint8Array<ArrayBuffer>;
    try {
      packed = readFully(this.#fd, (end ?? fstatSync(this.#fd).size) - coffset, coffset);
    } catch (error) {
      throw diskError(error, "read the archive", this.#path);
    }
    const header = gzipHeaderBytes(packed);
    if (header === undefined) throw this.#damaged(`no member begins at ${coffset}`);
    const most = end === undefined ? size + TORN_BYTES : size;
    const bytes = inflatedOf(packed.subarray(header), most);
    if (bytes !== undefined && bytes.length >= size) return bytes.subarray(0, size);
    throw this.#damaged(`the member at ${coffset} has not the ${size} bytes that were written`);
  }

  #damaged(what: string): AppError {
    return new AppError("bad_data", `Cannot read ${this.#path}: ${what}`, {
      hint: "Run `bobbin fsck` on the archive",
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * What `packed` unpacks to, of which the end may be cut off or damaged: then what comes before.
 * Checksums are not looked at, as every entry has its own. Undefined for over `most` bytes.
 */
function inflatedOf(packed: Uint8Array, most: number): Uint8Array | undefined {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: most };
  let [sound, unsound] = [0, packed.length + 1];
  let bytes: Uint8Array = new Uint8Array();
  for (let length = packed.length; unsound - sound > 1; length = (sound + unsound) >> 1) {
    try {
      bytes = inflateRawSync(packed.subarray(0, length), options);
      sound = length;
    } catch (error) {
      if (errnoOf(error) === "ERR_BUFFER_TOO_LARGE") return undefined;
      if (!errnoOf(error)?.startsWith("Z_")) throw error;
      unsound = length;
    }
  }
  return bytes;
}
