/**
 * Checks some members of an archive, chosen by chance: their packing, every content in them against
 * its SHA-1, and every entry against the state beside the archive. The others are not looked at.
 */
import type { Database } from "bun:sqlite";
import { closeSync } from "node:fs";
import { utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { parseEntryName } from "../../formats/backup/entry_name.ts";
import { type PlacedEntry, TarSplitter } from "../../formats/tar/tar_splitter.ts";
import { beginSha1, type Sha1, sha1Of } from "../../hash/sha1.ts";
import { expectedSha1 } from "../../places/backup/read/archive_entries.ts";
import { type Member, openDataFile, unpacked } from "../../places/backup/read/gzip_members.ts";
import { hasTable } from "../../places/backup/state/state_flaw.ts";
import { Collector } from "../mailbox/collector.ts";
import type { ArchiveCheck, ArchiveReport } from "./check_archive.ts";

export interface Sample {
  /** How many of the members, from 1 to 100 of a hundred, and one at least. */
  readonly percent: number;
  /** The same text chooses the same members of the same archive. */
  readonly seed: string;
}

/** Which part of an archive was read. */
export interface Sampled {
  /** Where they begin in the data file; undefined where all of the archive was read. */
  readonly members: readonly number[] | undefined;
  readonly ofMembers: number;
  /** Of the data file. */
  readonly bytes: number;
  readonly ofBytes: number;
}

interface PlacedMember extends Member {
  /** Where it ends in the file. */
  readonly end: number;
}

/** Its members by the state; none where that does not know them. */
export function membersOf(state: Database, size: number): PlacedMember[] {
  if (!hasTable(state, "x_members")) return [];
  const sql = "SELECT coffset, offset, size FROM x_members ORDER BY coffset";
  const members = state.query<Member, []>(sql).all();
  return members.map((one, at) => ({ ...one, end: members[at + 1]?.coffset ?? size }));
}

/** As many of them as are wanted, in the order of the file. */
export function chooseMembers(
  members: readonly PlacedMember[],
  { percent, seed }: Sample,
): PlacedMember[] {
  const count = Math.ceil((members.length * percent) / 100);
  return members
    .map((member) => ({ member, lot: sha1Of(utf8(`${seed} ${member.coffset}`)) }))
    .sort((left, right) => (left.lot < right.lot ? -1 : 1))
    .slice(0, count)
    .map(({ member }) => member)
    .sort((left, right) => left.coffset - right.coffset);
}

/** Checks the chosen members of an archive with a state. Throws AppError (io). */
export async function checkMembers(
  members: readonly PlacedMember[],
  check: ArchiveCheck & { readonly state: Database },
): Promise<ArchiveReport> {
  const { path, state } = check;
  const collector = new Collector();
  const opened = openDataFile(path);
  const look = new MemberLook(path, { state, collector });
  try {
    for (const member of members) {
      check.signal?.throwIfAborted();
      const why = await look.member(opened.fd, member);
      if (why !== undefined) collector.add("BK01", { path }, { why, coffset: member.coffset });
      check.onRead(0, member.end - member.coffset);
    }
  } finally {
    closeSync(opened.fd);
  }
  return { findings: collector.findings(), mailboxes: 0, messages: look.messages };
}

class MemberLook {
  messages = 0;
  readonly #path: string;
  readonly #state: Database;
  readonly #collector: Collector;
  #hash: Sha1 | undefined;

  constructor(path: string, { state, collector }: { state: Database; collector: Collector }) {
    this.#path = path;
    this.#state = state;
    this.#collector = collector;
  }

  /** Why it cannot all be read, if so. */
  async member(fd: number, { end, ...member }: PlacedMember): Promise<string | undefined> {
    const splitter = new TarSplitter(DEFAULT_LIMITS, member);
    const events = unpacked(fd, { size: end, path: this.#path, from: member });
    try {
      for await (const event of events) {
        if (event.kind === "damage") return event.why;
        if (event.kind === "bytes") {
          this.#feed(splitter, event.bytes);
          continue;
        }
        if (event.flaw !== undefined) return event.flaw;
        if (event.member.size === member.size && event.end === end) break;
        return `the state says that it has ${member.size} bytes, and ends at ${end} of the file`;
      }
    } catch (error) {
      if (error instanceof FormatError) return error.message;
      throw error;
    }
    const isWhole = splitter.wholeBytes === member.offset + member.size;
    return isWhole ? undefined : "a member ends within an entry";
  }

  #feed(splitter: TarSplitter, bytes: Uint8Array): void {
    for (const event of splitter.feed(bytes)) {
      if (event.kind === "entry") {
        this.#hash = expectedSha1(event.entry) === undefined ? undefined : beginSha1();
      } else if (event.kind === "content") this.#hash?.update(event.bytes);
      else this.#end(event.entry);
    }
  }

  #end(entry: PlacedEntry): void {
    const { name, offset, size } = entry;
    const path = this.#path;
    const parsed = parseEntryName(name);
    if (parsed === undefined) {
      this.#collector.add("BK04", { path }, { name });
      return;
    }
    const wanted = expectedSha1(entry);
    const isMessage = parsed.kind === "message";
    if (isMessage) this.messages += 1;
    const row = isMessage
      ? this.#row("SELECT offset, size FROM files WHERE guid = ?", wanted ?? parsed.guid)
      : this.#row("SELECT offset, size FROM x_entries WHERE offset = ?", offset);
    const expected = wanted ?? "";
    if (this.#hash !== undefined && this.#hash.digest() !== expected) {
      const isReplaced = isMessage && row !== null && row.offset !== offset;
      this.#collector.add("BK03", { path: `${path}:${name}` }, { expected, isReplaced });
      return;
    }
    // Of several copies of a message the first sound one counts.
    const isKnown = row !== null && row.size === size && row.offset <= offset;
    if (isKnown || parsed.kind === "history") return;
    this.#collector.add(
      "BK06",
      { path },
      {
        ...{ table: isMessage ? "files" : "x_entries", key: name, expected: `${size} ${offset}` },
        found: row === null ? "" : `${row.size} ${row.offset}`,
      },
    );
  }

  #row(sql: string, key: string | number): Pick<PlacedEntry, "offset" | "size"> | null {
    return this.#state.query<Pick<PlacedEntry, "offset" | "size">, [typeof key]>(sql).get(key);
  }
}
