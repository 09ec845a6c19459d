/**
 * The unpacked stream of a data file, read by its gzip members: a part of it costs as much as the
 * members in which it lies.
 */
import type { Database } from "bun:sqlite";
import { closeSync, fstatSync, openSync } from "node:fs";
import { constants, inflateRawSync } from "node:zlib";
import { joined } from "../../../core/bytes.ts";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { READ_FLAGS } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { diskError, readFully } from "../../../storage/disk.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";
import { gzipHeaderBytes } from "./gzip_members.ts";

/** Bytes that stay unpacked: messages are mostly asked for in the order of the stream. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Larger members that are damaged are not searched for what comes before the damage. */
const SEARCHED_BYTES = 64 * 1024 * 1024;
/** Unpacked bytes of a member beyond those that are known of. */
const SLACK_BYTES = 64 * 1024;

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
      if (part.length === 0) {
        const { coffset, size: wanted } = member;
        throw this.#damaged(`the member at ${coffset} has not the ${wanted} bytes it should have`);
      }
      parts.push(part);
      at += part.length;
    }
    return joined(parts);
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

  /** The bytes of a member; of one that is damaged those before the damage. */
  #unpacked(member: MemberRow): Uint8Array {
    const { coffset, size } = member;
    const known = this.#kept.get(coffset);
    if (known === undefined) this.#makeRoom(size);
    const bytes = known ?? this.#unpack(member);
    this.#kept.delete(coffset);
    this.#kept.set(coffset, bytes);
    return bytes;
  }

  #makeRoom(size: number): void {
    let held = size;
    for (const [coffset, { length }] of [...this.#kept].reverse()) {
      held += length;
      if (held > KEPT_BYTES) this.#kept.delete(coffset);
    }
    // The collector sees little of what is garbage here, and of what was read before.
    if (size > KEPT_BYTES) Bun.gc(true);
  }

  #unpack({ coffset, size, end }: MemberRow): Uint8Array {
    const most = size + SLACK_BYTES;
    let packed: Uint8Array<ArrayBuffer>;
    try {
      const length = (end ?? fstatSync(this.#fd).size) - coffset;
      // No packing makes more of its content than a little. Behind the last member may be what a
      // killed run has left.
      packed = readFully(this.#fd, Math.max(0, Math.min(length, most + size / 64)), coffset);
    } catch (error) {
      throw diskError(error, "read the archive", this.#path);
    }
    const { memberBytes, memberRatio } = DEFAULT_LIMITS;
    if (size > Math.max(memberBytes, packed.length * memberRatio)) {
      const what = `to ${size} bytes, over ${memberRatio} times its ${packed.length}`;
      throw this.#damaged(`the member at ${coffset} would unpack ${what}`);
    }
    const header = gzipHeaderBytes(packed);
    return header === undefined ? new Uint8Array() : inflatedOf(packed.subarray(header), size);
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
 * The first `size` bytes that `packed` unpacks to; fewer where it is damaged or cut off, none where
 * that is a large one. Checksums are not looked at, as every entry has its own.
 */
function inflatedOf(packed: Uint8Array, size: number): Uint8Array {
  const most = size + SLACK_BYTES;
  // In one piece: zlib would keep the pieces and their sum.
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: most, chunkSize: most };
  // zlib gives nothing of what it cannot unpack to its end, so that the end is searched for.
  let [sound, unsound] = [0, packed.length + 1];
  let bytes: Uint8Array = new Uint8Array();
  for (let length = packed.length; unsound - sound > 1; length = (sound + unsound) >> 1) {
    try {
      bytes = inflateRawSync(packed.subarray(0, length), options);
      if (bytes.length >= size) break;
      sound = length;
    } catch (error) {
      const code = errnoOf(error);
      if (code !== "ERR_BUFFER_TOO_LARGE" && !code?.startsWith("Z_")) throw error;
      if (size > SEARCHED_BYTES) break;
      unsound = length;
    }
  }
  return bytes.subarray(0, size);
}
