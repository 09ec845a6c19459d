/**
 * Reads a mailbox as of one moment from a live server, without any lock. Everything that has a
 * checksum is checked. What fails twice although nobody has written in between is damaged, and is
 * not given out. What a crash of Cyrus between two of its writes can leave is read as it is: an
 * index header older than the records, and a cyrus.header younger than the index.
 */
import { setImmediate } from "node:timers/promises";
import { hex32 } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { isSettled } from "../../../core/file_stamp.ts";
import { type FileBytes, isSameFile } from "../../../core/files.ts";
import type { HeaderFile } from "../../../formats/cyrus/header_file.ts";
import { hasBit, INDEX_OPTION } from "../../../formats/cyrus/index/index_flags.ts";
import { locateByteError } from "../../../hash/crc32_locate.ts";
import {
  annotationsIn,
  type MessageAnnotations,
  readAnnotations,
} from "../../../mailbox/annotation_image.ts";
import { HeaderImage } from "../../../mailbox/header_image.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";
import { mailRecord, mailRecords, type RecordContext } from "../../../mailbox/mail_record.ts";
import { MailboxSums, sumsAgree } from "../../../mailbox/sums.ts";
import type { RecordSource } from "../../../model/mailbox.ts";
import { externalName, useridOf } from "../../../model/names.ts";
import { type Outcome, ok, type RefusalReason, refused } from "../../../model/outcome.ts";
import type { MailRecord } from "../../../model/record.ts";
import { type Look, lookUntilSame } from "../../stable.ts";
import { accessRefusal, type ClosedFile } from "../refused_access.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import { type MailboxReading, readIndex, readMailbox } from "./mailbox_reading.ts";
import { stillStands } from "./opened_mailbox.ts";

/** What the files of one mailbox say, all of one moment. */
export interface MailboxSnapshot {
  readonly paths: MailboxPaths;
  readonly header: HeaderFile;
  readonly index: IndexImage;
  readonly annotations: MessageAnnotations;
  readonly sums: MailboxSums;
  /** Header and records are of one moment. */
  readonly agrees: boolean;
  /** The owner's user id; "" where the mailbox belongs to nobody. */
  readonly owner: string;
}

type WholeReading = MailboxReading<FileBytes>;

/** The mailbox to be read. */
export interface SnapshotRequest {
  /** Internal name. */
  readonly name: string;
  readonly paths: MailboxPaths;
}

/**
 * Reads a mailbox until header and records agree, or until nobody has written while it was read.
 * Refused as `nonexistent` where the mailbox is being removed, as `moved` where it has no folder,
 * as `busy` where it changed under every look, as `permissionDenied` or `failed` where the system
 * does not let its files be read.
 */
export async function takeSnapshot(request: SnapshotRequest): Promise<Outcome<MailboxSnapshot>> {
  // All reading is synchronous: signals, timers and sockets get their turn before each mailbox.
  await setImmediate();
  const { value: seen, isSure } = await lookUntilSame(() => lookAt(request), {
    isSame: (before, now) => textOf(before) === textOf(now),
  });
  if (seen.kind === "seen" && isSure) return ok(seen.snapshot);
  if (seen.kind === "gone" || (seen.kind === "trouble" && isSure)) {
    return refused(seen.reason, seen.text);
  }
  return refused("busy", `${textOf(seen)}; it is being written to`);

  function textOf(one: Seen): string {
    return one.kind === "seen"
      ? `${externalName(request.name)} changed while it was read`
      : one.text;
  }
}

function lookAt(request: SnapshotRequest): Look<Seen> {
  const { paths } = request;
  const started = Date.now();
  const reading = readMailbox(paths, readIndex(paths));
  const value = seenIn(request, reading);
  const files = [reading.index, reading.header, reading.annotations];
  const isProven = value.kind === "gone" || (value.kind === "seen" && value.snapshot.agrees);
  return {
    value,
    trust: isProven ? "proven" : value.kind === "seen" ? "plausible" : "suspect",
    isSettled: files.every((file) => file.state !== "read" || isSettled(file.stat, started)),
    stands: () => stillStands(reading) && isSameFile(paths.annotations, reading.annotations),
  };
}

/** A fault, for which the mailbox must not be given out. A writer may just be at work. */
interface Trouble {
  readonly kind: "trouble";
  readonly reason: RefusalReason;
  readonly text: string;
}

type Seen =
  | { readonly kind: "seen"; readonly snapshot: MailboxSnapshot }
  | { readonly kind: "gone"; readonly reason: "moved" | "nonexistent"; readonly text: string }
  | Trouble;

function seenIn(request: SnapshotRequest, reading: WholeReading): Seen {
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
    const header = new HeaderImage(bytesOf(reading.header));
    part = "cyrus.index";
    const index = IndexImage.open(bytesOf(reading.index), paths.index);
    const flaw = flawOf(index) ?? headerFlaw(reading, header, index);
    if (flaw !== undefined) return trouble(name, flaw);
    if (hasBit(index.header.options, INDEX_OPTION.mailboxDeleted)) {
      return { kind: "gone", reason: "nonexistent", text: `There is no ${name}: it was deleted` };
    }
    part = "cyrus.annotations";
    const annotations = annotationsOf(reading);
    const owner = useridOf(request.name) ?? "";
    const sums = new MailboxSums({
      header: index.header,
      userFlags: header.flagCrcs,
      annotations: annotationsIn(annotations),
      owner,
    });
    const disorder = addUp(index, sums);
    if (disorder !== undefined) {
      const place = `record ${disorder + 1} of cyrus.index`;
      return trouble(name, `${place} has no higher UID than the one before`);
    }
    const agrees =
      sumsAgree(index.header, sums) && highestModseq(annotations) <= index.header.highestmodseq;
    const snapshot = { paths, header: header.file, index, annotations, sums, agrees, owner };
    return { kind: "seen", snapshot };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return trouble(name, `${part}: ${error.message}`);
  }
}

/** The first file that the system does not let be read. */
function closedFile({ paths, ...reading }: WholeReading): ClosedFile | undefined {
  for (const file of ["index", "header", "annotations"] as const) {
    const bytes = reading[file];
    if (bytes.state === "unreadable") return { path: paths[file], errno: bytes.errno };
  }
  return undefined;
}

/** `name` is the external name, as everywhere in messages for people. */
function trouble(name: string, text: string): Trouble {
  return { kind: "trouble", reason: "damaged", text: `Cannot read ${name}: ${text}` };
}

/** The bytes of a file that must be there. The caller has dealt with `unreadable` before. */
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

/** Adds every record to `sums`. Returns the number of the first whose UID is not above the last. */
function addUp(index: IndexImage, sums: MailboxSums): number | undefined {
  let number = 0;
  let disorder: number | undefined;
  for (const record of index.records()) {
    if (record.uid <= sums.maxUid) disorder ??= number;
    sums.add(record);
    number += 1;
  }
  return disorder;
}

/** Reads the annotations. Of a damaged database the rest would look removed: it is refused. */
function annotationsOf(reading: WholeReading): MessageAnnotations {
  if (reading.annotations.state === "missing") return new Map();
  const found = readAnnotations(bytesOf(reading.annotations));
  if (found.kind === "unsupported") {
    throw new FormatError(0, `a database that Bobbin reads, not ${found.format}`);
  }
  const [problem] = found.problems;
  if (problem !== undefined)
    throw new FormatError(problem.offset ?? 0, `a sound database: ${problem.detail}`);
  return found.byUid;
}

function highestModseq(annotations: MessageAnnotations): bigint {
  let highest = 0n;
  for (const list of annotations.values()) {
    for (const { modseq } of list) if (modseq > highest) highest = modseq;
  }
  return highest;
}

/** What is wrong with the checksums and the length of an index. */
function flawOf(index: IndexImage): string | undefined {
  const { missingRecords, storedCrcs: crcs } = index;
  if (crcs !== undefined && crcs.stored !== crcs.computed) {
    const [computed, stored] = [hex32(crcs.computed), hex32(crcs.stored)];
    return `the header of cyrus.index has the CRC ${computed} instead of ${stored}`;
  }
  if (missingRecords > 0) return `cyrus.index lacks ${missingRecords} of its records`;
  const bad = index.firstBadRecord();
  if (bad === undefined) return undefined;
  return `record ${bad + 1} of cyrus.index (uid ${index.uidAt(bad)}) fails its CRC`;
}

/**
 * What is wrong with a cyrus.header that is not the one recorded by the index. When it is younger
 * than the index, a crash between the two writes has left it; but not if one changed byte
 * explains the difference.
 */
function headerFlaw(
  reading: WholeReading,
  header: HeaderImage,
  index: IndexImage,
): string | undefined {
  const recorded = index.header.headerFileCrc;
  if (reading.header.state !== "read" || reading.index.state !== "read") return undefined;
  if (header.fits(recorded)) return undefined;
  const { bytes, stat } = reading.header;
  const computed = header.fileCrc;
  const isYounger = stat.mtimeMs > reading.index.stat.mtimeMs;
  if (isYounger && locateByteError(recorded, computed, bytes.length) === undefined) {
    return undefined;
  }
  return `cyrus.header has the CRC ${hex32(computed)}, and ${hex32(recorded)} by cyrus.index`;
}

/** All records of a snapshot, with the expunged ones. Each pass parses them again. */
export function recordsOfSnapshot(snapshot: MailboxSnapshot): RecordSource {
  const { index, annotations } = snapshot;
  return mailRecords(index, annotationsIn(annotations), contextOf(snapshot));
}

/** The record with this UID; undefined where the mailbox has none. */
export function findRecord(snapshot: MailboxSnapshot, uid: number): MailRecord | undefined {
  const { index, annotations } = snapshot;
  const number = index.find(uid);
  if (number === undefined) return undefined;
  return mailRecord(index.record(number), annotations.get(uid) ?? [], contextOf(snapshot));
}

function contextOf({ index, header, owner }: MailboxSnapshot): RecordContext {
  return { header: index.header, userFlags: header.userFlags, owner };
}
