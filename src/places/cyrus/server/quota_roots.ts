/**
 * Reads the quota roots of a server, each a file of its own or a record of one database
 * (spool-format 6.7): all of them with their faults for fsck, or the limits of one for a place.
 */
import { dirname, join } from "node:path";
import { latin1, utf8 } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { obstacleAt, type Unreadable } from "../../../core/files.ts";
import { detectFormat } from "../../../formats/cyrus/databases/database.ts";
import {
  parseQuota,
  QUOTA_RESOURCES,
  type QuotaResource,
  type QuotaRoot,
} from "../../../formats/cyrus/quota.ts";
import type { Quota, QuotaResource as ResourceName } from "../../../model/mailbox.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { namesIn } from "../../../storage/disk.ts";
import { quotaFile } from "../layout/server_paths.ts";
import { accessRefusal } from "../refused_access.ts";
import { entriesOf, parsed } from "./database_access.ts";
import { type DatabaseReading, readDatabaseFile, readWholeFile } from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

/** One quota root; `quota` is undefined where it cannot be read. */
export interface QuotaReading {
  /** Internal name of the topmost mailbox it counts for; `domain!` for a whole domain. */
  readonly root: string;
  readonly path: string;
  readonly quota: QuotaRoot | undefined;
  /** Why it cannot be read: what is wrong in it, or why it was not looked at. */
  readonly fault: string | Unreadable | ForeignFormat | undefined;
}

/** A database of a format that is not read here. */
export interface ForeignFormat {
  readonly state: "foreign";
  readonly format: string;
}

export interface QuotasReading {
  readonly roots: readonly QuotaReading[];
  /**
   * The database of quota roots. Where each root is a file of its own undefined, or what stands in
   * the place of their folder.
   */
  readonly file: DatabaseReading | undefined;
}

/** Reads some quota roots again. One that is gone is left out. */
export async function readQuotaRoots(
  roots: Iterable<string>,
  conf: ImapdConf,
): Promise<QuotaReading[]> {
  const wanted = new Set(roots);
  if (conf.quotaDb.formatName === "quotalegacy") {
    return [...wanted].map((root) => readQuotaFile(root, conf)).filter((one) => one !== undefined);
  }
  const { roots: all } = await readQuotas(conf);
  return all.filter(({ root }) => wanted.has(root));
}

/** Reads all quota roots. */
export async function readQuotas(conf: ImapdConf): Promise<QuotasReading> {
  if (conf.quotaDb.formatName === "quotalegacy") {
    const other = obstacleAt(join(dirname(conf.quotaDb.path), "quota"));
    if (other !== undefined) return { roots: [], file: { state: "not_regular", path: other } };
    const roots = [...quotaRootNames(conf)].sort().map((root) => readQuotaFile(root, conf));
    return { roots: roots.filter((one) => one !== undefined), file: undefined };
  }
  const file = await readDatabaseFile(conf.quotaDb.path, { expected: conf.quotaDb.format });
  if (file.state !== "read" || file.database.kind !== "read") return { roots: [], file };
  const roots = file.database.entries.map(({ key, value }) => {
    return { root: latin1(key), path: file.path, ...quotaOf(value) };
  });
  return { roots, file };
}

/** Reads the file of one quota root. Undefined when it has just been removed. */
function readQuotaFile(root: string, conf: ImapdConf): QuotaReading | undefined {
  const path = quotaFile(root, conf);
  if (path === undefined) return undefined;
  const reading = readWholeFile(path);
  if (reading.state === "missing") return undefined;
  if (reading.state === "read") return { root, path, ...quotaOf(reading.bytes) };
  const { path: _, ...fault } = reading;
  return { root, path, quota: undefined, fault };
}

function quotaOf(bytes: Uint8Array): Pick<QuotaReading, "quota" | "fault"> {
  const format = detectFormat(bytes);
  if (format !== undefined) return { quota: undefined, fault: { state: "foreign", format } };
  try {
    return { quota: parseQuota(bytes), fault: undefined };
  } catch (error) {
    if (error instanceof FormatError) return { quota: undefined, fault: error.message };
    throw error;
  }
}

/** The names of all quota roots: of the files below `quota/?/`, and of those of each domain. */
function* quotaRootNames(conf: ImapdConf): Generator<string> {
  const base = dirname(conf.quotaDb.path);
  yield* rootsBelow(join(base, "quota"), "");
  if (!conf.virtdomains) return;
  for (const letter of namesIn(join(base, "domain"))) {
    for (const domain of namesIn(join(base, "domain", letter))) {
      const folder = join(base, "domain", letter, domain, "quota");
      const prefix = `${latin1(utf8(domain))}!`;
      yield* rootsBelow(folder, prefix);
      if (namesIn(folder).includes("root")) yield prefix;
    }
  }
}

function* rootsBelow(folder: string, prefix: string): Generator<string> {
  for (const letter of namesIn(folder)) {
    if (letter.length !== 1) continue;
    for (const name of namesIn(join(folder, letter))) {
      // `.NEW` files are being written; they replace their root in a moment.
      if (!name.endsWith(".NEW")) yield `${prefix}${latin1(utf8(name))}`;
    }
  }
}

const NAMES: Readonly<Record<QuotaResource, ResourceName>> = {
  S: "STORAGE",
  M: "MESSAGE",
  AS: "ANNOTATION-STORAGE",
  NF: "MAILBOX",
};

/**
 * Reads the limits of `root`. Undefined where there is no such root; refused as `damaged`, `busy`,
 * `notSupported`, `permissionDenied` or `failed` where it cannot be read.
 */
export async function readQuotaLimits(
  root: string,
  conf: ImapdConf,
): Promise<Outcome<Quota | undefined>> {
  const found = await quotaBytes(root, conf);
  if (found.kind === "refused") return found;
  if (found.value === undefined) return ok(undefined);
  const { path, bytes } = found.value;
  return parsed(path, () => limitsOf(root, parseQuota(bytes)));
}

type QuotaBytes = { readonly path: string; readonly bytes: Uint8Array } | undefined;

async function quotaBytes(root: string, conf: ImapdConf): Promise<Outcome<QuotaBytes>> {
  const { formatName, format, path } = conf.quotaDb;
  if (formatName === "quotalegacy") return quotaFileBytes(root, conf);
  const entries = entriesOf(await readDatabaseFile(path, { expected: format }));
  if (entries.kind === "refused") return entries;
  const entry = entries.value.find(({ key }) => latin1(key) === root);
  return ok(entry && { path, bytes: entry.value });
}

function quotaFileBytes(root: string, conf: ImapdConf): Outcome<QuotaBytes> {
  const path = quotaFile(root, conf);
  if (path === undefined) return ok(undefined);
  const file = readWholeFile(path);
  if (file.state === "missing") {
    const other = obstacleAt(dirname(path));
    if (other === undefined) return ok(undefined);
    return refused("damaged", `Cannot read quota root ${root}: ${other} leads to no folder`);
  }
  if (file.state === "read") return ok({ path, bytes: file.bytes });
  if (file.state !== "unreadable") return refused("damaged", `Cannot read ${path}: no quota file`);
  return accessRefusal(`quota root ${root}`, { path, errno: file.errno });
}

function limitsOf(root: string, { resources, modseq }: QuotaRoot): Quota {
  const limits: Partial<Record<ResourceName, number>> = {};
  for (const resource of QUOTA_RESOURCES) {
    const { limit } = resources[resource];
    if (limit !== undefined) limits[NAMES[resource]] = Number(limit);
  }
  return { root, limits, modseq };
}
