/**
 * The pools of a store, hashed by the worker threads. A pool file and its hard links in mailbox
 * folders are one file: it is read here, under its name in the pool, and the mailboxes are then
 * checked by what was seen in it.
 */
import { dirname, join, relative } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { EngineChoice } from "../../hash/engines.ts";
import { SHA1_BYTES } from "../../hash/sha1.ts";
import type { MessageTable } from "../../mailbox/message_table.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { POOL_FOLDER } from "../../places/store/layout.ts";
import { ownerPaths } from "../../places/store/owner_paths.ts";
import type { Store } from "../../places/store/store.ts";
import { statOf } from "../../storage/disk.ts";
import { mapJobs } from "../../threads/job_pool.ts";
import { type Finding, placed } from "../finding.ts";
import { newKnownFiles, pickKnown, putKnown } from "../mailbox/known_files.ts";
import type { Lookup, ReadContext } from "../spool/check_spool.ts";
import { poolEntries } from "./pool_entries.ts";

/** Files that one job reads. */
const FILES_PER_JOB = 256;

export interface PoolSweep {
  /** What is known of a mailbox's messages. An owner's pool is read at his first mailbox. */
  readonly lookup: (paths: MailboxPaths, context: ReadContext) => Promise<Lookup | undefined>;
  /** Reads the pools of owners without mailboxes too; gives the findings in all pools. */
  readonly finish: (context: ReadContext) => Promise<readonly Finding[]>;
}

/** A sweep over a whole store, which reads each pool once. */
export function poolSweep(store: Store, engine: EngineChoice): PoolSweep {
  const { root } = store;
  const findings: Finding[] = [];
  const swept = new Set<string>();
  /** Of the owner whose mailboxes are being checked: they come one owner after the other. */
  let latest: { readonly below: string; readonly lookup: Promise<Lookup> } | undefined;
  const sweep = (below: string, context: ReadContext): Promise<Lookup> => {
    swept.add(below);
    const report = (one: Finding) => {
      findings.push(placed(one, { path: join(below, one.at.path ?? "") }));
    };
    return sweepPool({ folder: join(root, below), engine, report }, context);
  };
  return {
    lookup: async (paths, context) => {
      const below = dirname(paths.relative);
      if (latest?.below !== below) {
        if (swept.has(below)) return undefined;
        latest = { below, lookup: sweep(below, context) };
      }
      return latest.lookup;
    },
    finish: async (context) => {
      for (const { folder } of ownerPaths(store)) {
        const below = relative(root, folder);
        if (!swept.has(below)) await sweep(below, context);
      }
      return findings;
    },
  };
}

interface OwnerPool {
  /** The owner's folder. */
  readonly folder: string;
  readonly engine: EngineChoice;
  /** Is told of findings, whose paths are below that folder. */
  readonly report: (one: Finding) => void;
}

async function sweepPool(owner: OwnerPool, { pool, onRead }: ReadContext): Promise<Lookup> {
  const { folder, engine } = owner;
  const { guids, device } = listPool(folder);
  const known = newKnownFiles(guids.length, device);
  const read = async (from: number) => {
    const part = guids.slice(from, from + FILES_PER_JOB);
    const request = { folder, guids: part, engine, device };
    return { from, part, report: await pool.submit("fsck.pool", request) };
  };
  const jobs = Math.ceil(guids.length / FILES_PER_JOB);
  const starts = Array.from({ length: jobs }, (_, job) => job * FILES_PER_JOB);
  for await (const { from, part, report } of mapJobs(starts, read, { atOnce: pool.capacity })) {
    putKnown(known, report.known, from);
    for (const one of report.findings) owner.report(one);
    onRead(part.length, report.bytesRead);
  }
  const packed = Buffer.from(guids.join(""), "hex");
  return (messages) => pickKnown(known, rowsOf(messages, packed));
}

/** The messages of a pool, ascending; none where it cannot be listed: check_store reports that. */
function listPool(folder: string): { readonly guids: string[]; readonly device: number } {
  try {
    const device = statOf(join(folder, POOL_FOLDER))?.dev ?? 0;
    return { guids: [...poolEntries(folder)].flatMap(({ guid }) => guid ?? []).sort(), device };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { guids: [], device: 0 };
  }
}

/** For each message its row among the packed GUIDs, which ascend; -1 where it is not there. */
function rowsOf(messages: MessageTable, packed: Uint8Array): number[] {
  return Array.from({ length: messages.length }, (_, at) => {
    let [low, high] = [0, packed.length / SHA1_BYTES];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareGuids(packed, middle, [messages.guids, at]);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  });
}

/** Below 0 where GUID `row` of `packed` comes before the other one. */
function compareGuids(
  packed: Uint8Array,
  row: number,
  [others, other]: readonly [Uint8Array, number],
): number {
  for (let at = 0; at < SHA1_BYTES; at++) {
    const order = (packed[row * SHA1_BYTES + at] ?? 0) - (others[other * SHA1_BYTES + at] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}
