/**
 * The unpacked stream of a data file, read by its gzip members: a part of it costs as much as the
 * members in which it lies.
 */
import type { Database } from "bun:sqlite";
import { closeSync, fstatSync, openSync } from "node:fs";
import { concat } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import { READ_FLAGS } from "../../../core/files.ts";
import { diskError, readFully } from "../../../storage/disk.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";

/** Members that stay unpacked: messages are mostly asked for in the order of the stream. */
const KEPT_MEMBERS = 4;

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

  #memberAt(at: number): MemberRow {
    const row = this.#database.query<MemberRow, { at: number }>(MEMBER_AT).get({ at });
    if (row !== null && at < row.offset + row.size) return row;
    throw this.#damaged(`nothing is known of byte ${at} of its stream`);
  }

  #unpacked({ coffset, size, end }: MemberRow): Uint8Array {
    const known = this.#kept.get(coffset);
    // Behind the last one may be what a killed run has left: unpacking stops before that.
    const bytes = known ?? this.#unpack(coffset, (end ?? fstatSync(this.#fd).size) - coffset);
    if (bytes.length !== size) {
      throw this.#damaged(`the member at ${coffset} has ${bytes.length} bytes, not ${size}`);
    }
    this.#kept.delete(coffset);
    this.#kept.set(coffset, bytes);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MEMBERS) break;
      this.#kept.delete(oldest);
    }
    return bytes;
  }

  #unpack(coffset: number, length: number): Uint8Array {
    let packed: Uint8Array<ArrayBuffer>;
    try {
      packed = readFully(this.#fd, length, coffset);
    } catch (error) {
      throw diskError(error, "read the archive", this.#path);
    }
    try {
      return Bun.gunzipSync(packed);
    } catch (error) {
      throw this.#damaged(`the member at ${coffset} cannot be unpacked`, error);
    }
  }

  #damaged(what: string, cause?: unknown): AppError {
    return new AppError("bad_data", `Cannot read ${this.#path}: ${what}`, {
      ...(cause !== undefined && { cause }),
      hint: "Run `bobbin fsck` on the archive",
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}
