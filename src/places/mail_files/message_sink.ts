/** Where messages go as files for people and mail programs: a folder of `.eml`, or an mbox file. */
import { closeSync, fdatasyncSync, openSync, unlinkSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { printMboxEntry } from "../../formats/mbox/print_mbox.ts";
import { externalName } from "../../model/names.ts";
import type { MailRecord } from "../../model/record.ts";
import {
  createFile,
  diskError,
  entriesIn,
  FILE_MODE,
  makeFolder,
  statOf,
  writeFully,
} from "../../storage/disk.ts";
import { syncPath } from "../../storage/durable.ts";
import { syncFileSystem } from "../../storage/libc.ts";

/** Takes messages one after the other, mailbox by mailbox. */
export interface MessageSink {
  /** Why no further mailbox can be taken, if that is so. */
  readonly refuses: (mailbox: string) => string | undefined;
  /** `mailbox` is an internal name. */
  readonly put: (mailbox: string, record: MailRecord, bytes: Uint8Array) => void;
  /** Makes all of it durable. */
  readonly close: () => void;
}

/**
 * Throws AppError (cannot_create) where something is at `path` that would be written over; a folder
 * that is empty is nothing.
 */
export function requireNew(kind: "eml" | "mbox", path: string): void {
  const there = statOf(path);
  if (there === undefined) return;
  const isFolder = kind === "eml" && there.isDirectory();
  if (isFolder && entriesIn(path).length === 0) return;
  const what = isFolder ? "it is not empty" : "it is there already";
  throw new AppError("cannot_create", `Cannot write messages to ${path}: ${what}`);
}

/**
 * A folder for each mailbox and in it `UID.eml` for each message, byte for byte, as old as the
 * message. Throws AppError (cannot_create) where the folder has anything in it.
 */
export function emlFolder(path: string): MessageSink {
  requireNew("eml", path);
  makeFolder(path);
  return {
    refuses: () => undefined,
    put: (mailbox, { uid, internaldate }, bytes) => {
      const folder = join(path, ...externalName(mailbox).split("/").map(fileName));
      makeFolder(folder);
      const file = join(folder, `${uid}.eml`);
      createFile(file, bytes);
      utimesSync(file, internaldate, internaldate);
    },
    close: () => {
      const fd = openSync(path, "r");
      try {
        syncFileSystem(fd, path);
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** A part of a name that leads nowhere else; names of mailboxes hold no control characters. */
function fileName(part: string): string {
  return part.replaceAll("%", "%25").replace(/^\./, "%2E");
}

/** One file with one mailbox. Throws AppError (cannot_create) where the file is there already. */
export function mboxFile(path: string): MessageSink {
  const fd = openNew(path);
  let [at, mailbox] = [0, undefined as string | undefined];
  return {
    refuses: (name) => {
      mailbox ??= name;
      if (name === mailbox) return undefined;
      return `${path} takes one mailbox, ${externalName(mailbox)}: choose one, or give eml:FOLDER`;
    },
    put: (_, record, bytes) => {
      const entry = printMboxEntry(bytes, record);
      try {
        writeFully(fd, entry, at);
      } catch (error) {
        throw diskError(error, "write", path);
      }
      at += entry.length;
    },
    close: () => {
      try {
        fdatasyncSync(fd);
      } finally {
        closeSync(fd);
      }
      // An empty file would be in the way of the next run.
      if (at === 0) unlinkSync(path);
      syncPath(dirname(path), "folder");
    },
  };
}

function openNew(path: string): number {
  requireNew("mbox", path);
  try {
    return openSync(path, "wx", FILE_MODE); // O_EXCL follows no link
  } catch (error) {
    throw diskError(error, "write", path);
  }
}
