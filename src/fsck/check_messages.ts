/**
 * Message files against their records: rows MS02 to MS05, MS08, MS11, MS12 and PM01. Each file is read
 * once, hashed, and looked at while it is in memory. A message that is not what its record says is
 * looked at again, with both hash engines and the record as it stands by then, before it is reported.
 */
import { isAscii } from "node:buffer";
import type { Stats } from "node:fs";
import { join } from "node:path";
import { hexOf } from "../core/bytes.ts";
import { readRegular } from "../core/files.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { classifyUuid, uuidMatchesMd5 } from "../formats/cyrus/uuid.ts";
import { type Engine, SHA1_BYTES } from "../hash/engines.ts";
import { hashFile } from "../hash/hash_file.ts";
import { md5 } from "../hash/md5.ts";
import type { FindingFacts } from "./catalogue.ts";
import type { Collector } from "./collector.ts";
import { guidOf, MESSAGE, type MessageTable } from "./message_table.ts";

export interface MessageCheck {
  /** The folder that holds the files. */
  readonly folder: string;
  readonly engine: Engine;
  /** Owner that files must have: that of the mailbox folder. */
  readonly ownerUid: number;
  readonly collector: Collector;
  /** Called for a message with something wrong, instead of a finding: it deserves a second look. */
  suspect(row: number, code: string, facts: FindingFacts): void;
  /** Called for a file with more than one link. */
  linked(row: number, stat: Stats): void;
}

/** Checks every file of `messages`; returns the bytes read. */
export function checkMessages(messages: MessageTable, check: MessageCheck): number {
  const digest = new Uint8Array(SHA1_BYTES);
  let bytes = 0;
  for (let row = 0; row < messages.length; row++) {
    bytes += checkMessage(messages, row, { ...check, digest });
  }
  return bytes;
}

function checkMessage(
  messages: MessageTable,
  row: number,
  check: MessageCheck & { readonly digest: Uint8Array },
): number {
  const { folder, engine, digest } = check;
  const uid = messages.uids[row] ?? 0;
  const path = `${folder}/${uid}.`;
  const state = messages.states[row] ?? 0;
  let head = EMPTY;
  const result = hashFile(path, digest, {
    engine,
    inspect: (bytes) => {
      head = bytes;
    },
  });
  switch (result.kind) {
    case "missing":
      if ((state & MESSAGE.unlinked) === 0) check.suspect(row, "MS01", { uid, path });
      return 0;
    case "not_regular":
      check.suspect(row, "MS08", { uid, path, text: "not a regular file under a message's name" });
      return 0;
    case "unreadable":
      check.suspect(row, "PM01", {
        uid,
        path,
        text: `message cannot be read: ${result.errno}`,
        found: result.errno,
      });
      return 0;
    case "too_large":
      check.suspect(row, "MS03", {
        uid,
        path,
        field: "size",
        expected: messages.sizes[row] ?? 0,
        found: result.size,
      });
      return 0;
    case "hashed":
      checkStat(messages, row, { ...check, stat: result.stat });
      checkContent(messages, row, { ...check, head, path, size: result.size });
      return result.size;
  }
}

const EMPTY: Uint8Array = new Uint8Array();

interface Content extends MessageCheck {
  readonly digest: Uint8Array;
  /** The first part of the file; all of it unless it is a large one. */
  readonly head: Uint8Array;
  readonly size: number;
  readonly path: string;
}

function checkContent(messages: MessageTable, row: number, content: Content): void {
  const { head, size, path, digest } = content;
  const uid = messages.uids[row] ?? 0;
  const expectedSize = messages.sizes[row] ?? 0;
  if (size === 0) {
    content.suspect(row, "MS02", { uid, path, field: "size", expected: expectedSize, found: 0 });
    return;
  }
  const sizeFacts = { uid, path, field: "size", expected: expectedSize, found: size };
  if (size !== expectedSize) content.suspect(row, "MS03", sizeFacts);
  const guid = guidOf(messages, row);
  if (isShortId(guid)) {
    checkUuid(guid, { ...content, row, uid });
  } else if (!isEqual(guid, digest)) {
    const facts = { uid, path, field: "guid", expected: hexOf(guid), found: hexOf(digest) };
    content.suspect(row, "MS04", facts);
    return; // what its header holds says nothing about the record any more
  }
  if (size === expectedSize) checkHeaderSize(messages, row, content);
  checkOctets(head.subarray(0, messages.headerSizes[row] ?? 0), { content, uid });
  if (head.includes(0)) {
    content.collector.tally("MS12", { text: "messages with NUL octets", uid, path });
  }
}

function checkHeaderSize(messages: MessageTable, row: number, content: Content): void {
  const { head, size, path } = content;
  const uid = messages.uids[row] ?? 0;
  const found = messages.headerSizes[row] ?? 0;
  const expected = headerSizeOf(head, size);
  if (expected !== undefined && expected !== found && !endsHeader(head, found)) {
    content.suspect(row, "MS05", { uid, path, field: "header_size", expected, found });
  }
}

/** 12 bytes and zeros: nothing, or a UUID of Cyrus 2.3 (spool-format 2.3). */
function isShortId(guid: Uint8Array): boolean {
  return guid.subarray(12).every((byte) => byte === 0);
}

/** Of the UUIDs only one kind says anything about the message: it begins with byte 02. */
function checkUuid(
  guid: Uint8Array,
  content: Content & { readonly row: number; uid: number },
): void {
  const { path, row, uid } = content;
  const uuid = classifyUuid(hexOf(guid));
  if (uuid?.kind !== "md5") return;
  const file = readRegular(path, DEFAULT_LIMITS.literalBytes);
  if (file.state !== "read") return; // it was read a moment ago: gone, or too large to hold
  const digest = md5(file.bytes);
  if (uuidMatchesMd5(uuid, digest) !== false) return;
  const found = hexOf(digest).slice(0, uuid.prefix.length);
  const text = "message is not what its UUID says";
  content.suspect(row, "MS04", { text, uid, path, field: "uuid", expected: uuid.prefix, found });
}

const CR = 13;
const LF = 10;

/**
 * Bytes up to and with the empty line that ends the header; the whole size where there is none, and
 * undefined where the part in memory does not show it.
 */
function headerSizeOf(head: Uint8Array, size: number): number | undefined {
  if (head[0] === CR && head[1] === LF) return 2;
  const end = Buffer.from(head.buffer, head.byteOffset, head.length).indexOf("\r\n\r\n");
  if (end !== -1) return end + 4;
  return head.length === size ? size : undefined;
}

/** True where `at` is just behind an empty line, with whatever line ends: messages with bare LF. */
function endsHeader(head: Uint8Array, at: number): boolean {
  if (head[at - 1] !== LF) return false;
  return head[at - 2] === LF || (head[at - 2] === CR && head[at - 3] === LF);
}

function checkOctets(
  header: Uint8Array,
  { content, uid }: { readonly content: Content; readonly uid: number },
): void {
  const { collector, path } = content;
  if (!isAscii(header)) {
    collector.tally("MS12", { text: "messages with 8-bit octets in the header", uid, path });
  }
  for (let at = header.indexOf(LF); at !== -1; at = header.indexOf(LF, at + 1)) {
    if (header[at - 1] === CR) continue;
    collector.tally("MS12", { text: "messages with bare LF in the header", uid, path });
    return;
  }
}

function checkStat(
  messages: MessageTable,
  row: number,
  check: MessageCheck & { readonly stat: Stats },
): void {
  const { stat, collector } = check;
  const uid = messages.uids[row] ?? 0;
  const path = join(check.folder, `${uid}.`);
  if (stat.nlink > 1) check.linked(row, stat);
  if (stat.uid !== check.ownerUid) {
    const text = "messages owned by another user than their folder";
    collector.tally("PM01", { text, uid, path, expected: check.ownerUid });
  }
  if ((stat.mode & 0o002) !== 0) {
    collector.tally("PM01", { text: "messages that anybody may write", uid, path });
  }
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
