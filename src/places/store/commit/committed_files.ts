/**
 * The files of a mailbox as the last commit left them, beside whatever a writer is doing now: what
 * lies on disk with the journal laid over it, read again where a commit fell in between.
 */
import { join } from "node:path";
import { assert } from "../../../core/assert.ts";
import { AppError } from "../../../core/errors.ts";
import type { FileParts } from "../../../core/file_source.ts";
import type { Limits } from "../../../core/limits.ts";
import type { ImageSource, MailboxFile } from "../../../mailbox/mailbox_image.ts";
import { ownerName } from "../../../model/names.ts";
import { readPart, readWhole, statOf } from "../../../storage/disk.ts";
import { leftSteps, type MailboxStep, pendingSteps } from "../catalogue/redo_rows.ts";
import { mailboxFolder } from "../layout.ts";
import { overlay } from "./journal.ts";
import type { OwnerFolder } from "./owner_folder.ts";

/** Rereads of a mailbox that keeps changing under its reader before busy is reported. */
const READ_ATTEMPTS = 20;
/**
 * Rereads where each needs a new copy of the catalogue: such a reader is slower than most writers.
 */
const COPY_ATTEMPTS = 400;

export type FilesNamed<Name extends MailboxFile> = Readonly<Record<Name, Uint8Array | undefined>>;

/**
 * The named files of a mailbox. Undefined where the catalogue has no such mailbox. Throws busy
 * where it never holds still. `indexBytes` reads only the start of the index: its header.
 */
export function readFiles<Name extends MailboxFile>(
  folder: OwnerFolder,
  uniqueid: string,
  { names, indexBytes }: { readonly names: readonly Name[]; readonly indexBytes?: number },
): FilesNamed<Name> | undefined {
  return asCommitted(folder, uniqueid, (steps) => {
    const path = pathNow(folder, uniqueid, steps);
    const files = names.map((name) => {
      const file = join(path, name);
      const bytes =
        name === "cyrus.index" && indexBytes !== undefined
          ? readPart(file, { offset: 0, length: indexBytes })
          : readWhole(file, limitOf(name, folder.limits));
      return [name, overlay(`${uniqueid}/${name}`, bytes, steps)] as const;
    });
    return Object.fromEntries(files) as FilesNamed<Name>;
  })?.value;
}

/** A mailbox of which the journal has something that is not yet done to its files. */
export interface UnsettledMailbox {
  /** Where its folder lies now. */
  readonly path: string;
  /** Those of its files that the journal changes, as it leaves them. */
  readonly files: ReadonlyMap<MailboxFile, Uint8Array | undefined>;
  /** False once there was another commit: then the journal may be done, and files gone. */
  readonly stands: () => boolean;
}

const EVERY_FILE: readonly MailboxFile[] = [
  ...(["cyrus.index", "cyrus.header", "cyrus.cache", "cyrus.annotations"] as const),
];

/** The mailbox as the journal leaves it; undefined where nothing is left to be done to it. */
export function unsettledMailbox(
  folder: OwnerFolder,
  uniqueid: string,
): UnsettledMailbox | undefined {
  const found = asCommitted(folder, uniqueid, (steps) => {
    const path = pathNow(folder, uniqueid, steps);
    const changed = EVERY_FILE.filter((name) =>
      steps.some(({ step }) => step.kind !== "release" && step.path === `${uniqueid}/${name}`),
    );
    const files = changed.map((name) => {
      const bytes = readWhole(join(path, name), limitOf(name, folder.limits));
      return [name, overlay(`${uniqueid}/${name}`, bytes, steps)] as const;
    });
    return { isSettled: steps.length === 0, path, files: new Map(files) };
  });
  if (found === undefined || found.value.isSettled) return undefined;
  const { path, files } = found.value;
  const stands = (): boolean =>
    folder.read(
      (database) =>
        folder.committed(uniqueid) === found.committed &&
        pendingSteps(database, uniqueid).length > 0,
    );
  return { path, files, stands };
}

/** What `look` finds while no commit falls in between; undefined where there is no such mailbox. */
function asCommitted<T>(
  folder: OwnerFolder,
  uniqueid: string,
  look: (steps: readonly MailboxStep[]) => T,
): { readonly value: T; readonly committed: number } | undefined {
  const attempts = folder.isRead ? COPY_ATTEMPTS : READ_ATTEMPTS;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = folder.read((database) => ({
      committed: folder.committed(uniqueid),
      steps: pendingSteps(database, uniqueid),
    }));
    if (before.committed === undefined) return undefined;
    let found: { value: T } | undefined;
    let trouble: unknown;
    try {
      found = { value: look(before.steps) };
    } catch (error) {
      // The files may be ahead of the journal that was read, which then does not fit them.
      trouble = error;
    }
    if (folder.read(() => folder.committed(uniqueid)) !== before.committed) continue;
    if (found === undefined) throw trouble;
    return { ...found, committed: before.committed };
  }
  throw new AppError(
    "busy",
    `Cannot read mailbox ${uniqueid} of ${ownerName(folder.owner)}: it keeps changing`,
    { context: { uniqueid }, hint: "Run it again." },
  );
}

/** Where the mailbox's files are now, moved in first from trash or handover if that may be. */
function pathNow(folder: OwnerFolder, uniqueid: string, steps: readonly MailboxStep[]): string {
  const usual = join(folder.folder, mailboxFolder(uniqueid));
  const move = steps.map(({ step }) => step).find((step) => step.kind === "move");
  if (move === undefined) return usual;
  // The transaction itself has tried to settle the journal.
  if (!folder.database.inTransaction && folder.settleIfFree()) return usual;
  const now = join(folder.folder, move.path);
  return statOf(now) === undefined ? usual : now;
}

/**
 * The files of a mailbox within a transaction, from which parts are read as they are needed: under
 * the writer lock, with nothing left in the journal, they stand still. Throws bad_data where the
 * files do not take what is left.
 */
export function lockedFiles(folder: OwnerFolder, uniqueid: string): ImageSource {
  const { database } = folder;
  assert(database.inTransaction, `${uniqueid} stands still`);
  if (pendingSteps(database, uniqueid).length > 0) {
    const left = leftSteps(database).find((one) => one.uniqueid === uniqueid);
    assert(left !== undefined, `${uniqueid} was settled`);
    folder.requireFit(uniqueid, left.why);
  }
  const path = join(folder.folder, mailboxFolder(uniqueid));
  return {
    "cyrus.header": readWhole(join(path, "cyrus.header"), folder.limits.headerFileBytes),
    "cyrus.index": fileParts(join(path, "cyrus.index")),
    "cyrus.annotations": fileParts(join(path, "cyrus.annotations")),
  };
}

/**
 * What `look` finds in cyrus.index as the last commit left it. Undefined where the file does not
 * tell, because the journal has steps for it or a commit fell in between.
 */
export function peekIndex<T>(
  folder: OwnerFolder,
  uniqueid: string,
  look: (file: FileParts) => T,
): { value: T } | undefined {
  const { before, steps } = folder.read((database) => ({
    before: folder.committed(uniqueid),
    steps: pendingSteps(database, uniqueid).length,
  }));
  if (before === undefined || steps > 0) return undefined;
  const file = fileParts(join(folder.folder, mailboxFolder(uniqueid), "cyrus.index"));
  if (file === undefined) return undefined;
  let found: { value: T } | undefined;
  let trouble: unknown;
  try {
    found = { value: look(file) };
  } catch (error) {
    trouble = error;
  }
  if (folder.committed(uniqueid) !== before) return undefined;
  if (found === undefined) throw trouble;
  return found;
}

/**
 * A file of which parts are read. It is opened for each of them, so that nobody has to close it.
 */
function fileParts(path: string): FileParts | undefined {
  const size = statOf(path)?.size;
  if (size === undefined) return undefined;
  return {
    size,
    read: (offset, length) => {
      const bytes = readPart(path, { offset, length }) ?? new Uint8Array();
      const wanted = Math.min(length, size - offset);
      if (bytes.length >= wanted) return bytes;
      const text = `Cannot read ${path}: it ends at byte ${offset + bytes.length}, not at ${size}`;
      throw new AppError("bad_data", text, { context: { path } });
    },
  };
}

/** The most bytes that a file of a mailbox may have. */
function limitOf(name: MailboxFile, limits: Limits): number {
  return name === "cyrus.header" ? limits.headerFileBytes : limits.mailboxFileBytes;
}
