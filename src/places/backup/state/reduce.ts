/**
 * What an entry of the archive does to the state (backup-format.md 3). There is this one set of
 * rules, whether the entry was just written, is read again to rebuild the state, is kept in a
 * compaction or is checked.
 */
import type { Guid } from "../../../model/guid.ts";

/** A file of a mailbox, or one of the user. */
export type FileKey =
  | { readonly kind: "folder"; readonly uniqueid: string; readonly name: string }
  | { readonly kind: "meta"; readonly name: string };

/** What the state keeps of a file that is in force. */
export interface FileFacts {
  /** Undefined where nobody has told. */
  readonly sha1: string | undefined;
  /** Bytes. */
  readonly size: number;
  /** Unix seconds. */
  readonly mtime: number;
  readonly inode: number;
  /** Where the first block of its entry stands in the unpacked stream. */
  readonly offset: number;
}

/** A record of a cyrus.index. */
export interface ListedMessage {
  readonly uid: number;
  readonly guid: Guid;
  /** Its file is gone from the mailbox, and need not be in the archive. */
  readonly unlinked: boolean;
}

/** One entry of the archive. */
export type ArchiveFact =
  | ({ readonly kind: "message"; readonly guid: Guid } & Pick<FileFacts, "size" | "offset">)
  | ({
      readonly kind: "file";
      readonly key: FileKey;
      /** The records of a cyrus.index by ascending UID; absent for one that cannot be read. */
      readonly records?: Iterable<ListedMessage>;
    } & FileFacts)
  | {
      readonly kind: "link";
      readonly mailbox: string;
      /** "" where the mailbox was found gone. */
      readonly uniqueid: string;
      readonly mtime: number;
      readonly offset: number;
    };

/** What the rules look up in the state. */
export interface StateView {
  hasMessage(guid: Guid): boolean;
  file(key: FileKey): { readonly size: number; readonly stale: number } | undefined;
  /** Of the row with the highest offset; undefined where the name has no row. */
  isLive(mailbox: string): boolean | undefined;
  /** UIDs of the messages of a folder that are in the archive, ascending. */
  listed(uniqueid: string): readonly number[];
}

export type RowChange =
  | {
      readonly kind: "addMessage";
      readonly guid: Guid;
      readonly size: number;
      readonly offset: number;
    }
  | {
      readonly kind: "putFile";
      readonly key: FileKey;
      readonly facts: FileFacts;
      /** Bytes of all copies that it has superseded. */
      readonly stale: number;
    }
  | { readonly kind: "dropFile"; readonly key: FileKey }
  /** Every live row of the name ends. */
  | {
      readonly kind: "endLinks";
      readonly mailbox: string;
      readonly deleted: number;
      readonly offset: number;
    }
  | {
      readonly kind: "putLink";
      readonly mailbox: string;
      readonly uniqueid: string;
      readonly offset: number;
    }
  | { readonly kind: "list"; readonly uniqueid: string; readonly uid: number; readonly guid: Guid }
  | { readonly kind: "unlist"; readonly uniqueid: string; readonly uid: number }
  /** The index lists a message that is not in the archive before it, or not sound. */
  | { readonly kind: "lacking"; readonly uniqueid: string; readonly message: ListedMessage };

/** What `fact` changes in the state that `view` shows. The changes are to be made in this order. */
export function* changesBy(fact: ArchiveFact, view: StateView): Generator<RowChange, void> {
  switch (fact.kind) {
    case "message": {
      const { guid, size, offset } = fact;
      if (!view.hasMessage(guid)) yield { kind: "addMessage", guid, size, offset };
      return;
    }
    case "file":
      yield* fileChanges(fact, view);
      return;
    case "link": {
      const { mailbox, uniqueid, mtime, offset } = fact;
      if (view.isLive(mailbox) === true) {
        yield { kind: "endLinks", mailbox, deleted: mtime, offset };
      }
      if (uniqueid !== "") yield { kind: "putLink", mailbox, uniqueid, offset };
    }
  }
}

function* fileChanges(
  fact: Extract<ArchiveFact, { kind: "file" }>,
  view: StateView,
): Generator<RowChange, void> {
  const { key, records, sha1, size, mtime, inode, offset } = fact;
  if (size === 0) {
    yield { kind: "dropFile", key };
    return;
  }
  const before = view.file(key);
  const stale = before === undefined ? 0 : before.stale + before.size;
  yield { kind: "putFile", key, facts: { sha1, size, mtime, inode, offset }, stale };
  if (key.kind === "folder" && records !== undefined) {
    yield* indexChanges(key.uniqueid, records, view);
  }
}

/** Walks the records of an index and what is listed of its folder, both by ascending UID. */
function* indexChanges(
  uniqueid: string,
  records: Iterable<ListedMessage>,
  view: StateView,
): Generator<RowChange, void> {
  const listed = view.listed(uniqueid);
  let at = 0;
  for (const message of records) {
    const { uid, guid, unlinked } = message;
    for (; (listed[at] ?? uid) < uid; at++) {
      yield { kind: "unlist", uniqueid, uid: listed[at] as number }; // it is below `uid`, so there
    }
    if (listed[at] === uid) {
      at++;
      continue;
    }
    if (unlinked) continue;
    yield view.hasMessage(guid)
      ? { kind: "list", uniqueid, uid, guid }
      : { kind: "lacking", uniqueid, message };
  }
  for (const uid of listed.slice(at)) yield { kind: "unlist", uniqueid, uid };
}
