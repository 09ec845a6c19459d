/**
 * A mailbox as of one moment, read from a live server without any lock (spool-format 8, protocol B).
 * Everything that carries a checksum is checked; what fails, and fails again when nobody has written in
 * between, is damaged and not given out. What a crash can leave (L5, L6, L7) is read as what it is.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { hex32 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { FileBytes } from "../../core/files.ts";
import { type HeaderFile, parseHeaderFile } from "../../formats/cyrus/header_file.ts";
import { hasBit, INDEX_OPTION } from "../../formats/cyrus/index/index_flags.ts";
import { indexHeaderCrcs } from "../../formats/cyrus/index/index_header.ts";
import { crc32 } from "../../hash/crc32.ts";
import { locateByteError } from "../../hash/crc32_locate.ts";
import {
  badRecordCrcs,
  type IndexFile,
  openIndexFile,
  recordOffset,
} from "../../mailbox/index_file.ts";
import { type MailboxSums, sumMailbox } from "../../mailbox/mailbox_sums.ts";
import { externalName, useridOf } from "../../model/names.ts";
import { type Outcome, ok, type RefusalReason, refused } from "../../model/outcome.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import {
  isSameFile,
  isSettled,
  isUnchanged,
  type MailboxReading,
  readMailbox,
} from "./mailbox_reading.ts";
import {
  type MessageAnnotations,
  NO_ANNOTATIONS,
  readMessageAnnotations,
} from "./message_annotations.ts";
import { accessRefusal, type ClosedFile } from "./refused_access.ts";

/** What the files of one mailbox say, all of one moment. */
export interface MailboxSnapshot {
  readonly paths: MailboxPaths;
  readonly header: HeaderFile;
  readonly index: IndexFile;
  readonly annotations: MessageAnnotations;
  readonly sums: MailboxSums;
}

/** Which mailbox is read. */
export interface SnapshotRequest {
  /** Internal name. */
  readonly name: string;
  readonly paths: MailboxPaths;
}

/** Pauses between looks: times of files move with a tick of up to 10 ms, commits take longer than that. */
const PAUSES_MS = [20, 40, 80, 160, 320];

/**
 * Reads a mailbox until header and records agree, or until nobody has written while it was read.
 * `nonexistent` where it is being removed, `moved` where it has no folder, `busy` where it changed under
 * every look.
 * `permissionDenied` or `failed` where the system does not let its files be read.
 */
export async function takeSnapshot(request: SnapshotRequest): Promise<Outcome<MailboxSnapshot>> {
  // All reading is synchronous: signals, timers and sockets get their turn before each mailbox.
  await setImmediate();
  let before: Trouble | undefined;
  for (const pauseMs of [...PAUSES_MS, undefined]) {
    const started = Date.now();
    const reading = readMailbox(request.paths);
    const look = lookAt(request, reading);
    if (look.kind === "gone") return refused(look.reason, look.text);
    if (look.kind === "seen" && look.snapshot.sums.agrees) return ok(look.snapshot);
    const isAtRest = look.kind === "seen" && isSettled(reading, started);
    if (!isAtRest && pauseMs !== undefined) await sleep(pauseMs);
    const isStill =
      isUnchanged(reading) && isSameFile(request.paths.annotations, reading.annotations);
    if (isStill && look.kind === "seen") return ok(look.snapshot);
    if (look.kind !== "trouble") before = undefined;
    else if (isStill && before?.text === look.text) return refused(look.reason, look.text);
    else before = look;
  }
  const text = before?.text ?? `${externalName(request.name)} changed while it was read`;
  return refused("busy", `${text}; it is being written to`);
}

/** Something that must not be given out. It may be a writer's half-done work. */
interface Trouble {
  readonly kind: "trouble";
  readonly reason: RefusalReason;
  readonly text: string;
}

type Look =
  | { readonly kind: "seen"; readonly snapshot: MailboxSnapshot }
  | { readonly kind: "gone"; readonly reason: "moved" | "nonexistent"; readonly text: string }
  | Trouble;

function lookAt(request: SnapshotRequest, reading: MailboxReading): Look {
  const { paths } = request;
  const name = externalName(request.name);
  if (reading.folder === undefined && reading.index.state === "missing") {
    return { kind: "gone", reason: "moved", text: `Cannot read ${name}: no folder ${paths.data}` };
  }
  const closed = closedFile(reading);
  if (closed !== undefined) {
    const { reason, text } = accessRefusal(name, closed);
    return { kind: "trouble", reason, text };
  }
  let part = "cyrus.header";
  try {
    const header = parseHeaderFile(bytesOf(reading.header));
    part = "cyrus.index";
    const indexBytes = bytesOf(reading.index);
    const index = openIndexFile(indexBytes);
    const flaw = flawOf(index) ?? headerFlaw(reading, index);
    if (flaw !== undefined) return trouble(name, flaw);
    if (hasBit(index.header.options, INDEX_OPTION.mailboxDeleted)) {
      return { kind: "gone", reason: "nonexistent", text: `There is no ${name}: it was deleted` };
    }
    part = "cyrus.annotations";
    const annotations = annotationsOf(request, reading, index);
    const sums = sumMailbox(index, header.userFlags, annotations);
    if (sums.disorder !== undefined) {
      return trouble(
        name,
        `record ${sums.disorder + 1} of cyrus.index has no higher UID than the one before`,
      );
    }
    return { kind: "seen", snapshot: { paths, header, index, annotations, sums } };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return trouble(name, `${part} is damaged: ${error.message}`);
  }
}

/** The first of the files that the system does not let be read. */
function closedFile({ paths, ...reading }: MailboxReading): ClosedFile | undefined {
  for (const file of ["index", "header", "annotations"] as const) {
    const bytes = reading[file];
    if (bytes.state === "unreadable") return { path: paths[file], errno: bytes.errno };
  }
  return undefined;
}

/** `name` is external, as in all words for people. */
function trouble(name: string, text: string): Trouble {
  return { kind: "trouble", reason: "damaged", text: `Cannot read ${name}: ${text}` };
}

/** The bytes of a file that must be there; `unreadable` files have been sorted out before. */
function bytesOf(file: FileBytes): Uint8Array {
  switch (file.state) {
    case "read":
      return file.bytes;
    case "missing":
      throw new FormatError(0, "a file, but there is none");
    case "not_regular":
      throw new FormatError(0, "a regular file");
    case "too_large":
      throw new FormatError(file.size, "the end of the file");
    case "unreadable":
      throw new FormatError(0, `a file that can be read: ${file.errno}`);
  }
}

function annotationsOf(
  { name }: SnapshotRequest,
  reading: MailboxReading,
  index: IndexFile,
): MessageAnnotations {
  if (reading.annotations.state === "missing") return NO_ANNOTATIONS;
  const bytes = bytesOf(reading.annotations);
  const owner = useridOf(name) ?? "";
  return readMessageAnnotations(bytes, { owner, indexVersion: index.header.minorVersion });
}

/** What is wrong with the checksums and the length of an index. */
function flawOf(index: IndexFile): string | undefined {
  const { bytes, table, recordCount, missingRecords } = index;
  const crcs = indexHeaderCrcs(bytes, table);
  if (crcs !== undefined && crcs.stored !== crcs.computed) {
    return `the header of cyrus.index has the CRC ${hex32(crcs.computed)} instead of ${hex32(crcs.stored)}`;
  }
  if (missingRecords > 0) return `cyrus.index lacks ${missingRecords} of its records`;
  const [bad] = badRecordCrcs(bytes, { table, at: table.headerSize, count: recordCount });
  if (bad === undefined) return undefined;
  const uid = index.view.getUint32(recordOffset(index, bad) + table.recordAt.uid);
  return `record ${bad + 1} of cyrus.index (uid ${uid}) fails its CRC`;
}

/**
 * A cyrus.header that is not the one the index recorded. When it is younger than the index, a crash between
 * the two writes has left it (L7), unless one changed byte explains the difference.
 */
function headerFlaw(reading: MailboxReading, index: IndexFile): string | undefined {
  const recorded = index.header.headerFileCrc;
  if (recorded === 0 || reading.header.state !== "read" || reading.index.state !== "read") {
    return undefined;
  }
  const { bytes, stat } = reading.header;
  const computed = crc32(bytes);
  if (computed === recorded) return undefined;
  const isYounger = stat.mtimeMs > reading.index.stat.mtimeMs;
  if (isYounger && locateByteError(recorded, computed, bytes.length) === undefined) {
    return undefined;
  }
  return `cyrus.header has the CRC ${hex32(computed)}, and ${hex32(recorded)} by cyrus.index`;
}
