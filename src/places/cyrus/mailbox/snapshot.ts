/**
 * Reads a mailbox as of one moment from a live server, without any lock. Everything that has a
 * checksum is checked. What fails twice although nobody has written in between is damaged, and is
 * not given out. What a crash of Cyrus between two of its writes can leave is read as it is: an
 * index header older than the records, and a cyrus.header younger than the index.
 */
import { setImmediate } from "node:timers/promises";
import { FormatError } from "../../../core/errors.ts";
import { isSettled } from "../../../core/file_stamp.ts";
import { type FileBytes, isSameFile } from "../../../core/files.ts";
import { locateByteError } from "../../../hash/crc32_locate.ts";
import {
  contentsOf,
  type HeaderCrcs,
  type MailboxContents,
} from "../../../mailbox/mailbox_contents.ts";
import type { ListedFacts } from "../../../mailbox/mailbox_state.ts";
import { salvage } from "../../../mailbox/salvage.ts";
import type { Lost } from "../../../model/mailbox.ts";
import { externalName } from "../../../model/names.ts";
import { type Outcome, ok, type RefusalReason, refused } from "../../../model/outcome.ts";
import { type Look, lookUntilSame } from "../../stable.ts";
import { accessRefusal, type ClosedFile } from "../refused_access.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import { type MailboxReading, readIndex, readMailbox } from "./mailbox_reading.ts";
import { stillStands } from "./opened_mailbox.ts";

/** What the files of one mailbox say, all of one moment, and where they lie. */
export interface MailboxSnapshot extends MailboxContents {
  readonly paths: MailboxPaths;
  /** Present where the files are damaged, and this is what proved sound of them. */
  readonly lost?: Lost;
}

type WholeReading = MailboxReading<FileBytes>;

/** The mailbox to be read. */
export interface SnapshotRequest {
  /** Internal name. */
  readonly name: string;
  readonly paths: MailboxPaths;
  /** What is known of a mailbox that is to be salvaged where it is damaged. */
  readonly known?: Pick<ListedFacts, "uniqueid" | "uidvalidity" | "acl">;
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
  if (seen.kind === "trouble" && isSure && seen.damaged !== undefined) {
    return salvaged(request, seen.damaged, seen.text);
  }
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
  /** What was read, where it was damage. */
  readonly damaged?: WholeReading;
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
  const { annotations } = reading;
  const absent = (["header", "index"] as const).find((file) => reading[file].state === "missing");
  if (absent !== undefined) {
    return { ...trouble(name, `there is no cyrus.${absent}`), damaged: reading };
  }
  const found = contentsOf(
    request.name,
    {
      header: () => bytesOf(reading.header),
      index: () => bytesOf(reading.index),
      annotations: () => (annotations.state === "missing" ? undefined : bytesOf(annotations)),
    },
    { mayDiffer: (crcs) => isLeftByCrash(reading, crcs) },
  );
  switch (found.kind) {
    case "flawed":
      return { ...trouble(name, found.flaw), damaged: reading };
    case "deleted":
      return { kind: "gone", reason: "nonexistent", text: `There is no ${name}: it was deleted` };
    case "sound":
      return { kind: "seen", snapshot: { ...found.contents, paths } };
  }
}

/** What proves sound of a damaged mailbox, where the request says what else is known of it. */
function salvaged(
  { name, paths, known }: SnapshotRequest,
  reading: WholeReading,
  flaw: string,
): Outcome<MailboxSnapshot> {
  if (known === undefined) return refused("damaged", flaw);
  const { uniqueid, uidvalidity, acl } = known;
  const found = salvage(
    {
      header: bytesIn(reading.header),
      index: bytesIn(reading.index),
      annotations: bytesIn(reading.annotations),
    },
    { name, uniqueid, uidvalidity, acl },
  );
  if (typeof found === "string") return refused("damaged", `${flaw}, and ${found}`);
  const { header, index, annotations, lost } = found;
  const files = { header: () => header, index: () => index, annotations: () => annotations };
  const contents = contentsOf(name, files);
  if (contents.kind !== "sound") return refused("damaged", flaw);
  return ok({ ...contents.contents, paths, lost });
}

function bytesIn(file: FileBytes): Uint8Array | undefined {
  return file.state === "read" ? file.bytes : undefined;
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

/**
 * True where a cyrus.header that is not the one recorded by the index is younger than the index: a
 * crash between the two writes has left it; but not if one changed byte explains the difference.
 */
function isLeftByCrash(
  { header, index }: WholeReading,
  { recorded, computed }: HeaderCrcs,
): boolean {
  if (header.state !== "read" || index.state !== "read") return false;
  if (header.stat.mtimeMs <= index.stat.mtimeMs) return false;
  return locateByteError(recorded, computed, header.bytes.length) === undefined;
}
