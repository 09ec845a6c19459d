/**
 * The places that fsck can check. Each is a number of spools, whose mailbox folders are all checked
 * alike, and what only this kind of place has beside them, which is checked afterwards.
 */
import { basename } from "node:path";
import type { EngineChoice } from "../hash/engines.ts";
import { useridOf } from "../model/names.ts";
import { lostArchivesIn } from "../places/backup/read/lost_archives.ts";
import { archivesIn, noArchive } from "../places/backup_locator.ts";
import { lockFiles, mailboxFolder } from "../places/cyrus/layout/server_paths.ts";
import { requireRoot } from "../places/cyrus/layout/walk.ts";
import { readAllFacts } from "../places/cyrus/mailbox/mailbox_facts.ts";
import type { PartitionRoots } from "../places/cyrus/mailbox/mailbox_files.ts";
import { readImapdConf } from "../places/cyrus/server/imapd_conf.ts";
import {
  type MailboxesReading,
  readMailboxes,
  readServer,
  type ServerReading,
} from "../places/cyrus/server/server_reading.ts";
import { Store } from "../places/store/store.ts";
import { checkArchives, type SampleCheck } from "./backup/check_archives.ts";
import { type Finding, isUnread } from "./finding.ts";
import { checkServerUntilSure } from "./server/server_look.ts";
import type { ReadContext, SpoolCounts, SpoolRequest } from "./spool/check_spool.ts";
import type { FolderIdentity, Listing } from "./spool/listed.ts";
import { checkWholeStore } from "./store/check_store.ts";
import { poolSweep } from "./store/pool_sweep.ts";
import { mailboxesInStore } from "./store/unsettled.ts";

export interface TargetOptions {
  readonly engine: EngineChoice;
  readonly quick: boolean;
  /** Hold Cyrus' locks; only the imapd.conf of a server says where they are. */
  readonly lock: boolean;
  /** Says by its internal name whether a mailbox is to be checked; undefined: all are. */
  readonly wanted: ((name: string) => boolean) | undefined;
  /** Of archives of backups, that only a part is to be read. */
  readonly sample?: SampleCheck | undefined;
}

export interface FsckTarget {
  /**
   * True of a server or store, which may be new, and within which uniqueids are unique; a folder
   * without any mailbox is a mistake of the caller, and several folders may be of one server.
   */
  readonly isWhole: boolean;
  readonly spools: readonly SpoolRequest[];
  /** True where a message file that has names outside of the spool is worth a remark. */
  readonly countsLinks: boolean;
  /** What the user should know of the way in which the place is read. */
  readonly caveat?: string;
  /** Checks what the place has beside mailbox folders. */
  afterwards(context: ReadContext): Promise<AfterReport>;
}

/** What was found, and how many things seemed wrong but never stood still. */
export interface AfterReport {
  readonly findings: readonly Finding[];
  readonly unstable: number;
  /** Of what is no mailbox folder. */
  readonly counts?: Pick<SpoolCounts, "mailboxes" | "records" | "messagesRead">;
}

const NOTHING_MORE: AfterReport = { findings: [], unstable: 0 };

/** The folder of a partition, or of one mailbox. Throws AppError when it cannot be read. */
export function spoolTarget(roots: PartitionRoots, options: TargetOptions): FsckTarget {
  requireRoot(roots);
  return {
    isWhole: false,
    spools: [requestOf(roots, options)],
    countsLinks: true,
    afterwards: async () => NOTHING_MORE,
  };
}

/** A whole Cyrus server, by its imapd.conf. Throws AppError when that cannot be read. */
export async function serverTarget(path: string, options: TargetOptions): Promise<FsckTarget> {
  const conf = readImapdConf(path);
  const server = await readServer(conf);
  const identities = identitiesOf(server, options);
  // A filter may name a mailbox whose folder is gone.
  for (const { name } of server.mailboxes?.names ?? []) options.wanted?.(name);
  let latest: { readonly reading: MailboxesReading; readonly identities: Identities } = {
    ...{ reading: server, identities },
  };
  const relist = async (partition: string): Promise<Listing> => {
    const reading = await readMailboxes(conf, latest.reading);
    if (reading.mailboxesFile !== latest.reading.mailboxesFile) {
      latest = { reading, identities: identitiesOf({ conf, ...reading }, options) };
    }
    const listed = latest.identities.get(partition);
    const isWhole = reading.mailboxes !== undefined && reading.mailboxes.problems.length === 0;
    return {
      at: (relative) => listed?.get(relative) ?? (isWhole ? undefined : "unknown"),
      folders: listed?.keys() ?? [],
      checksUnlisted: true,
    };
  };
  const spools = [...conf.partitions].map(([partition, roots]) => ({
    ...requestOf(roots, options),
    identify: (relative: string) => identities.get(partition)?.get(relative),
    relist: () => relist(partition),
  }));
  return {
    isWhole: true,
    spools,
    countsLinks: true,
    afterwards: async () => {
      const { findings } = await checkServerUntilSure(conf, readAllFacts(conf), server);
      return { findings: findings.filter((one) => isWanted(one, options)), unstable: 0 };
    },
  };
}

/** A store of Bobbin's, which is only read. Throws AppError when it cannot be opened. */
export function storeTarget(path: string, options: TargetOptions): FsckTarget {
  const store = new Store(path, { access: "read" });
  const { names, ...inStore } = mailboxesInStore(store);
  const spool = requestOf({ data: store.root }, options);
  const identify = (relative: string) => names.get(basename(relative));
  // When only some mailboxes are checked, messages are read by their names in these mailboxes.
  const isWhole = options.wanted === undefined && !options.quick;
  const sweep = isWhole ? poolSweep(store, options.engine) : undefined;
  return {
    isWhole: true,
    spools: [{ ...spool, identify, ...inStore, ...(sweep && { lookup: sweep.lookup }) }],
    countsLinks: false, // every message has a name in the pool
    ...(store.caveat !== undefined && { caveat: store.caveat }),
    afterwards: async (context) => {
      try {
        if (options.wanted !== undefined) return NOTHING_MORE;
        const inPools = (await sweep?.finish(context)) ?? [];
        const { findings, unstable } = await checkWholeStore(store);
        return { findings: [...findings, ...inPools], unstable };
      } finally {
        store.close();
      }
    },
  };
}

/** One archive of backups, or all below a folder. Throws AppError (not_found) where none is. */
export function backupTarget(path: string, { wanted, sample }: TargetOptions): FsckTarget {
  const folders = [...archivesIn(path), ...lostArchivesIn(path)];
  if (folders.length === 0) {
    throw noArchive(path);
  }
  return {
    isWhole: true,
    spools: [],
    countsLinks: false,
    afterwards: ({ onRead }) => checkArchives(folders, { wanted, onRead, sample }),
  };
}

function requestOf(roots: PartitionRoots, { engine, quick, wanted }: TargetOptions): SpoolRequest {
  return { roots, engine, quick, ...(wanted !== undefined && { wanted }) };
}

function isWanted(one: Finding, { wanted }: TargetOptions): boolean {
  if (wanted === undefined) return true;
  const { mailbox, userid } = one.at;
  if (mailbox !== undefined) return wanted(mailbox);
  // What could not be read of the whole server may concern anybody.
  if (userid === undefined) return isUnread(one);
  // A user's own files are wanted where any mailbox of theirs would be.
  return wanted(`user.${userid.replaceAll(".", "^")}`);
}

/** By partition and path. */
type Identities = ReadonlyMap<string, ReadonlyMap<string, FolderIdentity>>;

/** What mailboxes.db says of each folder. */
function identitiesOf(
  { conf, mailboxes }: Pick<ServerReading, "conf" | "mailboxes">,
  { lock }: TargetOptions,
): Identities {
  const identities = new Map<string, Map<string, FolderIdentity>>();
  for (const entry of mailboxes?.names ?? []) {
    const { name, uniqueid, partition, type } = entry;
    const legacy = type.legacy || mailboxes?.generation !== "keyed";
    const place = { name, uniqueid, legacy };
    const folder = type.deleted ? undefined : mailboxFolder(place, conf);
    if (folder === undefined || partition === undefined) continue;
    const locks = lock ? { locks: lockFiles(place, useridOf(name) ?? "", conf) } : {};
    const own = identities.get(partition) ?? new Map<string, FolderIdentity>();
    identities.set(partition, own.set(folder, { name, uniqueid, ...locks, entry }));
  }
  return identities;
}
