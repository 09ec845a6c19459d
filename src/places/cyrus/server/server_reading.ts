/**
 * Reads the databases of a whole Cyrus server for fsck: its list of mailboxes, its annotations,
 * deliver.db, quota roots and shared counters. Nothing is locked and nothing is written.
 */
import { type MailboxesDb, parseMailboxesDb } from "../../../formats/cyrus/mailboxes_db.ts";
import { sharedFile } from "../layout/server_paths.ts";
import type { FileReading } from "./database_file.ts";
import {
  type DatabaseReading,
  isCurrent,
  readDatabaseFile,
  readWholeFile,
} from "./database_file.ts";
import type { DatabaseSetting, ImapdConf } from "./imapd_conf.ts";
import { type QuotasReading, readQuotas } from "./quota_roots.ts";

export interface MailboxesReading {
  readonly mailboxesFile: DatabaseReading;
  /** Undefined where the file could not be read as a database. */
  readonly mailboxes: MailboxesDb | undefined;
}

export interface ServerReading extends MailboxesReading {
  readonly conf: ImapdConf;
  readonly annotationsFile: DatabaseReading;
  /** Its damage alone: what was delivered of late is kept nowhere. */
  readonly deliverFile: DatabaseReading;
  readonly quotas: QuotasReading;
  /** Counters of the shared namespace. */
  readonly sharedCounters: FileReading;
}

/** Reads a server's databases once; mailboxes.db, if unchanged, is taken from `before`. */
export async function readServer(conf: ImapdConf, before?: ServerReading): Promise<ServerReading> {
  const { annotationsDb } = conf;
  return {
    conf,
    ...(await readMailboxes(conf, before)),
    annotationsFile: await readDatabaseFile(annotationsDb.path, { expected: annotationsDb.format }),
    deliverFile: await readDamage(conf.deliverDb, before?.deliverFile),
    quotas: await readQuotas(conf),
    sharedCounters: readWholeFile(sharedFile("counters", conf)),
  };
}

/** Reads mailboxes.db, unless it is still as it was in the reading `before`. */
export async function readMailboxes(
  { mailboxesDb }: ImapdConf,
  before?: MailboxesReading,
): Promise<MailboxesReading> {
  if (before !== undefined && isCurrent(before.mailboxesFile)) {
    return { mailboxesFile: before.mailboxesFile, mailboxes: before.mailboxes };
  }
  const { path, format } = mailboxesDb;
  const mailboxesFile = await readDatabaseFile(path, { expected: format });
  return { mailboxesFile, mailboxes: mailboxesOf(mailboxesFile) };
}

/** Reads a database without keeping its entries, unless it is still as it was in `before`. */
async function readDamage(
  { path, format }: DatabaseSetting,
  before: DatabaseReading | undefined,
): Promise<DatabaseReading> {
  if (before !== undefined && isCurrent(before)) return before;
  const reading = await readDatabaseFile(path, { expected: format });
  if (reading.state !== "read" || reading.database.kind !== "read") return reading;
  return { ...reading, database: { ...reading.database, entries: [] } };
}

function mailboxesOf(reading: DatabaseReading): MailboxesDb | undefined {
  if (reading.state !== "read" || reading.database.kind !== "read") return undefined;
  const { entries, problems } = reading.database;
  // A file in which nothing could be read does not tell that there are no mailboxes.
  if (entries.length === 0 && problems.length > 0) return undefined;
  return parseMailboxesDb(entries);
}
