/**
 * Unpacks a data file from end to end, gzip member by member (RFC 1952), in constant memory. Each
 * member's own checksum is looked at; zlib's readers of whole files tell nothing of their borders.
 */
import { Readable } from "node:stream";
import { createInflateRaw } from "node:zlib";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { chunksOf, readAt } from "../../../core/files.ts";
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

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Names and comments of a gzip header; nobody who writes backups gives it any. */
const MOST_HEADER_BYTES = 64 * 1024;
const OUTPUT_BYTES = 256 * 1024;
/** Bits of FLG: a CRC of the header, extra fields, a name, a comment. */
const FLAG = { hcrc: 2, extra: 4, name: 8, comment: 16 };

const START = { coffset: 0, offset: 0 };

/**
 * The stream in the data file at `path`, up to its byte `size`: packed, or a plain tar. A packed
 * one can be read from any member on.
 */
export function unpacked(
  fd: number,
  {
    size,
    path: name,
    from = START,
  }: {
    readonly size: number;
    readonly path: string;
    readonly from?: Pick<Member, "coffset" | "offset">;
  },
): AsyncIterable<MemberEvent> {
  return name.endsWith(".gz") ? gzipMembers(fd, { size, name, from }) : plain(fd, { size, name });
}

/** An archive that is not packed is like one member that has no end of its own. */
async function* plain(
  fd: number,
  { size: end, name }: { readonly size: number; readonly name: string },
): AsyncGenerator<MemberEvent, void> {
  for (const bytes of chunksOf(fd, { end, name })) yield { kind: "bytes", bytes };
}

/** The members of the file `fd` up to its byte `size`; `name` is the file in errors. */
async function* gzipMembers(
  fd: number,
  { size, name, from }: { size: number; name: string; from: Pick<Member, "coffset" | "offset"> },
): AsyncGenerator<MemberEvent, void> {
  let { coffset, offset } = from;
  while (coffset < size) {
    const header = headerBytes(fd, coffset);
    if (header === undefined) {
      yield { kind: "damage", member: { coffset, offset, size: 0 }, why: "no gzip header" };
      return;
    }
    const inflate = createInflateRaw({ chunkSize: OUTPUT_BYTES });
    const packed = Readable.from(chunksOf(fd, { start: coffset + header, end: size, name }));
    packed.on("error", (error) => inflate.destroy(error));
    packed.pipe(inflate);
    let [crc, bytes] = [0, 0];
    try {
      for await (const chunk of inflate as AsyncIterable<Buffer>) {
        crc = crc32(chunk, crc);
        bytes += chunk.length;
        yield { kind: "bytes", bytes: chunk };
      }
    } catch (error) {
      if (error instanceof AppError || !errnoOf(error)?.startsWith("Z_")) throw error;
      const why = error instanceof Error ? error.message : String(error);
      yield { kind: "damage", member: { coffset, offset, size: bytes }, why };
      return;
    } finally {
      packed.destroy();
    }
    const member = { coffset, offset, size: bytes };
    const end = coffset + header + inflate.bytesWritten + TRAILER_BYTES;
    if (end > size) {
      yield { kind: "damage", member, why: "the file ends too early" };
      return;
    }
    yield { kind: "member", member, end, flaw: trailerFlaw(fd, end, { crc, bytes }) };
    coffset = end;
    offset += bytes;
  }
}

function headerBytes(fd: number, at: number): number | undefined {
  const into = new Uint8Array(MOST_HEADER_BYTES);
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
