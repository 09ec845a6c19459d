/**
 * Reads the messages of one folder, or a part of them. What seems wrong is looked at again after a
 * pause, with both hash engines and against the record as it stands by then: a message may have
 * been expunged and removed since its record was read.
 */
import type { Stats } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { equalBytes, hexOf } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { hasBit, INTERNAL_FLAG } from "../../formats/cyrus/index/index_flags.ts";
import { type IndexRecord, parseIndexRecord } from "../../formats/cyrus/index/index_record.ts";
import { confirmingEngine, type Engine, type EngineChoice, engineOf } from "../../hash/engines.ts";
import type { IndexImage } from "../../mailbox/index_image.ts";
import { guidOf, type MessageTable, pickFromTable } from "../../mailbox/message_table.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { openIndex } from "../../places/cyrus/mailbox/opened_mailbox.ts";
import type { Finding } from "../finding.ts";
import { checkMessages } from "./check_messages.ts";
import { Collector } from "./collector.ts";
import type { KnownFiles } from "./known_files.ts";

export interface MessagesRequest {
  readonly paths: MailboxPaths;
  readonly folder: string;
  readonly ownerUid: number | undefined;
  readonly messages: MessageTable;
  readonly engine: EngineChoice;
  /** Row by row, what is known of their files already. */
  readonly known?: KnownFiles;
}

/** A message file that has more than one name. */
export interface LinkedFile {
  readonly device: number;
  readonly inode: number;
  readonly links: number;
  readonly uid: number;
  readonly guid: string;
}

export interface MessagesReport {
  readonly findings: readonly Finding[];
  readonly messagesRead: number;
  /** Messages that should be there and could not be read; each is a finding. */
  readonly messagesLeft: number;
  readonly bytesRead: number;
  readonly links: readonly LinkedFile[];
  /** Something seemed wrong, but the index could not be read to make sure. */
  readonly unstable: boolean;
}

const SECOND_LOOK_AFTER_MS = 20;

/** Reads and checks all messages of the request. */
export async function sweepMessages(request: MessagesRequest): Promise<MessagesReport> {
  const { messages } = request;
  const collector = new Collector();
  const links: LinkedFile[] = [];
  const suspects = new Set<number>();
  const engine = await engineOf(request.engine);
  const { read: messagesRead, bytes: bytesRead } = checkMessages(messages, {
    ...common(request, engine, collector),
    known: request.known,
    suspect: (row) => suspects.add(row),
    linked: (row, stat) => links.push(linkedFile(messages, row, stat)),
  });
  const messagesLeft = suspects.size > 0 ? await confirm(request, suspects, collector) : 0;
  const unstable = messagesLeft === undefined;
  const findings = collector.findings();
  return { findings, messagesRead, messagesLeft: messagesLeft ?? 0, bytesRead, links, unstable };
}

function common(request: MessagesRequest, engine: Engine, collector: Collector) {
  return { folder: request.folder, ownerUid: request.ownerUid, engine, collector };
}

function linkedFile(messages: MessageTable, row: number, stat: Stats): LinkedFile {
  const uid = messages.uids[row] ?? 0;
  return {
    device: stat.dev,
    inode: stat.ino,
    links: stat.nlink,
    uid,
    guid: hexOf(guidOf(messages, row)),
  };
}

/** The second look: how many expected messages cannot be read. Undefined without an index. */
async function confirm(
  request: MessagesRequest,
  suspects: ReadonlySet<number>,
  collector: Collector,
): Promise<number | undefined> {
  await sleep(SECOND_LOOK_AFTER_MS);
  const still = rowsStillClaimed(request, suspects);
  if (still === undefined) return undefined;
  const again = pickFromTable(request.messages, Uint32Array.from(still));
  // Remarks were noted at the first look: those of this one are dropped.
  const remarks = new Collector();
  const engine = await confirmingEngine();
  const { read } = checkMessages(again, {
    ...common(request, engine, remarks),
    suspect: (_row, what) => collector.note(what),
    linked: () => undefined,
  });
  return still.length - read;
}

/**
 * The records as they lie in the file. Wrong checksums are the concern of check_records.
 */
function* recordsOf(index: IndexImage): Generator<IndexRecord, void> {
  for (const { view, count } of index.pieces()) {
    for (let at = 0; at < count; at++) {
      yield parseIndexRecord(view, at * index.table.recordSize, index.table);
    }
  }
}

/** Those of `rows` whose record still says the same of a file that must be there. */
function rowsStillClaimed(
  request: MessagesRequest,
  rows: ReadonlySet<number>,
): number[] | undefined {
  const { paths, messages } = request;
  const rowOfUid = new Map([...rows].map((row) => [messages.uids[row] ?? 0, row]));
  const index = openIndex(paths.index);
  if (index.state !== "open") return undefined;
  const still: number[] = [];
  try {
    for (const record of recordsOf(index.image)) {
      const row = rowOfUid.get(record.uid);
      if (row === undefined) continue;
      const sameFile =
        record.size === messages.sizes[row] &&
        equalBytes(Buffer.from(record.guid, "hex"), guidOf(messages, row));
      if (sameFile && !hasBit(record.systemFlags, INTERNAL_FLAG.unlinked)) still.push(row);
    }
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  } finally {
    index.close();
  }
  return still;
}
