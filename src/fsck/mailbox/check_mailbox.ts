/**
 * One mailbox, live or not. Nothing is locked: a mailbox is looked at, and what seems wrong must be
 * seen again later before it is called damage (sightings.ts).
 */

import { assert } from "../../core/assert.ts";
import { glance } from "../../core/files.ts";
import type { EngineChoice } from "../../hash/engines.ts";
import { type MessageTable, pickFromTable } from "../../mailbox/message_table.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import {
  closeMailbox,
  openMailbox,
  stillStands,
} from "../../places/cyrus/mailbox/opened_mailbox.ts";
import { type LockPaths, lockMailbox } from "../../storage/file_locks.ts";
import type { Finding } from "../finding.ts";
import { lookUntilSure } from "../sightings.ts";
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

/** Checks one mailbox; reads its messages too unless `quick`. */
export async function checkMailbox(request: MailboxRequest): Promise<MailboxReport> {
  const { paths, quick } = request;
  const { sight, unstable, findings } =
    (await lookUnderLocks(request)) ?? (await lookUntilSure(() => lookOnce(request)));
  const { look } = sight;
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

/**
 * With Cyrus' locks held one look is enough, as no writer is between two writes. Undefined when no
 * locks are wanted, or a writer kept them for longer than a reader should wait.
 */
async function lookUnderLocks(request: MailboxRequest) {
  const { locks, paths } = request;
  if (locks === undefined) return undefined;
  const held = await lockMailbox({ ...locks, index: paths.index });
  if (held === undefined) return undefined;
  try {
    const sight = lookOnce(request);
    return { sight, findings: sight.findings, unstable: false };
  } finally {
    held.release();
  }
}

function lookOnce({ paths, partition, quick }: MailboxRequest) {
  const mailbox = openMailbox(paths);
  try {
    const look = lookAt(mailbox, { nowSeconds: Date.now() / 1000, partition, quick });
    return { look, findings: look.findings, stands: () => stillStands(mailbox) };
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
    return [
      {
        paths,
        folder,
        ownerUid: glance(folder, { followsLinks: true })?.uid,
        messages: pickFromTable(messages, rows),
      },
    ];
  });
}
