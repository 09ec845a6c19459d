/**
 * The settings of a Cyrus server that say where its mail lies and what its databases should hold
 * (imapd.conf(5)). Defaults are those of Cyrus 3.x; 2.x had others for `altnamespace` and
 * `unixhierarchysep`, which do not change a path.
 */
import { AppError } from "../../../core/errors.ts";
import type { DatabaseFormat } from "../../../formats/cyrus/databases/database.ts";
import type { MetaFile, PartitionRoots } from "../mailbox/mailbox_files.ts";
import { type ConfOptions, readConfFile } from "./imapd_conf_file.ts";

/** A database of the server, and the format that it should have. */
export interface DatabaseSetting {
  readonly path: string;
  /** Undefined for a format that is not read here (`sql`, `zeroskip` …). */
  readonly format: DatabaseFormat | undefined;
  /** The format as it is written in imapd.conf. */
  readonly formatName: string;
}

export interface ImapdConf {
  /** The file it was read from. */
  readonly path: string;
  /** Everything that is set, as it is written. */
  readonly options: ConfOptions;
  readonly configdirectory: string;
  /** By name; mailboxes.db uses the same names. */
  readonly partitions: ReadonlyMap<string, PartitionRoots>;
  readonly defaultpartition: string | undefined;
  readonly hashimapspool: boolean;
  readonly fulldirhash: boolean;
  readonly virtdomains: boolean;
  /** A domain that is left out of names. */
  readonly defaultdomain: string | undefined;
  readonly unixhierarchysep: boolean;
  readonly altnamespace: boolean;
  readonly admins: readonly string[];
  /** New mailboxes lie in folders by their names, as before 3.6. */
  readonly mailboxLegacyDirs: boolean;
  readonly deletedprefix: string;
  readonly reverseacls: boolean;
  readonly conversations: boolean;
  /** Storage and messages are counted once per conversation instead of once per mailbox. */
  readonly quotaUseConversations: boolean;
  readonly mailboxesDb: DatabaseSetting;
  readonly annotationsDb: DatabaseSetting;
  readonly quotaDb: DatabaseSetting;
  /** What was delivered of late, so that no message is delivered twice. */
  readonly deliverDb: DatabaseSetting;
  readonly seenFormat: DatabaseFormat | undefined;
  readonly subscriptionFormat: DatabaseFormat | undefined;
  readonly conversationsFormat: DatabaseFormat | undefined;
  readonly lockFolder: string;
  /** Undefined where scripts lie in the homes of the users. */
  readonly sievedir: string | undefined;
  /** Root of the user files of 3.13.7 and later, if not the configdirectory. */
  readonly userpath: string | undefined;
}

/** Databases of a whole server, by the beginning of their settings, below the configdirectory. */
const DATABASE_FILES = {
  mboxlist: "mailboxes.db",
  annotation: "annotations.db",
  quota: "quotas.db",
  duplicate: "deliver.db",
} as const;

/** Reads imapd.conf with what it includes. Throws AppError where Cyrus would refuse to start. */
export function readImapdConf(path: string): ImapdConf {
  return imapdConfOf(path, readConfFile(path));
}

/** The settings in `options`, read from `path`. Throws AppError. */
export function imapdConfOf(path: string, options: ConfOptions): ImapdConf {
  const configdirectory = options.get("configdirectory");
  if (configdirectory === undefined) {
    throw new AppError("config", `${path} does not set configdirectory`, {
      hint: "Give the imapd.conf of the server, or the folder of a partition instead",
    });
  }
  const text = (name: string) => substituted(options.get(name), configdirectory);
  const flag = (name: string, fallback: boolean) => switchOf(options, name, { fallback });
  const database = (name: keyof typeof DATABASE_FILES, fallback: string) => {
    const formatName = options.get(`${name}_db`) ?? fallback;
    const dbPath = text(`${name}_db_path`) ?? `${configdirectory}/${DATABASE_FILES[name]}`;
    return { path: dbPath, format: formatOf(formatName), formatName };
  };
  return {
    path,
    options,
    configdirectory,
    partitions: partitionsOf(options),
    defaultpartition: options.get("defaultpartition")?.toLowerCase(),
    hashimapspool: flag("hashimapspool", false),
    fulldirhash: flag("fulldirhash", false),
    virtdomains: virtdomainsOf(options),
    defaultdomain: text("defaultdomain") ?? "internal",
    unixhierarchysep: flag("unixhierarchysep", true),
    altnamespace: flag("altnamespace", true),
    admins: (text("admins") ?? "").split(/\s+/).filter((admin) => admin !== ""),
    mailboxLegacyDirs: flag("mailbox_legacy_dirs", false),
    deletedprefix: text("deletedprefix") ?? "DELETED",
    reverseacls: flag("reverseacls", false),
    conversations: flag("conversations", false),
    quotaUseConversations: flag("quota_use_conversations", false),
    mailboxesDb: database("mboxlist", "twoskip"),
    annotationsDb: database("annotation", "twoskip"),
    quotaDb: database("quota", "quotalegacy"),
    deliverDb: database("duplicate", "twoskip"),
    seenFormat: formatOf(options.get("seenstate_db") ?? "twoskip"),
    subscriptionFormat: formatOf(options.get("subscription_db") ?? "flat"),
    conversationsFormat: formatOf(options.get("conversations_db") ?? "skiplist"),
    lockFolder: text("mboxname_lockpath") ?? `${configdirectory}/lock`,
    sievedir: flag("sieveusehomedir", false) ? undefined : (text("sievedir") ?? "/usr/sieve"),
    userpath: text("mboxname_userpath"),
  };
}

/** `{configdirectory}` at the start of a value stands for it; elsewhere it stays as it is. */
function substituted(value: string | undefined, configdirectory: string): string | undefined {
  return value?.replace(/^\{configdirectory\}/i, () => configdirectory);
}

/** The value of a switch. Cyrus looks only at the first letters, in any case. */
function switchOf(
  options: ConfOptions,
  name: string,
  { fallback }: { readonly fallback: boolean },
): boolean {
  const value = options.get(name);
  if (value === undefined) return fallback;
  if (/^(0|n|f|of)/.test(value)) return false;
  if (/^(1|y|t|on)/.test(value)) return true;
  throw new AppError("config", `${name} is a switch and cannot be ${value}`);
}

function virtdomainsOf(options: ConfOptions): boolean {
  const value = options.get("virtdomains") ?? "off";
  if (["off", "no", "0", "f", "false"].includes(value)) return false;
  if (["on", "yes", "1", "t", "true", "userid"].includes(value)) return true;
  throw new AppError("config", `virtdomains cannot be ${value}`);
}

function formatOf(name: string): DatabaseFormat | undefined {
  return name === "twoskip" || name === "skiplist" || name === "flat" ? name : undefined;
}

const META_FILES: readonly MetaFile[] = ["header", "index", "cache", "annotations", "archivecache"];

/**
 * The roots of every `partition-NAME`. A cyrus.* file lies below `metadir-FILE-NAME`, else below
 * `metapartition-NAME` if `metapartition_files` lists it, else with the messages; annotations share
 * the metadir of the index, but are listed on their own (Cyrus imap/mboxname.c: mboxname_metapath).
 */
function partitionsOf(options: ConfOptions): ReadonlyMap<string, PartitionRoots> {
  const listed = new Set((options.get("metapartition_files") ?? "").split(/\s+/));
  const archives = switchOf(options, "archive_enabled", { fallback: false });
  const partitions = new Map<string, PartitionRoots>();
  for (const [option, data] of options) {
    const name = /^partition-(.+)$/.exec(option)?.[1];
    if (name === undefined) continue;
    const meta: Partial<Record<MetaFile, string>> = {};
    for (const file of META_FILES) {
      const metadir = options.get(`metadir-${file === "annotations" ? "index" : file}-${name}`);
      const partition = listed.has(file) ? options.get(`metapartition-${name}`) : undefined;
      const root = metadir ?? partition;
      if (root !== undefined) meta[file] = root;
    }
    const archive = archives ? options.get(`archivepartition-${name}`) : undefined;
    partitions.set(name, {
      data,
      ...(archive === undefined ? {} : { archive }),
      ...(Object.keys(meta).length === 0 ? {} : { meta }),
    });
  }
  return partitions;
}
