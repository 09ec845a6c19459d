/**
 * One header block of a tar file, in the form of the per-user backups (backup-format.md 2): ustar,
 * the name never split over `prefix`, a long name in a GNU `L` entry before its entry, the SHA-1 of
 * a plain file in `linkname`, and the inode number of the server's file in `devminor`.
 */
import { assert } from "../../core/assert.ts";
import { concat, fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";

/** Bytes of a block: headers are one, contents are filled up to whole ones. */
export const TAR_BLOCK = 512;

export interface TarEntry {
  /** latin1, as all texts here. */
  readonly name: string;
  readonly type: "file" | "link" | "other";
  /** Bytes of content. */
  readonly size: number;
  /** Unix seconds. */
  readonly mtime: number;
  /** Where a link leads; for a file the SHA-1 of its content, "" where it is not known. */
  readonly linkname: string;
  /** The inode number on the server, only its low 24 bits where more do not fit. */
  readonly inode: number;
}

/** A header block by itself; a `longName` or `longLink` has that text as its content. */
export type TarHeader = Omit<TarEntry, "type"> & {
  readonly type: TarEntry["type"] | "longName" | "longLink";
};

const NAME = { at: 0, bytes: 100 };
const SIZE = { at: 124, bytes: 12 };
const MTIME = { at: 136, bytes: 12 };
const CHECKSUM = { at: 148, bytes: 8 };
const TYPE_AT = 156;
const LINKNAME = { at: 157, bytes: 100 };
const MAGIC_AT = 257;
const DEVMAJOR = { at: 329, bytes: 8 };
const DEVMINOR = { at: 337, bytes: 8 };
/** Mode, uid and gid are the same in every entry. */
const FIXED_AT_100 = "0000777\x000000000\x000000000\0";
const MAGICS = ["ustar\x0000", "ustar  \0"];

type Field = typeof NAME;

const TYPES: Readonly<Record<string, TarHeader["type"]>> = {
  ...{ "0": "file", "\0": "file", "2": "link", L: "longName", K: "longLink" },
};
const FLAGS = { file: "0", link: "2", longName: "L", longLink: "K" } as const;

/** The name of the entry whose content is the name of the next. */
const LONG_NAME = "././@LongLink";

/** Seconds since 1970 that an entry has room for; readers take twelve digits, which are more. */
export const LATEST_MTIME = 8 ** 11 - 1;

/** Inode numbers up to this fit into `devminor`, which then has no NUL at its end. */
const INODE_MASK = 0xff_ffff;

/** Parses a block of 512 bytes. Throws FormatError, also for a block of zeros. */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const magic = latin1(block.subarray(MAGIC_AT, MAGIC_AT + 8));
  if (!MAGICS.includes(magic)) throw new FormatError(MAGIC_AT, "a tar header");
  if (octalIn(block, CHECKSUM) !== checksumOf(block)) {
    throw new FormatError(CHECKSUM.at, "the checksum of a tar header");
  }
  return {
    name: textIn(block, NAME),
    type: TYPES[String.fromCharCode(block[TYPE_AT] ?? 0)] ?? "other",
    size: octalIn(block, SIZE),
    mtime: octalIn(block, MTIME),
    linkname: textIn(block, LINKNAME),
    inode: octalIn(block, DEVMINOR),
  };
}

function textIn(block: Uint8Array, { at, bytes }: Field): string {
  const text = latin1(block.subarray(at, at + bytes));
  const end = text.indexOf("\0");
  return end === -1 ? text : text.slice(0, end);
}

function octalIn(block: Uint8Array, { at, bytes }: Field): number {
  const [digits] =
    /^ *([0-7]*)[\0 ]*$/.exec(latin1(block.subarray(at, at + bytes)))?.slice(1) ?? [];
  if (digits === undefined) throw new FormatError(at, "octal digits");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** The sum of all bytes, those of the sum itself counted as spaces. */
function checksumOf(block: Uint8Array): number {
  let sum = 0x20 * CHECKSUM.bytes;
  for (let at = 0; at < TAR_BLOCK; at++) {
    const isSum = at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.bytes;
    if (!isSum) sum += block[at] ?? 0;
  }
  return sum;
}

/** The header of an entry, one block, or three and more where its name has over 100 bytes. */
export function printTarHeader(entry: TarEntry): Uint8Array<ArrayBuffer> {
  assert(entry.type !== "other", `tar entry ${entry.name} is a file or a link`);
  const { name, type } = entry;
  if (name.length <= NAME.bytes) return printBlock({ ...entry, type });
  const long = fromLatin1(`${name}\0`);
  const before = { name: LONG_NAME, size: long.length, mtime: 0, linkname: "", inode: 0 };
  return concat([
    printBlock({ ...before, type: "longName" }),
    long,
    new Uint8Array(paddingOf(long.length)),
    printBlock({ ...entry, type, name: name.slice(0, NAME.bytes) }),
  ]);
}

/** Bytes of zeros behind a content of `size` bytes. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

function printBlock(
  header: TarHeader & { readonly type: keyof typeof FLAGS },
): Uint8Array<ArrayBuffer> {
  const { linkname } = header;
  assert(linkname.length <= LINKNAME.bytes, `${linkname} fits into a tar header`);
  const block = new Uint8Array(TAR_BLOCK);
  const put = (at: number, text: string) => block.set(fromLatin1(text), at);
  put(NAME.at, header.name);
  put(100, FIXED_AT_100);
  put(SIZE.at, octal(header.size, SIZE));
  put(MTIME.at, octal(header.mtime, MTIME));
  put(TYPE_AT, FLAGS[header.type]);
  put(LINKNAME.at, linkname);
  put(MAGIC_AT, MAGICS[0] ?? "");
  put(DEVMAJOR.at, octal(0, DEVMAJOR));
  const inode = header.inode % (INODE_MASK + 1);
  put(DEVMINOR.at, inode >= 8 ** 7 ? inode.toString(8) : octal(inode, DEVMINOR));
  put(CHECKSUM.at, `${octal(checksumOf(block), { at: 0, bytes: 7 })}\0 `);
  return block;
}

/** Digits with a NUL behind them, where there is room for one after the number. */
function octal(value: number, { bytes }: Field): string {
  const digits = value.toString(8).padStart(bytes - 1, "0");
  assert(value >= 0 && digits.length < bytes, `${value} fits into a tar header`);
  return digits;
}
