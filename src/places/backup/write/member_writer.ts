/**
 * Appends entries to an archive as gzip members of about 4 MiB, each of whole entries, so that one
 * message is read by unpacking one member. Members are packed elsewhere, some at a time, and
 * written in their order. What is not on the disk yet can be read all the same.
 */
import { fdatasync } from "node:fs";
import { promisify } from "node:util";
import { assert } from "../../../core/assert.ts";
import { diskError, writeFully } from "../../../storage/disk.ts";
import type { Member } from "../read/gzip_members.ts";
import { packMember } from "./pack_member.ts";

/** Unpacked bytes of a member; an entry of more is a member by itself. */
const MEMBER_BYTES = 4 * 1024 * 1024;

/** Members that may be packed at a time: each worker has one, and the next one ready. */
const PACKING = 4;

/** Gives the gzip member of some bytes, which stay as they are until then. */
export type Pack = (bytes: Uint8Array) => Promise<Uint8Array>;

export interface MemberWriterOptions {
  /** Open for writing; what lies behind `size` is nothing yet. */
  readonly fd: number;
  readonly path: string;
  /** Bytes of the file, and of the stream in it. */
  readonly size: number;
  readonly offset: number;
  readonly pack: Pack;
  /** A member is in the file, though not yet durable. */
  readonly written: (member: Member) => void;
}

/** Entries of the stream that are not in the file yet. */
interface Held {
  readonly offset: number;
  readonly buffer: Uint8Array;
  used: number;
  /** Once it is being packed: when it is in the file, or will never be. */
  written: Promise<void>;
}

export class MemberWriter {
  readonly #options: MemberWriterOptions;
  #size: number;
  #open: Held;
  readonly #packing: Held[] = [];
  /** Buffers that can be filled again. */
  readonly #spare: Uint8Array[] = [];
  #written: Promise<void> = Promise.resolve();
  /** Makes durable what is in the file, while more is packed: less is left for the end. */
  #syncing: Promise<void> | undefined;
  #wasPacked = false;
  #trouble: { readonly error: unknown } | undefined;

  constructor(options: MemberWriterOptions) {
    this.#options = options;
    this.#size = options.size;
    this.#open = this.#held(options.offset, 0);
  }

  /** The byte of the stream at which the next entry begins. */
  get offset(): number {
    return this.#open.offset + this.#open.used;
  }

  /** Bytes of the file, with all members that are written. */
  get size(): number {
    return this.#size;
  }

  /** Appends one whole entry. Throws what has kept a member before from being written. */
  append(pieces: readonly Uint8Array[]): void {
    if (this.#trouble !== undefined) throw this.#trouble.error;
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#open.used + bytes > this.#open.buffer.length) this.#close(bytes);
    const { buffer } = this.#open;
    for (const piece of pieces) {
      buffer.set(piece, this.#open.used);
      this.#open.used += piece.length;
    }
  }

  /** To be awaited before more is appended: so that memory stays bounded. */
  get room(): Promise<void> | undefined {
    return this.#packing.length < PACKING ? undefined : this.#roomAgain();
  }

  async #roomAgain(): Promise<void> {
    while (this.#packing.length >= PACKING) await this.#packing[0]?.written;
  }

  /** What of the stream is not in the file yet; undefined for what is. */
  peek(offset: number, size: number): Uint8Array | undefined {
    const held = [...this.#packing, this.#open].find(
      (one) => offset >= one.offset && offset + size <= one.offset + one.used,
    );
    return held?.buffer.slice(offset - held.offset, offset - held.offset + size);
  }

  /** Ends the last member; all are on the disk then. Throws what has kept one from that. */
  async finish(): Promise<void> {
    if (this.#open.used > 0) this.#close(0);
    await this.#written;
    await this.#syncing;
    await this.#sync();
    if (this.#trouble !== undefined) throw this.#trouble.error;
  }

  /** The kernel tells of a lost write only once: whatever this finds counts. Never throws. */
  async #sync(): Promise<void> {
    const { fd, path } = this.#options;
    try {
      await promisify(fdatasync)(fd);
    } catch (error) {
      this.#trouble ??= { error: diskError(error, "make durable", path) };
    } finally {
      this.#syncing = undefined;
    }
  }

  #held(offset: number, bytes: number): Held {
    const isLarge = bytes > MEMBER_BYTES;
    const spare = isLarge ? undefined : this.#spare.pop();
    // Memory that is shared with the worker need not be copied for it.
    const make = () => new Uint8Array(new SharedArrayBuffer(isLarge ? bytes : MEMBER_BYTES));
    return { offset, buffer: spare ?? make(), used: 0, written: this.#written };
  }

  /** Ends the open member, if it has anything, and begins one with room for `bytes`. */
  #close(bytes: number): void {
    const done = this.#open;
    this.#open = this.#held(this.offset, bytes);
    if (done.used === 0) return;
    this.#packing.push(done);
    const content = done.buffer.subarray(0, done.used);
    // A run of one member is over before a thread would have begun.
    const isOnly = bytes === 0 && !this.#wasPacked;
    const packed = isOnly ? Promise.resolve(packMember(content)) : this.#options.pack(content);
    this.#wasPacked ||= !isOnly;
    packed.catch(() => undefined); // it is thrown where the member would be written
    this.#written = this.#written.then(() => this.#write(done, packed));
    done.written = this.#written;
  }

  /** Never throws: whoever appends next is told. */
  async #write(held: Held, packed: Promise<Uint8Array>): Promise<void> {
    try {
      const bytes = await packed;
      if (this.#trouble !== undefined) return;
      const { fd, written } = this.#options;
      const { offset, used } = held;
      writeFully(fd, bytes, this.#size);
      this.#syncing ??= this.#sync();
      const coffset = this.#size;
      this.#size += bytes.length;
      written({ coffset, offset, size: used });
      assert(this.#packing[0] === held, "members are written in their order");
    } catch (error) {
      this.#trouble ??= { error };
    } finally {
      this.#packing.splice(this.#packing.indexOf(held), 1);
      if (held.buffer.length === MEMBER_BYTES) this.#spare.push(held.buffer);
    }
  }
}
