/**
 * Reads messages of a Cyrus place: finds where their mailbox lies now, and gives them out once
 * their bytes are proven to be what their GUID says.
 */
import { closeSync } from "node:fs";
import { isStill, type WatchedFile, watched } from "../../core/file_stamp.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { beginSha1 } from "../../hash/sha1.ts";
import { findRecord } from "../../mailbox/mailbox_contents.ts";
import { type Guid, isSha1 } from "../../model/guid.ts";
import { externalName } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { MessageAddress, MessageContent } from "../place.ts";
import { type Current, currentOf } from "./current.ts";
import type { CyrusSource } from "./cyrus_source.ts";
import { type ListedMailbox, pathsOf, snapshotOfListed } from "./listed_mailboxes.ts";
import { type MailboxPaths, messagePaths } from "./mailbox/mailbox_files.ts";
import { type HeldFiles, openMessage } from "./mailbox/message_content.ts";
import type { MailboxSnapshot } from "./mailbox/snapshot.ts";

export interface MessageReader {
  /** See `Place.message`. */
  readonly read: (address: MessageAddress) => Promise<Outcome<MessageContent>>;
  /** See `Place.contentGuid`. */
  readonly contentGuid: (address: MessageAddress) => Promise<Outcome<Guid>>;
  /** Closes the files of messages that nobody has read to the end. */
  readonly close: () => void;
}

/** Reads messages of a Cyrus place. Close it. */
export function messageReader(source: CyrusSource): MessageReader {
  const held: HeldFiles = new Set();
  const finders = { held, record: recordFinder(source), where: folderFinder(source) };
  return {
    read: (address) => readMessage(address, finders),
    contentGuid: guidRememberer(finders),
    close: () => {
      for (const fd of held) closeSync(fd);
      held.clear();
    },
  };
}

interface Finders {
  readonly held: HeldFiles;
  readonly record: RecordFinder;
  readonly where: FolderFinder;
}

/** Finds the record of a message whose GUID is a number that says nothing about its content. */
type RecordFinder = (
  mailbox: ListedMailbox,
  uid: number,
) => Promise<Outcome<MailRecord | undefined>>;

/** Finds records, and keeps the last one's mailbox: most messages are asked for in a row. */
function recordFinder(source: CyrusSource): RecordFinder {
  let last:
    | { readonly name: string; readonly snapshot: Current<Outcome<MailboxSnapshot>> }
    | undefined;
  return async ({ name }, uid) => {
    if (last?.name !== name) {
      const snapshot = currentOf(async () => {
        const mailbox = (await source.directory.get()).named(name);
        if (mailbox === undefined)
          return refused("nonexistent", `There is no ${externalName(name)}`);
        return snapshotOfListed(mailbox, source);
      });
      last = { name, snapshot };
    }
    const outcome = await last.snapshot.get();
    return outcome.kind === "refused" ? outcome : ok(findRecord(outcome.value, uid));
  };
}

/** Where the messages of a mailbox lie. */
interface MessageFolder {
  readonly mailbox: ListedMailbox;
  readonly paths: MailboxPaths;
  /** The external name. */
  readonly name: string;
}

interface FolderFinder {
  /** The folder by the list as it is now. Undefined for a mailbox unlisted or without one. */
  find(address: MessageAddress): Promise<MessageFolder | undefined>;
  /** The folder that was found last, if it was that of this mailbox. It may have moved since. */
  last(address: MessageAddress): MessageFolder | undefined;
}

/** Finds folders, and keeps the last one as `recordFinder` does. */
function folderFinder(source: CyrusSource): FolderFinder {
  let last: { readonly address: MessageAddress; readonly folder: MessageFolder } | undefined;
  return {
    find: async (address) => {
      const directory = await source.directory.get();
      const named = directory.named(address.mailbox);
      const isSame = named?.facts.uniqueid === address.uniqueid;
      const mailbox = isSame ? named : (directory.withUniqueid(address.uniqueid) ?? named);
      const paths = mailbox && pathsOf(mailbox);
      if (mailbox === undefined || paths === undefined) return undefined;
      const folder = { mailbox, paths, name: externalName(mailbox.name) };
      last = { address, folder };
      return folder;
    },
    last: ({ mailbox, uniqueid }) => {
      const isSame = last?.address.mailbox === mailbox && last.address.uniqueid === uniqueid;
      return isSame ? last?.folder : undefined;
    },
  };
}

async function readMessage(
  address: MessageAddress,
  { held, record, where }: Finders,
): Promise<Outcome<MessageContent>> {
  const { uid, guid } = address;
  const isProven = isSha1(guid);
  // A file that has the SHA-1 is the message, wherever the mailbox is by now: the list of mailboxes
  // need not be asked for each.
  const recent = isProven ? where.last(address) : undefined;
  if (recent !== undefined) {
    const found = await openMessage(wantedFrom(recent, address), held);
    if (found.kind === "ok") return found;
  }
  const folder = await where.find(address);
  if (folder === undefined) {
    return refused("nonexistent", `There is no ${externalName(address.mailbox)}`);
  }
  const wanted = wantedFrom(folder, address);
  if (isProven) return openMessage(wanted, held);
  const found = await record(folder.mailbox, uid);
  if (found.kind === "refused") return found;
  if (found.value?.guid !== guid) {
    return refused("nonexistent", `There is no message with the GUID ${guid} at ${wanted.label}`);
  }
  return openMessage({ ...wanted, recordedSize: found.value.size }, held);
}

/**
 * Computes GUIDs, and remembers those of files that have rested since they were last written to.
 * The memory is bounded; what it has no room for is computed each time.
 */
function guidRememberer(finders: Finders): MessageReader["contentGuid"] {
  const known = new Map<string, { readonly files: readonly WatchedFile[]; readonly guid: Guid }>();
  return async (address) => {
    const folder = await finders.where.find(address);
    const paths = folder === undefined ? [] : messagePaths(folder.paths, address.uid);
    const key = [...paths, address.guid].join("\0");
    const before = known.get(key);
    if (before?.files.every(isStill)) return ok(before.guid);
    const files = paths.map(watched);
    const content = await readMessage(address, finders);
    if (content.kind === "refused") return content;
    const hash = beginSha1();
    for await (const part of content.value.chunks()) hash.update(part);
    const guid = hash.digest();
    const hasRoom = known.has(key) || known.size < DEFAULT_LIMITS.rememberedGuids;
    if (hasRoom && files.every(({ stamp }) => stamp !== undefined)) known.set(key, { files, guid });
    return ok(guid);
  };
}

function wantedFrom({ name, paths }: MessageFolder, { uid, guid }: MessageAddress) {
  return { label: `${name} uid ${uid}`, paths: messagePaths(paths, uid), guid };
}
