/**
 * Unpacks a data file from end to end, gzip member by member (RFC 1952), in constant memory. Each
 * member's own checksum is looked at; zlib's readers of whole files tell nothing of their borders.
 */
import type { Stats } from "node:fs";
import { Readable } from "node:stream";
import { constants, createInflateRaw, inflateRawSync } from "node:zlib";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { chunksOf, openRegular, readAt } from "../../../core/files.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../core/limits.ts";
import { crc32 } from "../../../hash/crc32.ts";

/** A gzip member: where it begins in the file and in the stream, and its unpacked bytes. */
export interface Member {
  readonly coffset: number;
  readonly offset: number;
  readonly size: number;
}

export type MemberEvent =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /**
   * All bytes of a member have come; `end` is where the next begins in the file. Of one with a flaw
   * some are not what was written; entries have checksums of their own.
   */
  | {
      readonly kind: "member";
      readonly member: Member;
      readonly end: number;
      readonly flaw: string | undefined;
    }
  /** Nothing behind this can be unpacked, or believed. `member` is what came of the last one. */
  | { readonly kind: "damage"; readonly member: Member; readonly why: string };

const { Z_SYNC_FLUSH } = constants;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Names and comments of a gzip header; nobody who writes backups gives it any. */
const MOST_HEADER_BYTES = 64 * 1024;
const OUTPUT_BYTES = 256 * 1024;
/** Packed bytes of a member that is unpacked at once. */
const SMALL_BYTES = 8 * 1024;
/** Bits of FLG: a CRC of the header, extra fields, a name, a comment. */
const FLAG = { hcrc: 2, extra: 4, name: 8, comment: 16 };

export interface UnpackOptions {
  /** Of the data file. */
  readonly path: string;
  /** Bytes of it that count. */
  readonly size: number;
  /** Where to begin: a byte of the file, and what byte of the stream that is. 0 if left out. */
  readonly from?: Pick<Member, "coffset" | "offset">;
  readonly limits?: Pick<Limits, "unpackedBytes" | "unpackedRatio">;
}

/** Opens the data file of an archive. Throws AppError (io). */
export function openDataFile(path: string): { readonly fd: number; readonly stat: Stats } {
  const opened = openRegular(path);
  if (opened.state === "open") return opened;
  throw new AppError("io", `Cannot read the archive ${path}: ${opened.state.replace("_", " ")}`);
}

/** The stream in the data file `fd`: packed, or a plain tar. */
export function unpacked(fd: number, options: UnpackOptions): AsyncIterable<MemberEvent> {
  return options.path.endsWith(".gz") ? gzipMembers(fd, options) : plain(fd, options);
}

/** An archive that is not packed is like one member that has no end of its own. */
async function* plain(
  fd: number,
  { size: end, path: name, from }: UnpackOptions,
): AsyncGenerator<MemberEvent, void> {
  const start = from?.coffset ?? 0;
  for (const bytes of chunksOf(fd, { start, end, name })) yield { kind: "bytes", bytes };
}

async function* gzipMembers(
  fd: number,
  { size, path: name, from, limits = DEFAULT_LIMITS }: UnpackOptions,
): AsyncGenerator<MemberEvent, void> {
  const begin = from ?? { coffset: 0, offset: 0 };
  let { offset } = begin;
  for (let { coffset } = begin; coffset < size; ) {
    const header = headerBytes(fd, coffset);
    if (header === undefined) {
      yield { kind: "damage", member: { coffset, offset, size: 0 }, why: "no gzip header" };
      return;
    }
    const start = coffset + header;
    const inflating = inflate(fd, { start, end: size, name });
    let [crc, bytes] = [0, 0];
    try {
      for await (const chunk of inflating.chunks) {
        crc = crc32(chunk, crc);
        bytes += chunk.length;
        const read = start + inflating.taken() - begin.coffset;
        const unpacks = offset + bytes - begin.offset;
        if (unpacks > limits.unpackedBytes + read * limits.unpackedRatio) {
          const why = `it unpacks to over ${limits.unpackedRatio} times its size`;
          yield { kind: "damage", member: { coffset, offset, size: bytes }, why };
          return;
        }
        yield { kind: "bytes", bytes: chunk };
      }
    } catch (error) {
      if (error instanceof AppError || !errnoOf(error)?.startsWith("Z_")) throw error;
      const why = error instanceof Error ? error.message : String(error);
      yield { kind: "damage", member: { coffset, offset, size: bytes }, why };
      return;
    } finally {
      inflating.stop();
    }
    const member = { coffset, offset, size: bytes };
    const end = start + inflating.taken() + TRAILER_BYTES;
    if (end > size) {
      yield { kind: "damage", member, why: "the file ends too early" };
      return;
    }
    yield { kind: "member", member, end, flaw: trailerFlaw(fd, end, { crc, bytes }) };
    coffset = end;
    offset += bytes;
  }
}

/** The content of a member while it is unpacked. */
interface Inflating {
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Packed bytes that were needed for what has come. */
  taken(): number;
  stop(): void;
}

/** Begins to unpack the content that is packed from `start` on. */
function inflate(
  fd: number,
  { start, end, name }: { readonly start: number; readonly end: number; readonly name: string },
): Inflating {
  const first = new Uint8Array(Math.max(0, Math.min(SMALL_BYTES, end - start)));
  const small = inflateSmall(first.subarray(0, readAt(fd, first, start)));
  if (small !== undefined) return small;
  // The end of a file that is cut off is no error of the stream, which would drop what it holds.
  const stream = createInflateRaw({ chunkSize: OUTPUT_BYTES, finishFlush: Z_SYNC_FLUSH });
  const packed = Readable.from(chunksOf(fd, { start, end, name }));
  packed.on("error", (error) => stream.destroy(error));
  packed.pipe(stream);
  return {
    chunks: stream as AsyncIterable<Buffer>,
    taken: () => stream.bytesWritten,
    stop: () => packed.destroy(),
  };
}

/** Unpacks a member that is small: a stream for each of them would take a hundred times as long. */
function inflateSmall(packed: Uint8Array): Inflating | undefined {
  try {
    const options = { info: true, maxOutputLength: OUTPUT_BYTES };
    // With `info` it gives more than its type says.
    const found: unknown = inflateRawSync(packed, options);
    const { buffer, engine } = found as { buffer: Buffer; engine: { bytesWritten: number } };
    return { chunks: [buffer], taken: () => engine.bytesWritten, stop: () => undefined };
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ERR_BUFFER_TOO_LARGE" || code?.startsWith("Z_")) return undefined;
    throw error;
  }
}

function headerBytes(fd: number, at: number): number | undefined {
  const first = new Uint8Array(HEADER_BYTES);
  const isPlain = readAt(fd, first, at) === HEADER_BYTES && first[3] === 0;
  const into = isPlain ? first : new Uint8Array(MOST_HEADER_BYTES);
  return gzipHeaderBytes(into.subarray(0, readAt(fd, into, at)));
}

/** The length of the gzip header with which `bytes` begin; undefined where there is none. */
export function gzipHeaderBytes(bytes: Uint8Array): number | undefined {
  const flags = bytes[3] ?? 0;
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
  if (!isGzip || bytes.length < HEADER_BYTES) return undefined;
  let length = HEADER_BYTES;
  if (flags & FLAG.extra) length += 2 + (bytes[length] ?? 0) + 256 * (bytes[length + 1] ?? 0);
  for (const flag of [FLAG.name, FLAG.comment]) {
    if (!(flags & flag)) continue;
    const end = bytes.indexOf(0, length);
    if (end === -1) return undefined;
    length = end + 1;
  }
  return flags & FLAG.hcrc ? length + 2 : length;
}

/** The last 8 bytes of a member: the CRC-32 of its content, and the length, little-endian. */
function trailerFlaw(
  fd: number,
  end: number,
  { crc, bytes }: { readonly crc: number; readonly bytes: number },
): string | undefined {
  const trailer = new Uint8Array(TRAILER_BYTES);
  readAt(fd, trailer, end - TRAILER_BYTES);
  const view = new DataView(trailer.buffer);
  if (view.getUint32(0, true) !== crc >>> 0) return "the checksum does not fit";
  return view.getUint32(4, true) === bytes % 2 ** 32 ? undefined : "the length does not fit";
}
