/**
 * Message files against their records: rows MS02 to MS05, MS08, MS11, MS12 and PM01. Each file is
 * read once, hashed, and looked at while it is in memory. A message that is not what its record
 * says is looked at again, with both hash engines and the record as it stands by then, before it is
 * reported.
 */
import type { Stats } from "node:fs";
import { hexOf } from "../../core/bytes.ts";
import { glance, readRegular } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { Engine } from "../../hash/engines.ts";
import { hashFile } from "../../hash/hash_file.ts";
import { md5 } from "../../hash/md5.ts";
import { SHA1_BYTES } from "../../hash/sha1.ts";
import { HeaderEnd } from "../../mailbox/header_end.ts";
import { guidOf, MESSAGE, type MessageTable } from "../../mailbox/message_table.ts";
import { md5PrefixOf } from "../../model/guid.ts";
import { type Finding, finding } from "../finding.ts";
import type { Collector } from "./collector.ts";
import { isKnown, type KnownFiles, octetsOf, tallyOctets } from "./known_files.ts";

export interface MessageCheck {
  /** The folder that holds the files. */
  readonly folder: string;
  readonly engine: Engine;
  /** Owner that files must have: that of their folder, where it is known. */
  readonly ownerUid: number | undefined;
  readonly collector: Collector;
  /** Files of which all is known from another name of theirs: they are not read again. */
  readonly known?: KnownFiles | undefined;
  /** Is told what seems wrong with a message, which deserves a second look. */
  suspect(row: number, what: Finding): void;
  /** Called for a file with more than one link. */
  linked(row: number, stat: Stats): void;
}

/** Checks every file of `messages`; returns how many could be read, and their bytes. */
export function checkMessages(
  messages: MessageTable,
  check: MessageCheck,
): { readonly read: number; readonly bytes: number } {
  const sweep: Sweep = { ...check, messages, digest: new Uint8Array(SHA1_BYTES) };
  let [read, bytes] = [0, 0];
  for (let row = 0; row < messages.length; row++) {
    const size = checkMessage(sweep, row);
    if (size !== undefined) read += 1;
    bytes += size ?? 0;
  }
  return { read, bytes };
}

interface Sweep extends MessageCheck {
  readonly messages: MessageTable;
  /** Of the message that was read last. */
  readonly digest: Uint8Array;
}

/** A message whose file was read. */
interface ReadMessage {
  readonly row: number;
  readonly at: { readonly uid: number; readonly path: string };
  /** Its user has deleted it. */
  readonly expunged: boolean;
  readonly size: number;
  readonly stat: Stats;
  /** The first part of the file; all of it unless it is a large one. */
  readonly head: Uint8Array;
}

/** The bytes read, 0 where the file is known already; undefined where it cannot be read. */
function checkMessage(sweep: Sweep, row: number): number | undefined {
  const { messages, folder } = sweep;
  const uid = messages.uids[row] ?? 0;
  const path = `${folder}/${uid}.`;
  const at = { uid, path };
  const state = messages.states[row] ?? 0;
  const expunged = (state & MESSAGE.expunged) !== 0;
  if (checkKnown(sweep, row, at)) return 0;
  const result = hashFile(path, sweep.digest, sweep);
  switch (result.kind) {
    case "hashed": {
      const { size, stat, head } = result;
      const message = { row, at, expunged, size, stat, head };
      checkStat(sweep, message);
      checkContent(sweep, message);
      return size;
    }
    case "missing":
      if ((state & MESSAGE.unlinked) === 0) sweep.suspect(row, finding("MS01", at, { expunged }));
      return undefined;
    case "not_regular":
      sweep.suspect(row, finding("MS08", at, { what: "message", expunged }));
      return undefined;
    case "unreadable": {
      const { errno } = result;
      sweep.suspect(row, finding("PM01", at, { what: "message", errno, expunged }));
      return undefined;
    }
    case "too_large": {
      const sizes = { expected: messages.sizes[row] ?? 0, found: result.size };
      sweep.suspect(row, finding("MS03", at, { ...sizes, expunged }));
      return undefined;
    }
  }
}

/**
 * Checks a message by what was seen in its file under another name. False where that is not this
 * file, or does not fit the record: then it has to be read.
 */
function checkKnown(
  sweep: Sweep,
  row: number,
  at: { readonly uid: number; readonly path: string },
): boolean {
  const { known, messages, collector } = sweep;
  if (known === undefined || known.inodes[row] === 0) return false;
  const fits =
    known.sizes[row] === messages.sizes[row] &&
    known.headerSizes[row] === messages.headerSizes[row];
  const stat = fits ? glance(at.path) : undefined;
  if (stat === undefined || !isKnown(known, row, stat)) return false;
  checkStat(sweep, { row, at, stat });
  tallyOctets(known.octets[row] ?? 0, at, collector);
  return true;
}

function checkContent(sweep: Sweep, message: ReadMessage): void {
  const { messages, digest } = sweep;
  const { row, at, expunged, size, head } = message;
  const expected = messages.sizes[row] ?? 0;
  if (size === 0) {
    sweep.suspect(row, finding("MS02", at, { expected, expunged }));
    return;
  }
  if (size !== expected) {
    sweep.suspect(row, finding("MS03", at, { expected, found: size, expunged }));
  }
  if (isShortId(messages, row)) {
    checkUuid(sweep, message);
  } else if (!hasGuid(messages, row, digest)) {
    const guids = { expected: hexOf(guidOf(messages, row)), found: hexOf(digest) };
    sweep.suspect(row, finding("MS04", at, { field: "guid", ...guids, expunged }));
    return; // what its header holds says nothing about the record any more
  }
  if (size === expected) checkHeaderSize(sweep, message);
  tallyOctets(octetsOf(head, messages.headerSizes[row] ?? 0), at, sweep.collector);
}

function checkHeaderSize(sweep: Sweep, message: ReadMessage): void {
  const { row, at, expunged, head, size } = message;
  const found = sweep.messages.headerSizes[row] ?? 0;
  if (endsHeader(head, found)) return;
  const end = new HeaderEnd();
  end.feed(head);
  const expected = end.headerSize ?? (head.length === size ? size : undefined);
  if (expected !== undefined && expected !== found) {
    sweep.suspect(row, finding("MS05", at, { expected, found, expunged }));
  }
}

/** True when the GUID of the record is `digest`. Compares in place, as a view costs more. */
function hasGuid(messages: MessageTable, row: number, digest: Uint8Array): boolean {
  const { guids } = messages;
  let different = 0;
  for (let at = 0; at < SHA1_BYTES; at++) {
    different |= (guids[row * SHA1_BYTES + at] ?? 0) ^ (digest[at] ?? 0);
  }
  return different === 0;
}

/** True of 12 bytes and zeros: a null GUID, or a UUID of Cyrus 2.3 (spool-format 2.3). */
function isShortId(messages: MessageTable, row: number): boolean {
  const { guids } = messages;
  let bits = 0;
  for (let at = 12; at < SHA1_BYTES; at++) bits |= guids[row * SHA1_BYTES + at] ?? 0;
  return bits === 0;
}

/** Only UUIDs that begin with byte 02 depend on the message: they hold a part of its MD5. */
function checkUuid(sweep: Sweep, { row, at, expunged }: ReadMessage): void {
  const expected = md5PrefixOf(hexOf(guidOf(sweep.messages, row)));
  if (expected === undefined) return;
  const file = readRegular(at.path, DEFAULT_LIMITS.literalBytes);
  if (file.state !== "read") return; // it was read a moment ago: gone, or too large to hold
  const found = hexOf(md5(file.bytes)).slice(0, expected.length);
  if (found === expected) return;
  sweep.suspect(row, finding("MS04", at, { field: "uuid", expected, found, expunged }));
}

const CR = 13;
const LF = 10;

/** True when an empty line ends just before `at`: one of bare LF, as earlier stores had it, too. */
function endsHeader(head: Uint8Array, at: number): boolean {
  if (head[at - 1] !== LF) return false;
  return head[at - 2] === LF || (head[at - 2] === CR && head[at - 3] === LF);
}

function checkStat(
  sweep: Sweep,
  { row, at, stat }: Pick<ReadMessage, "row" | "at" | "stat">,
): void {
  const { collector, ownerUid } = sweep;
  if (stat.nlink > 1) sweep.linked(row, stat);
  if (ownerUid !== undefined && stat.uid !== ownerUid) {
    collector.tally("PM01", at, { what: "message_owner", expected: ownerUid });
  }
  if ((stat.mode & 0o002) !== 0) collector.tally("PM01", at, { what: "message_writable" });
}
