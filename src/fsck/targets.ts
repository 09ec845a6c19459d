/**
 * The places that fsck can check. Each is a number of spools, whose mailbox folders are all checked
 * alike, and what only this kind of place has beside them, which is checked afterwards.
 */
import { basename } from "node:path";
import type { EngineChoice } from "../hash/engines.ts";
import { useridOf } from "../model/names.ts";
import { lockFiles, mailboxFolder } from "../places/cyrus/layout/server_paths.ts";
import { requireRoot } from "../places/cyrus/layout/walk.ts";
import { readAllFacts } from "../places/cyrus/mailbox/mailbox_facts.ts";
import type { PartitionRoots } from "../places/cyrus/mailbox/mailbox_files.ts";
import { readImapdConf } from "../places/cyrus/server/imapd_conf.ts";
import { readServer, type ServerReading } from "../places/cyrus/server/server_reading.ts";
import { Store } from "../places/store/store.ts";
import { type Finding, isUnread } from "./finding.ts";
import { checkServerUntilSure } from "./server/server_look.ts";
import type { FolderIdentity, ReadContext, SpoolRequest } from "./spool/check_spool.ts";
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
}

export interface FsckTarget {
  /**
   * True of a server, which may be new; a folder without any mailbox is a mistake of the caller.
   */
  readonly mayBeEmpty: boolean;
  readonly spools: readonly SpoolRequest[];
  /** True where a message file that has names outside of the spool is worth a remark. */
  readonly countsLinks: boolean;
  /** What the user should know of the way in which the place is read. */
  readonly caveat?: string;
  /** Checks what the place has beside mailbox folders. */
  afterwards(context: ReadContext): Promise<readonly Finding[]>;
}

/** The folder of a partition, or of one mailbox. Throws AppError when it cannot be read. */
export function spoolTarget(roots: PartitionRoots, options: TargetOptions): FsckTarget {
  requireRoot(roots);
  return {
    mayBeEmpty: false,
    spools: [requestOf(roots, options)],
    countsLinks: true,
    afterwards: async () => [],
  };
}

/** A whole Cyrus server, by its imapd.conf. Throws AppError when that cannot be read. */
export async function serverTarget(path: string, options: TargetOptions): Promise<FsckTarget> {
  const conf = readImapdConf(path);
  const server = await readServer(conf);
  const identities = identitiesOf(server, options);
  // A filter may name a mailbox whose folder is gone.
  for (const { name } of server.mailboxes?.names ?? []) options.wanted?.(name);
  const spools = [...conf.partitions].map(([partition, roots]) => ({
    ...requestOf(roots, options),
    identify: (relative: string) => identities.get(`${partition}\0${relative}`),
  }));
  return {
    mayBeEmpty: true,
    spools,
    countsLinks: true,
    afterwards: async () => {
      const { findings } = await checkServerUntilSure(conf, readAllFacts(conf), server);
      return findings.filter((one) => isWanted(one, options));
    },
  };
}

/** A store of Bobbin's, which is only read. Throws AppError when it cannot be opened. */
export function storeTarget(path: string, options: TargetOptions): FsckTarget {
  const store = new Store(path, { access: "read" });
  const { names, asCommitted, laidOver } = mailboxesInStore(store);
  const spool = requestOf({ data: store.root }, options);
  const identify = (relative: string) => names.get(basename(relative));
  // When only some mailboxes are checked, messages are read by their names in these mailboxes.
  const isWhole = options.wanted === undefined && !options.quick;
  const sweep = isWhole ? poolSweep(store, options.engine) : undefined;
  return {
    mayBeEmpty: true,
    spools: [{ ...spool, identify, asCommitted, laidOver, ...(sweep && { lookup: sweep.lookup }) }],
    countsLinks: false, // every message has a name in the pool
    ...(store.caveat !== undefined && { caveat: store.caveat }),
    afterwards: async (context) => {
      try {
        if (options.wanted !== undefined) return [];
        const inPools = (await sweep?.finish(context)) ?? [];
        return [...checkWholeStore(store), ...inPools];
      } finally {
        store.close();
      }
    },
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

/** What mailboxes.db says of each folder, by partition and path. */
function identitiesOf(
  { conf, mailboxes }: ServerReading,
  { lock }: TargetOptions,
): ReadonlyMap<string, FolderIdentity> {
  const identities = new Map<string, FolderIdentity>();
  for (const { name, uniqueid, partition, type } of mailboxes?.names ?? []) {
    const legacy = type.legacy || mailboxes?.generation !== "keyed";
    const place = { name, uniqueid, legacy };
    const folder = type.deleted ? undefined : mailboxFolder(place, conf);
    if (folder === undefined || partition === undefined) continue;
    const locks = lock ? { locks: lockFiles(place, useridOf(name) ?? "", conf) } : {};
    identities.set(`${partition}\0${folder}`, { name, ...locks });
  }
  return identities;
}
