/** A mailbox that comes as its raw files, out of an archive or over a connection, as a reading. */
import { FormatError } from "../core/errors.ts";
import type { FileFacts } from "../formats/backup/wire.ts";
import { sha1Into } from "../hash/sha1.ts";
import { contentsOf, recordsIn } from "../mailbox/mailbox_contents.ts";
import { type ListedFacts, stateOf } from "../mailbox/mailbox_state.ts";
import { externalName } from "../model/names.ts";
import { type Outcome, ok, refused } from "../model/outcome.ts";
import type { MailRecord } from "../model/record.ts";
import { ALL_HELD, type Holds, type MailboxReading } from "./place.ts";

/** The files as they came, whole; absent where there is none of that name. */
export interface RawFiles {
  readonly header?: Uint8Array | undefined;
  readonly index?: Uint8Array | undefined;
  readonly annotations?: Uint8Array | undefined;
}

/** What raw files say, and nothing that a server keeps in its databases. */
export const HELD_BY_FILES: Holds = {
  ...ALL_HELD,
  placeholders: false,
  conversationModseqs: false,
  sieveFiles: false,
  quotas: [],
};

/** The raw files of a mailbox, by the names that backups have for them. */
export const RAW_FILES = ["header", "index", "annotations", "mailbox_annotations"] as const;

export type RawFile = (typeof RAW_FILES)[number];

/** A mailbox and what its files look like from outside; absent are those that it lacks. */
export interface RawListing {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string;
  readonly jmapid: string | undefined;
  readonly facts: Readonly<Partial<Record<RawFile, FileFacts>>>;
}

/** The same with the bytes of its files, all of one moment. */
export interface RawMailbox extends RawListing {
  readonly files: Readonly<Partial<Record<RawFile, Uint8Array>>>;
}

/**
 * Of what lies in no file. So many bytes of its SHA-1 stand for the inode, which tells one content
 * from another: two in what upstream makes, as here, of the annotations of a mailbox.
 */
export function factsOfContent(bytes: Uint8Array, inodeBytes: 2 | 3): FileFacts {
  const sha1 = new Uint8Array(20);
  sha1Into(bytes, sha1);
  const inode = sha1.subarray(0, inodeBytes).reduceRight((sum, byte) => sum * 256 + byte, 0);
  return { size: bytes.length, mtime: 0n, inode: BigInt(inode) };
}

/** Some messages of a mailbox, by what its index says of them. */
export interface RawRecords extends Pick<RawListing, "name" | "uniqueid" | "jmapid"> {
  readonly partition: string | null;
  readonly records: readonly RawRecord[];
}

export type RawRecord = Pick<MailRecord, "uid" | "guid" | "internaldate">;

export interface RawRecordsRequest {
  readonly name: string;
  readonly uids: readonly number[];
}

/** A place that gives its mailboxes as raw files. */
export interface RawPlace {
  /** All mailboxes of a user that have files, deleted ones too; damaged ones without facts. */
  rawMailboxes(userid: string): Promise<Outcome<readonly RawListing[]>>;
  rawMailbox(name: string): Promise<Outcome<RawMailbox>>;
  /** The records with these UIDs that are there, without a look at all the others. */
  rawRecords(request: RawRecordsRequest): Promise<Outcome<RawRecords>>;
}

/**
 * The mailbox with this internal name. `facts` is what is known of it beside its files, and counts
 * more than they. Refused as `damaged` where a checksum fails or a file is missing, as
 * `nonexistent` where the files say that it was being removed.
 */
export function readingOfRaw(
  name: string,
  { header, index, annotations }: RawFiles,
  facts: ListedFacts = {},
): Outcome<MailboxReading> {
  const shown = externalName(name);
  const found = contentsOf(name, {
    header: () => given(header),
    index: () => given(index),
    annotations: () => annotations,
  });
  switch (found.kind) {
    case "flawed":
      return refused("damaged", `Cannot read ${shown}: ${found.flaw}`);
    case "deleted":
      return refused("nonexistent", `There is no ${shown}: it was deleted`);
    case "sound": {
      const { contents } = found;
      const keptBytes = (index?.length ?? 0) + (annotations?.length ?? 0);
      return ok({
        ...{ state: stateOf(name, contents, facts), records: recordsIn(contents) },
        ...({ isSound: true, keptBytes } as const),
      });
    }
  }
}

function given(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new FormatError(0, "a file, but there is none");
  return bytes;
}
