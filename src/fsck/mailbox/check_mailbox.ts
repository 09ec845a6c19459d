/**
 * One mailbox, live or not. Nothing is locked: a mailbox is looked at, and what seems wrong must be
 * seen again later before it is called damage (spool-format 8, protocol B). A writer may be between
 * two of its writes at the first look; it is not there any more, at the same place, at the second
 * and third.
 */
import { statSync } from "node:fs";
import { assert } from "../../core/assert.ts";
import { errnoOf } from "../../core/errors.ts";
import type { EngineChoice } from "../../hash/engines.ts";
import { type MessageTable, pickFromTable } from "../../mailbox/message_table.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import {
  closeMailbox,
  openMailbox,
  stillStands,
} from "../../places/cyrus/mailbox/opened_mailbox.ts";
import { lookUntilSame } from "../../places/stable.ts";
import { type LockPaths, lockMailbox } from "../../storage/file_locks.ts";
import { type Finding, isDamage, sameObservation } from "../finding.ts";
import type { PartitionOwner } from "./check_permissions.ts";
import { type Look, lookAt } from "./look.ts";
import { type LinkedFile, type MessagesReport, sweepMessages } from "./sweep_messages.ts";

export interface MailboxRequest {
  readonly paths: MailboxPaths;
  readonly engine: EngineChoice;
  /** True: no message is opened. */
  readonly quick: boolean;
  /** Messages to read here; the rest is handed back as parts to be read elsewhere. */
  readonly readLimit: number;
  readonly partition: PartitionOwner | undefined;
  /** Cyrus' lock files for this mailbox: to be held during the look. */
  readonly locks?: Omit<LockPaths, "index">;
}

/** Messages still to be read, all in one folder. */
export interface MessagesPart {
  readonly paths: MailboxPaths;
  readonly folder: string;
  readonly ownerUid: number | undefined;
  readonly messages: MessageTable;
}

export interface MailboxReport {
  readonly findings: readonly Finding[];
  /** It changed under every look, so that what seemed wrong could not be confirmed. */
  readonly unstable: boolean;
  /** Internal name by cyrus.header, where that holds one. */
  readonly name: string | undefined;
  readonly uniqueid: string | undefined;
  readonly uidvalidity: number;
  /** Records, expunged ones included. */
  readonly records: number;
  /** Number of messages whose bytes were read. */
  readonly messagesRead: number;
  /** Records whose message was not read here, and is not among `parts`; unlinked ones aside. */
  readonly messagesLeft: number;
  readonly bytesRead: number;
  readonly links: readonly LinkedFile[];
  readonly parts: readonly MessagesPart[];
}

/** Times that a finding must be seen in a mailbox that stands still after the last look. */
const SIGHTINGS_STANDING = 2;
/** The same in a mailbox that was written to meanwhile. */
const SIGHTINGS_MOVING = 3;

/** Checks one mailbox; reads its messages too unless `quick`. */
export async function checkMailbox(request: MailboxRequest): Promise<MailboxReport> {
  const { paths, quick } = request;
  const { look, unstable, findings } =
    (await lookUnderLocks(request)) ?? (await lookUntilSure(request));
  const parts = quick ? [] : partsOf(paths, look);
  const report: MessagesReport[] = [];
  const left: MessagesPart[] = [];
  let room = request.readLimit;
  for (const part of parts) {
    if (part.messages.length > room) {
      left.push(part);
      continue;
    }
    room -= part.messages.length;
    report.push(await sweepMessages({ ...part, engine: request.engine }));
  }
  return {
    findings: [...findings, ...report.flatMap((one) => one.findings)],
    unstable: unstable || report.some((one) => one.unstable),
    name: look.header?.name ?? undefined,
    uniqueid: look.header?.uniqueid ?? undefined,
    uidvalidity: look.uidvalidity,
    records: look.records,
    messagesRead: report.reduce((sum, one) => sum + one.messagesRead, 0),
    messagesLeft:
      (quick ? look.records : unopened(look)) +
      report.reduce((sum, one) => sum + one.messagesLeft, 0),
    bytesRead: report.reduce((sum, one) => sum + one.bytesRead, 0),
    links: report.flatMap((one) => one.links),
    parts: left,
  };
}

interface SureLook {
  readonly look: Look;
  readonly findings: readonly Finding[];
  readonly unstable: boolean;
}

/**
 * With Cyrus' locks held one look is enough, as no writer is between two writes. Undefined when no
 * locks are wanted, or a writer kept them for longer than a reader should wait.
 */
async function lookUnderLocks(request: MailboxRequest): Promise<SureLook | undefined> {
  const { locks, paths } = request;
  if (locks === undefined) return undefined;
  const held = await lockMailbox({ ...locks, index: paths.index });
  if (held === undefined) return undefined;
  try {
    const { look } = lookOnce(request);
    return { look, findings: look.findings, unstable: false };
  } finally {
    held.release();
  }
}

/** One look, with how often each of its findings has been seen by then. */
interface Sighted extends ReturnType<typeof lookOnce> {
  readonly suspicion: readonly { readonly finding: Finding; readonly sightings: number }[];
}

/** Looks until nothing is wrong, or until what is wrong has been seen often enough. */
async function lookUntilSure(request: MailboxRequest): Promise<SureLook> {
  const seenOften = ({ suspicion }: Sighted, times: number) =>
    suspicion.filter(({ sightings }) => sightings >= times);
  const lookAgain = (before: Sighted | undefined) => {
    const { look, mailbox } = lookOnce(request);
    const suspicion = look.findings.filter(isDamage).map((finding) => {
      const seen = before?.suspicion.find((other) => sameObservation(other.finding, finding));
      return { finding, sightings: (seen?.sightings ?? 0) + 1 };
    });
    const value = { look, mailbox, suspicion };
    const isProven = seenOften(value, SIGHTINGS_MOVING).length === suspicion.length;
    const trust = isProven ? "proven" : "suspect";
    return { value, trust, stands: () => stillStands(mailbox) } as const;
  };
  const { value, isSure } = await lookUntilSame(lookAgain, {
    isSame: (_, now) => seenOften(now, SIGHTINGS_STANDING).length === now.suspicion.length,
  });
  const { look, mailbox } = value;
  const times = isSure || stillStands(mailbox) ? SIGHTINGS_STANDING : SIGHTINGS_MOVING;
  const seen = seenOften(value, times).map(({ finding }) => finding);
  const remarks = look.findings.filter((one) => !isDamage(one));
  return { look, findings: [...remarks, ...seen], unstable: !isSure };
}

function lookOnce({ paths, partition, quick }: MailboxRequest) {
  const mailbox = openMailbox(paths);
  try {
    const look = lookAt(mailbox, { nowSeconds: Date.now() / 1000, partition, quick });
    return { look, mailbox };
  } finally {
    closeMailbox(mailbox);
  }
}

/** Records that are damaged, and those whose message is missing. */
function unopened({ records, messages, present }: Look): number {
  return records - (messages?.length ?? 0) + present.missing;
}

/** What is to be read: each message that the look has found, in the spool and in the archive. */
function partsOf(paths: MailboxPaths, { messages, present }: Look): MessagesPart[] {
  if (messages === undefined) return [];
  const sides = [
    [paths.data, present.spool],
    [paths.archive, present.archive],
  ] as const;
  return sides.flatMap(([folder, rows]) => {
    if (rows.length === 0) return [];
    assert(
      folder !== undefined,
      `messages of ${paths.index} lie in a folder that it does not have`,
    );
    return [{ paths, folder, ownerUid: ownerOf(folder), messages: pickFromTable(messages, rows) }];
  });
}

/** The user who owns a folder; undefined where it cannot be told, or the folder is gone by now. */
function ownerOf(folder: string): number | undefined {
  try {
    return statSync(folder, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
