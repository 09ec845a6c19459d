/**
 * A Cyrus server as a whole: its list of mailboxes, its annotations and quota roots, and what each user
 * has of his own. Only the mailboxes' folders are left to others. Nothing is locked and nothing written.
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { latin1, utf8 } from "../../../core/bytes.ts";
import { AppError, errnoOf, FormatError } from "../../../core/errors.ts";
import { type MailboxesDb, parseMailboxesDb } from "../../../formats/cyrus/mailboxes_db.ts";
import { parseQuota, type QuotaRoot } from "../../../formats/cyrus/quota.ts";
import { quotaFile, sharedFile, type UserPlace, userFiles } from "../layout/server_paths.ts";
import type { FileReading } from "./database_file.ts";
import {
  type DatabaseReading,
  isCurrent,
  readDatabaseFile,
  readWholeFile,
} from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

/** One quota root; `quota` is undefined where it cannot be read. */
export interface QuotaReading {
  /** Internal name of the topmost mailbox it counts for; `domain!` for a whole domain. */
  readonly root: string;
  readonly path: string;
  readonly quota: QuotaRoot | undefined;
  /** Why it cannot be read. */
  readonly fault: string | undefined;
}

export interface ServerReading {
  readonly conf: ImapdConf;
  readonly mailboxesFile: DatabaseReading;
  /** Undefined where the file could not be read as a database at all. */
  readonly mailboxes: MailboxesDb | undefined;
  readonly annotationsFile: DatabaseReading;
  readonly quotas: QuotasReading;
  /** Counters of the shared namespace. */
  readonly sharedCounters: FileReading;
}

export interface QuotasReading {
  readonly roots: readonly QuotaReading[];
  /** The database of quota roots, where they are not files of their own. */
  readonly file: DatabaseReading | undefined;
}

/** What a user has outside of mailboxes. */
export interface UserReading {
  readonly user: UserPlace;
  readonly seen: DatabaseReading;
  readonly subscriptions: DatabaseReading;
  readonly counters: FileReading;
  readonly conversations: DatabaseReading;
}

/** Reads everything that the server has once. A mailboxes.db that was read before is not read again. */
export async function readServer(conf: ImapdConf, before?: ServerReading): Promise<ServerReading> {
  const { annotationsDb } = conf;
  return {
    conf,
    ...(before !== undefined && isCurrent(before.mailboxesFile)
      ? { mailboxesFile: before.mailboxesFile, mailboxes: before.mailboxes }
      : await readMailboxes(conf)),
    annotationsFile: await readDatabaseFile(annotationsDb.path, { expected: annotationsDb.format }),
    quotas: await readQuotas(conf),
    sharedCounters: readWholeFile(sharedFile("counters", conf)),
  };
}

async function readMailboxes({
  mailboxesDb,
}: ImapdConf): Promise<Pick<ServerReading, "mailboxesFile" | "mailboxes">> {
  const { path, format } = mailboxesDb;
  const mailboxesFile = await readDatabaseFile(path, { expected: format });
  return { mailboxesFile, mailboxes: mailboxesOf(mailboxesFile) };
}

function mailboxesOf(reading: DatabaseReading): MailboxesDb | undefined {
  if (reading.state !== "read" || reading.database.kind !== "read") return undefined;
  const { entries, problems } = reading.database;
  // A file that gives nothing but problems says nothing of which mailboxes there are.
  if (entries.length === 0 && problems.length > 0) return undefined;
  return parseMailboxesDb(entries);
}

/** Reads what one user has. */
export async function readUser(user: UserPlace, conf: ImapdConf): Promise<UserReading> {
  const { seenFormat, subscriptionFormat, conversationsFormat } = conf;
  const database = (file: "seen" | "sub" | "conversations", expected: typeof seenFormat) =>
    firstPresent(userFiles(user, file, conf), (path) => readDatabaseFile(path, { expected }));
  return {
    user,
    seen: await database("seen", seenFormat),
    subscriptions: await database("sub", subscriptionFormat),
    counters: await firstPresent(userFiles(user, "counters", conf), async (path) =>
      readWholeFile(path),
    ),
    conversations: await database("conversations", conversationsFormat),
  };
}

/** The first of several places where something lies; if nothing does, the likeliest as missing. */
async function firstPresent<Reading extends { readonly state: string }>(
  paths: readonly string[],
  read: (path: string) => Promise<Reading>,
): Promise<Reading | { readonly state: "missing"; readonly path: string }> {
  for (const path of paths) {
    const reading = await read(path);
    if (reading.state !== "missing") return reading;
  }
  return { state: "missing", path: paths[0] ?? "" };
}

/** Reads some quota roots anew; one that is gone is left out. */
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

async function readQuotas(conf: ImapdConf): Promise<QuotasReading> {
  if (conf.quotaDb.formatName === "quotalegacy") {
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

/** Reads the file of one quota root; undefined when it has just been removed. */
function readQuotaFile(root: string, conf: ImapdConf): QuotaReading | undefined {
  const path = quotaFile(root, conf);
  if (path === undefined) return undefined;
  const reading = readWholeFile(path);
  if (reading.state === "missing") return undefined;
  if (reading.state === "read") return { root, path, ...quotaOf(reading.bytes) };
  return { root, path, quota: undefined, fault: reading.state };
}

function quotaOf(bytes: Uint8Array): Pick<QuotaReading, "quota" | "fault"> {
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

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return [];
    throw new AppError("io", `Cannot read folder ${folder}: ${errno ?? String(error)}`, {
      cause: error,
    });
  }
}
