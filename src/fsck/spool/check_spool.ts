/**
 * fsck over a whole spool: finds the mailboxes, has them checked by workers, and then compares what
 * no mailbox can know by itself: uniqueids and hard links.
 */

import { statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { errnoOf } from "../../core/errors.ts";
import { glance } from "../../core/files.ts";
import type { EngineChoice } from "../../hash/engines.ts";
import { type MessageTable, sliceTable } from "../../mailbox/message_table.ts";
import { mailboxName, oldStagedFiles, readSpool } from "../../places/cyrus/layout/spool.ts";
import { isOneOwners, nameOfRelative } from "../../places/cyrus/layout/spool_names.ts";
import { rootsIn } from "../../places/cyrus/layout/walk.ts";
import {
  type MailboxPaths,
  mailboxPaths,
  type PartitionRoots,
} from "../../places/cyrus/mailbox/mailbox_files.ts";
import { headerFileOf } from "../../places/cyrus/mailbox/mailbox_reading.ts";
import { type JobPool, mapJobs } from "../../threads/job_pool.ts";
import { type Finding, finding, placed } from "../finding.ts";
import type { FsckJobs } from "../fsck_jobs.ts";
import type { MailboxReport, MessagesPart } from "../mailbox/check_mailbox.ts";
import type { PartitionOwner } from "../mailbox/check_permissions.ts";
import type { KnownFiles } from "../mailbox/known_files.ts";
import type { MessagesRequest } from "../mailbox/sweep_messages.ts";
import type { LinkCensus } from "./link_census.ts";
import { checkListed, type FolderIdentity, type Listing } from "./listed.ts";
import type { UniqueidCensus } from "./uniqueid_census.ts";

export interface SpoolRequest {
  readonly roots: PartitionRoots;
  readonly engine: EngineChoice;
  readonly quick: boolean;
  /** Says by its internal name whether a mailbox is to be checked; undefined: all. */
  readonly wanted?: (name: string) => boolean;
  /** The identity of the folder at a path below the roots; undefined: by cyrus.header and path. */
  readonly identify?: (relative: string) => FolderIdentity | undefined;
  /** Reads the list of mailboxes again, where the place has one. */
  readonly relist?: () => Promise<Listing>;
  /** Takes the mailboxes that were found and gives those that are to be checked. */
  readonly asCommitted?: (found: readonly MailboxPaths[]) => readonly MailboxPaths[];
  /** Gives, before each check, the files to be checked in place of those in the folder. */
  readonly laidOver?: (paths: MailboxPaths) => LaidOver | undefined;
  /** Gives what is known of the messages of a mailbox, which are then not read again. */
  readonly lookup?: (paths: MailboxPaths, context: ReadContext) => Promise<Lookup | undefined>;
}

/** The worker pool that reads files; `onRead` is told how many files and bytes it has read. */
export interface ReadContext {
  readonly pool: JobPool<FsckJobs>;
  readonly onRead: (files: number, bytes: number) => void;
}

/** What is known of the files of messages, row by row. */
export type Lookup = (messages: MessageTable) => KnownFiles;

/** A mailbox some of whose files are read elsewhere: with the journal of a store laid over them. */
export interface LaidOver {
  readonly paths: MailboxPaths;
  /** False once the mailbox has changed, and what was found must be looked at anew. */
  readonly stands: () => boolean;
  /** The findings with the paths of the files in the mailbox folder. */
  readonly findings: (found: readonly Finding[]) => readonly Finding[];
  readonly close: () => void;
}

/** What only all mailboxes together can show; one for all spools of a run. */
export interface Censuses {
  readonly uniqueids: UniqueidCensus;
  readonly links: LinkCensus;
}

/** One mailbox as fsck saw it, named. */
export interface CheckedMailbox {
  readonly paths: MailboxPaths;
  /** Internal name, or the path where none is known. */
  readonly name: string;
  readonly report: MailboxReport;
  readonly findings: readonly Finding[];
}

/** What was done; counted as it is done, so that a run that is ended early can tell. */
export interface SpoolCounts {
  mailboxes: number;
  records: number;
  messagesRead: number;
  messagesLeft: number;
  bytesRead: number;
  unstable: number;
}

export const NOTHING_DONE: Readonly<SpoolCounts> = {
  ...{ mailboxes: 0, records: 0, messagesRead: 0, messagesLeft: 0, bytesRead: 0, unstable: 0 },
};

export interface SpoolEvents {
  /** A mailbox is done; findings that concern several mailboxes come from the censuses. */
  mailbox(checked: CheckedMailbox): void;
  progress(done: number, total: number, bytesRead: number): void;
}

/** Messages that one job reads. */
const MESSAGES_PER_JOB = 256;
/** The job that looks at a mailbox reads up to so many messages; more become jobs of their own. */
const READ_WITH_MAILBOX = 64;
/** Attempts at a mailbox whose journal a writer applies meanwhile, before it is called unstable. */
const LAID_OVER_ATTEMPTS = 3;
const DAY_SECONDS = 24 * 60 * 60;

/** The mailboxes that a request is about. */
export interface SpoolPlan {
  readonly mailboxes: readonly MailboxPaths[];
  /** A guess from the sizes of the index files: for the choice of a pool, and for progress. */
  readonly recordsGuessed: number;
  /** The same for each mailbox, until its records are counted. */
  readonly guesses: ReadonlyMap<MailboxPaths, number>;
  /** What was found outside of any mailbox. */
  readonly loose: readonly Finding[];
}

/** Walks the spool. */
export function planSpool(request: SpoolRequest): SpoolPlan {
  const { roots, wanted } = request;
  const { mailboxes: found, staging, leftovers, unreadable, misplaced } = readSpool(roots);
  const mailboxes = request.asCommitted?.(found) ?? found;
  const chosen = wanted
    ? mailboxes.filter((paths) =>
        wanted(nameOf(paths, headerFileOf(paths)?.name ?? undefined, request)),
      )
    : mailboxes;
  // In a mailbox the check of its listing tells; servers and stores list what must be there; and a
  // folder without any mailbox is no spool in which a mailbox could have stood.
  const isSpool = request.identify === undefined && found.length > 0;
  const standIns = isSpool ? misplaced.filter(({ inMailbox }) => !inMailbox) : [];
  const loose = [...unreadable, ...standIns]
    .filter(({ relative }) => mayHoldWanted(relative, request))
    .map(({ path, errno }) => finding("PM01", { path }, { what: "folder", errno }));
  for (const path of wanted ? [] : leftovers) {
    loose.push(finding("MS08", { path }, { what: "leftover" }));
  }
  const before = Date.now() / 1000 - DAY_SECONDS;
  for (const path of staging.map((relative) => join(roots.data, relative))) {
    const old = wanted ? [] : oldStagedFiles(path, before);
    if (old.length === 0) continue;
    loose.push(finding("TM01", { path }, { files: old.length }));
  }
  const guesses = new Map(chosen.map((paths) => [paths, guessRecords(paths)]));
  const recordsGuessed = [...guesses.values()].reduce((sum, one) => sum + one, 0);
  return { mailboxes: chosen, guesses, recordsGuessed, loose };
}

/** False for a folder that cannot be read and whose name shows that nobody has asked for it. */
function mayHoldWanted(relative: string, { identify, wanted }: SpoolRequest): boolean {
  const name = identify?.(relative)?.name ?? nameOfRelative(relative);
  return wanted === undefined || name === undefined || !isOneOwners(name) || wanted(name);
}

/** Bytes of an index header and of a record, about. */
const [HEADER_BYTES, RECORD_BYTES] = [128, 112];

function guessRecords({ index }: MailboxPaths): number {
  const size = glance(index)?.size ?? 0;
  return Math.max(Math.ceil((size - HEADER_BYTES) / RECORD_BYTES), 0);
}

/** Checks what was planned, and counts it in `totals`. */
export async function checkSpool(
  request: SpoolRequest,
  plan: SpoolPlan,
  context: {
    readonly pool: JobPool<FsckJobs>;
    readonly events: SpoolEvents;
    readonly censuses: Censuses;
    readonly totals: SpoolCounts;
  },
): Promise<void> {
  const { pool, events, totals } = context;
  const { uniqueids, links } = context.censuses;
  const { engine, quick, roots } = request;
  const partition = partitionOf(roots);
  let filesRead = 0;
  // Of the mailboxes that are done, those whose message was not opened count as done too.
  let unopened = 0;
  let records = plan.recordsGuessed;
  const progress = () => {
    const done = quick ? totals.mailboxes : Math.max(filesRead, totals.messagesRead) + unopened;
    const total = quick ? plan.mailboxes.length : records;
    events.progress(Math.min(done, total), total, totals.bytesRead);
  };
  const sweep = async (slice: MessagesRequest) => {
    const part = await pool.submit("fsck.messages", slice);
    totals.messagesRead += part.messagesRead;
    totals.messagesLeft += part.messagesLeft;
    totals.bytesRead += part.bytesRead;
    progress();
    return part;
  };
  const onRead = (files: number, bytes: number) => {
    filesRead += files;
    totals.bytesRead += bytes;
    progress();
  };
  const checkAt = async (paths: MailboxPaths) => {
    const lookup = quick ? undefined : await request.lookup?.(paths, { pool, onRead });
    const locks = request.identify?.(paths.relative)?.locks;
    const result = await pool.submit("fsck.mailbox", {
      ...{ paths, engine, quick, partition },
      readLimit: lookup === undefined ? READ_WITH_MAILBOX : 0,
      ...(locks !== undefined && { locks }),
    });
    const requests = Array.from(slices(result.parts, engine), (slice) =>
      lookup === undefined ? slice : { ...slice, known: lookup(slice.messages) },
    );
    const parts = await Promise.all(requests.map(sweep));
    return { paths, result, parts };
  };
  const check = async (paths: MailboxPaths) => {
    for (let attempt = 1; ; attempt++) {
      const laid = request.laidOver?.(paths);
      if (laid === undefined) return checkAt(paths);
      try {
        const { result, parts } = await checkAt(laid.paths);
        const stands = laid.stands();
        if (!stands && attempt < LAID_OVER_ATTEMPTS) continue;
        const of = <Part extends Pick<MailboxReport, "findings" | "unstable">>(part: Part): Part =>
          stands
            ? { ...part, findings: laid.findings(part.findings) }
            : { ...part, findings: [], unstable: true };
        return { paths, result: of(result), parts: parts.map(of) };
      } finally {
        laid.close();
      }
    }
  };
  const checkOne = async (paths: MailboxPaths) => {
    const checked = async () => {
      const one = await check(paths);
      const all = [one.result, ...one.parts];
      const findings = all.flatMap((part) => part.findings);
      return { ...one, findings, unstable: all.some((part) => part.unstable) };
    };
    const { relist } = request;
    if (relist === undefined) return { state: "checked", value: await checked() } as const;
    return checkListed(paths, checked, relist);
  };
  const met = new Set<string>();
  const checkAll = async (all: readonly MailboxPaths[]) => {
    for await (const one of mapJobs(all, checkOne, { atOnce: pool.capacity })) {
      const { paths, result, parts, findings: found } = one.value;
      const { uniqueid, uidvalidity } = result;
      const unstable = one.state === "unstable" || one.value.unstable;
      const name = nameOf(paths, result.name, request);
      const isListed = request.identify?.(paths.relative) !== undefined;
      uniqueids.add({ paths, name, uniqueid, uidvalidity, isListed });
      records -= plan.guesses.get(paths) ?? 0;
      if (one.state === "gone") continue;
      met.add(paths.relative).add(`uniqueid ${result.uniqueid}`);
      totals.mailboxes += 1;
      totals.records += result.records;
      totals.messagesRead += result.messagesRead;
      totals.messagesLeft += result.messagesLeft;
      totals.bytesRead += result.bytesRead;
      records += result.records;
      unopened += [result, ...parts].reduce(
        (left, part) => left - part.messagesRead,
        result.records,
      );
      for (const { links: files } of [result, ...parts]) links.add(name, files);
      if (unstable) totals.unstable += 1;
      const report = { ...result, unstable };
      const own = one.state === "unstable" ? [] : mergeCounts(found);
      const findings = own.map((each) => placed(each, { mailbox: name }));
      events.mailbox({ paths, name, report, findings });
      progress();
    }
  };
  await checkAll(plan.mailboxes);
  for (let round = 1; round <= ROUNDS; round++) {
    const moved = movedTo(await request.relist?.(), { request, met });
    if (moved.length === 0) break;
    if (round < ROUNDS) await checkAll(moved);
    else totals.unstable += moved.length;
  }
}

/** Rounds over what has been renamed meanwhile. */
const ROUNDS = 8;

/** Mailboxes that were made or renamed since the walk, and have not been met under another name. */
function movedTo(
  listing: Listing | undefined,
  { request, met }: { readonly request: SpoolRequest; readonly met: ReadonlySet<string> },
): MailboxPaths[] {
  const { roots, identify, wanted } = request;
  return [...(listing?.folders ?? [])].flatMap((relative) => {
    const now = listing?.at(relative);
    if (now === undefined || now === "unknown" || met.has(relative)) return [];
    const isMet = now.uniqueid !== undefined && met.has(`uniqueid ${now.uniqueid}`);
    const isAsBefore = isDeepStrictEqual(identify?.(relative), now);
    if (isMet || isAsBefore || wanted?.(now.name) === false) return [];
    return [mailboxPaths(roots, relative)];
  });
}

/** The name of a mailbox: by mailboxes.db or the catalogue, else by cyrus.header, else its path. */
function nameOf(
  paths: MailboxPaths,
  headerName: string | undefined,
  { identify }: SpoolRequest,
): string {
  return identify?.(paths.relative)?.name ?? mailboxName(paths, headerName);
}

/** Of the first root that is there: one that is not is a finding. */
function partitionOf(roots: PartitionRoots): PartitionOwner | undefined {
  for (const root of rootsIn(roots)) {
    try {
      const { uid, dev } = statSync(root);
      return { uid, device: dev };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
  return undefined;
}

function* slices(parts: readonly MessagesPart[], engine: EngineChoice): Generator<MessagesRequest> {
  for (const part of parts) {
    for (let from = 0; from < part.messages.length; from += MESSAGES_PER_JOB) {
      const to = Math.min(from + MESSAGES_PER_JOB, part.messages.length);
      yield { ...part, messages: sliceTable(part.messages, from, to), engine };
    }
  }
}

/** Counts over parts of one mailbox become one count. */
function mergeCounts(findings: readonly Finding[]): readonly Finding[] {
  const counts: Finding[] = [];
  const others: Finding[] = [];
  for (const one of findings) {
    if (one.count === undefined || one.facts === undefined) {
      others.push(one);
      continue;
    }
    const at = counts.findIndex(
      ({ code, facts }) => code === one.code && isDeepStrictEqual(facts, one.facts),
    );
    const before = counts[at];
    if (before === undefined) counts.push(one);
    else counts[at] = { ...before, count: (before.count ?? 0) + one.count };
  }
  return [...others, ...counts];
}
