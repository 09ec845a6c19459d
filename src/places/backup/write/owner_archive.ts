/**
 * What a run does to the archive of one owner: entries for what has changed, and at its end the
 * files of the user and the mark of the run.
 */

import { collectEvery } from "../../../core/garbage.ts";
import {
  type EntryName,
  FOLDER_FILE,
  META_FILE,
  printEntryName,
} from "../../../formats/backup/entry_name.ts";
import { type Gap, printRunMark } from "../../../formats/backup/run_mark.ts";
import { parseStateLine } from "../../../formats/sync/state_line.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import type { Guid } from "../../../model/guid.ts";
import type { UnreadableMailbox } from "../../../model/mailbox.ts";
import type { Owner } from "../../../model/names.ts";
import type { OwnerContents } from "../../../model/owner_contents.ts";
import { parseUserFiles, printUserFile, USER_FILES } from "../owner_files.ts";
import type { EntriesInForce, FileInForce } from "../read/entries_in_force.ts";
import type { ArchiveWriter } from "./archive_writer.ts";
import { findGaps, type GapSource, type SeenMailbox } from "./gaps.ts";

/** Bytes of the file, and messages, after which it is committed in the midst of a run. */
const COMMIT_BYTES = 256 * 1024 * 1024;
const COMMIT_MESSAGES = 50_000;
/** Messages whose garbage is collected at once: each leaves about 10 KB. */
const COLLECT_MESSAGES = 8000;

export interface RunOptions {
  /** The locator of the place that is backed up. */
  readonly source: string;
  /** The release of Bobbin. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The place itself, where it may be asked what has become of a mailbox. */
  readonly place?: GapSource;
  /** Told at the end of a run. */
  readonly gap?: (owner: Owner, gap: Gap, since: number | undefined) => void;
  /** Tells what was found and mended at the opening. */
  readonly notice: (text: string) => void;
}

/** Gaps that the mark of a run names. */
const MOST_GAPS = 1000;

export class OwnerArchive {
  readonly owner: Owner;
  readonly entries: EntriesInForce;
  /** What is set beside mail; it is written at the end of the run. */
  settings: OwnerContents;
  readonly #writer: ArchiveWriter;
  readonly #options: RunOptions;
  readonly #began: number;
  /** The mailboxes that this run has changed or removed, as they were before it. */
  readonly #seen = new Map<string, SeenMailbox>();
  readonly #collect = collectEvery(COLLECT_MESSAGES);
  #uncommitted = 0;
  readonly #news = { messages: 0, bytes: 0, mailboxes: new Set<string>() };

  constructor(
    owner: Owner,
    { writer, entries }: { readonly writer: ArchiveWriter; readonly entries: EntriesInForce },
    options: RunOptions,
  ) {
    this.owner = owner;
    this.entries = entries;
    const { contents, flawed } = parseUserFiles(owner, (name) => entries.meta(name));
    this.settings = contents;
    for (const { refusal } of flawed) options.notice(`${refusal.text}; it is written anew`);
    this.#writer = writer;
    this.#options = options;
    this.#began = options.now();
  }

  /** Unix seconds; all that a run writes has the time of its beginning. */
  get #mtime(): number {
    return Math.floor(this.#began / 1000);
  }

  /** Appends a message that is not there yet; its SHA-1 must have been checked. */
  putMessage(guid: Guid, chunks: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.entries.hasMessage(guid)) return undefined;
    this.#news.messages += 1;
    for (const { length } of chunks) this.#news.bytes += length;
    this.#append({ kind: "message", guid }, { sha1: guid, pieces: chunks });
    this.#uncommitted += 1;
    this.#collect(1);
    return this.#isMuch ? this.settle() : this.#writer.room;
  }

  /** Appends files of a mailbox that differ from what is there, in this order. */
  putFiles(
    uniqueid: string,
    files: readonly (readonly [name: string, bytes: Uint8Array | undefined])[],
  ): void {
    const link = this.entries.folder(uniqueid);
    const before = link === undefined ? undefined : this.entries.files(link);
    if (before !== undefined) this.#remember(uniqueid, before);
    // An index counts from where it stands: what it lists must stand before it.
    const isLate = link !== undefined && this.entries.lacking(link).size > 0;
    for (const [name, bytes] of files) {
      const known = isLate && name === FOLDER_FILE.index ? undefined : before?.get(name)?.sha1;
      this.#put({ kind: "folder", uniqueid, name }, known ?? undefined, bytes);
    }
    this.#news.mailboxes.add(uniqueid);
  }

  /** From now on `link` leads to the folder of `uniqueid`; where that is "", to none. */
  putLink(link: string, uniqueid: string): void {
    const name = printEntryName({ kind: "link", mailbox: link });
    const gone = uniqueid === "" ? this.entries.link(link) : undefined;
    if (gone !== undefined) this.#remember(gone.uniqueid, this.entries.files(gone));
    const entry = { name, type: "link", mtime: this.#mtime, linkname: uniqueid, inode: 0 } as const;
    this.#writer.append(entry);
  }

  #remember(uniqueid: string, files: ReadonlyMap<string, FileInForce>): void {
    const line = files.get(FOLDER_FILE.state)?.content;
    if (!line || this.#seen.has(uniqueid)) return;
    const { name, lastUid, highestmodseq } = parseStateLine(line);
    this.#seen.set(uniqueid, { name, uniqueid, lastUid, highestmodseq });
  }

  /** Puts `bytes` in the place of a file with the SHA-1 `before`; undefined removes the file. */
  #put(name: EntryNameOfFile, before: string | undefined, bytes: Uint8Array | undefined): void {
    const sha1 = bytes === undefined ? undefined : sha1Of(bytes);
    if (sha1 === before) return;
    this.#append(name, { sha1, pieces: bytes === undefined ? [] : [bytes] });
  }

  #append(
    name: EntryNameOfFile,
    { sha1, pieces }: { sha1: string | undefined; pieces: readonly Uint8Array[] },
  ): void {
    const isGone = sha1 === undefined;
    const entry = { name: printEntryName(name), type: "file", inode: 0 } as const;
    // What is wrong with an index that another program has written is told by fsck.
    this.#writer.append(
      { ...entry, mtime: isGone ? 0 : this.#mtime, linkname: sha1 ?? "" },
      pieces,
    );
  }

  /** What is not committed is in memory, in the state as in what SQLite holds of it. */
  get #isMuch(): boolean {
    return this.#uncommitted >= COMMIT_MESSAGES || this.#writer.uncommittedBytes > COMMIT_BYTES;
  }

  /** Lets what has been written count, if it is much: messages may wait for their index. */
  async settle(): Promise<void> {
    if (!this.#isMuch) return;
    this.#uncommitted = 0;
    await this.#writer.commit();
  }

  /** Ends a run, by a mark in the archive where it has brought anything. */
  async endRun(missing: readonly UnreadableMailbox[]): Promise<void> {
    for (const name of USER_FILES) {
      const before = this.entries.metaFile(name)?.sha1 ?? undefined;
      this.#put({ kind: "meta", name }, before, printUserFile(name, this.owner, this.settings));
    }
    const { source, version, place, gap } = this.#options;
    const { owner, entries } = this;
    const since = entries.lastRun()?.began;
    const request = { owner, entries, since, missing, seen: this.#seen, source: place };
    const gaps = await findGaps(request);
    for (const one of gaps) gap?.(owner, one, since);
    const ended = this.#options.now();
    const { mailboxes, ...news } = this.#news;
    const mark = printRunMark({
      ...{ began: this.#began, ended, source, version, ...news },
      ...{ mailboxes: mailboxes.size, findings: missing.length },
      missing: missing.map(({ name, uniqueid }) =>
        uniqueid === undefined ? { name } : { name, uniqueid },
      ),
      ...(gaps.length > 0 && { gaps: gaps.slice(0, MOST_GAPS) }),
    });
    if (this.#writer.isChanged) {
      this.#append({ kind: "meta", name: META_FILE.run }, { sha1: sha1Of(mark), pieces: [mark] });
      await this.#writer.commit();
    } else this.#writer.noteRun(mark, ended);
  }

  /** Lets what has come count although the run did not end: the next brings the rest. */
  async close(): Promise<void> {
    try {
      await this.#writer.commit();
    } finally {
      await this.#writer.close();
    }
  }
}

type EntryNameOfFile = Extract<EntryName, { readonly kind: "message" | "folder" | "meta" }>;
