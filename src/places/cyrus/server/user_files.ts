/**
 * Reads what a user has outside of mailboxes: seen state, subscriptions, counters and conversations
 * (spool-format 6.6, 6.7).
 */
import { dirname } from "node:path";
import { type WatchedFile, watched } from "../../../core/file_stamp.ts";
import { obstacleAt } from "../../../core/files.ts";
import { conversationModseqs } from "../../../formats/cyrus/conversations.ts";
import { parseCounters } from "../../../formats/cyrus/counters.ts";
import type { DatabaseFormat } from "../../../formats/cyrus/databases/database.ts";
import { parseSubscriptions } from "../../../formats/cyrus/sub.ts";
import type { FlawedSetting, SeenState, Setting } from "../../../model/mailbox.ts";
import { inboxOf } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { seenStatesIn } from "../../raw_settings.ts";
import { sharedFile, sieveFolder, type UserPlace, userFiles } from "../layout/server_paths.ts";
import { accessRefusal } from "../refused_access.ts";
import { entriesOf, parsed } from "./database_access.ts";
import {
  type DatabaseReading,
  type FileReading,
  readDatabaseFile,
  readWholeFile,
} from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

/** All files of a user with their faults, as fsck wants them. */
export interface UserReading {
  readonly user: UserPlace;
  readonly seen: DatabaseReading;
  readonly subscriptions: DatabaseReading;
  readonly counters: FileReading;
  readonly conversations: DatabaseReading;
  /** What stands in the place of the folder of sieve scripts. */
  readonly inScripts: string | undefined;
}

/** Reads all files of one user. */
export async function readUser(user: UserPlace, conf: ImapdConf): Promise<UserReading> {
  const scripts = sieveFolder(user, conf);
  return {
    user,
    seen: await readSeenFile(user, conf),
    subscriptions: await readSubscriptionFile(user, conf),
    counters: await readCountersIn(userFiles(user, "counters", conf)),
    conversations: await readConversationsIn(userFiles(user, "conversations", conf), conf),
    inScripts: scripts && obstacleAt(scripts),
  };
}

function readSeenFile(user: UserPlace, conf: ImapdConf): Promise<DatabaseReading> {
  return readDatabaseIn(userFiles(user, "seen", conf), conf.seenFormat);
}

function readSubscriptionFile(user: UserPlace, conf: ImapdConf): Promise<DatabaseReading> {
  return readDatabaseIn(userFiles(user, "sub", conf), conf.subscriptionFormat);
}

function readConversationsIn(paths: readonly string[], conf: ImapdConf): Promise<DatabaseReading> {
  return readDatabaseIn(paths, conf.conversationsFormat);
}

function readCountersIn(paths: readonly string[]): Promise<FileReading> {
  return firstPresent(paths, async (path) => readWholeFile(path));
}

function readDatabaseIn(
  paths: readonly string[],
  expected: DatabaseFormat | undefined,
): Promise<DatabaseReading> {
  return firstPresent(paths, (path) => readDatabaseFile(path, { expected }));
}

/**
 * The first of several paths at which something lies, else the likeliest as missing, or what stands
 * in the place of its folder.
 */
async function firstPresent<Reading extends { readonly state: string }>(
  paths: readonly string[],
  read: (path: string) => Promise<Reading>,
): Promise<Reading | { readonly state: "missing" | "not_regular"; readonly path: string }> {
  for (const path of paths) {
    const reading = await read(path);
    if (reading.state !== "missing") return reading;
  }
  const [likeliest = ""] = paths;
  const other = likeliest === "" ? undefined : obstacleAt(dirname(likeliest));
  if (other !== undefined) return { state: "not_regular", path: other };
  return { state: "missing", path: likeliest };
}

/** Reads what a user has seen, mostly in the mailboxes of others, in the order of uniqueids. */
export async function readSeen(
  user: UserPlace,
  conf: ImapdConf,
): Promise<Outcome<readonly SeenState[]>> {
  return parsedEntries(await readSeenFile(user, conf), seenStatesIn);
}

/** Reads the internal names of the mailboxes to which a user is subscribed. */
export async function readSubscriptions(
  user: UserPlace,
  conf: ImapdConf,
): Promise<Outcome<readonly string[]>> {
  const inbox = inboxOf(user.userid, { virtualDomains: conf.virtdomains });
  return parsedEntries(await readSubscriptionFile(user, conf), (entries) => [
    ...new Set(parseSubscriptions(entries, { inbox }).names),
  ]);
}

/** Modseqs that the server keeps for a user as a whole and replication tells with each mailbox. */
export interface OwnerModseqs {
  /** RACLMODSEQ: when the list of those who may see the mailboxes of the user last changed. */
  readonly raclmodseq: bigint | undefined;
  /** XCONVMODSEQ by uniqueid, in old databases by internal name. */
  readonly conversations: ReadonlyMap<string, bigint>;
  /** Those that could not be read. */
  readonly flawed: readonly FlawedSetting[];
  /** The files that were read. */
  readonly files: readonly WatchedFile[];
}

/** Reads the modseqs of a user, or of the shared namespace where `user` is undefined. */
export async function readOwnerModseqs(
  user: UserPlace | undefined,
  conf: ImapdConf,
): Promise<Outcome<OwnerModseqs>> {
  const pathsOf = (file: "counters" | "conversations") =>
    user === undefined ? [sharedFile(file, conf)] : userFiles(user, file, conf);
  const countersPaths = conf.reverseacls ? pathsOf("counters") : [];
  const conversationsPaths = conf.conversations ? pathsOf("conversations") : [];
  const files = [...countersPaths, ...conversationsPaths].map(watched);
  const counters = raclmodseqOf(await readCountersIn(countersPaths));
  const reading = await readConversationsIn(conversationsPaths, conf);
  const conversations = parsedEntries(reading, conversationModseqs);
  const flawed = flawedOf({ counters, conversations });
  if (flawed.kind === "refused") return flawed;
  return ok({
    raclmodseq: counters.kind === "ok" ? counters.value : undefined,
    conversations: conversations.kind === "ok" ? conversations.value : new Map<string, bigint>(),
    ...{ flawed: flawed.value, files },
  });
}

/** The settings that could not be read. Refused where one is busy: it may be read later. */
export function flawedOf(
  settings: Readonly<Partial<Record<Setting, Outcome<unknown>>>>,
): Outcome<FlawedSetting[]> {
  const flawed: FlawedSetting[] = [];
  for (const [setting, refusal] of Object.entries(settings)) {
    if (refusal.kind === "ok") continue;
    if (refusal.reason === "busy") return refusal;
    flawed.push({ setting: setting as Setting, refusal }); // the type of `settings` says so
  }
  return ok(flawed);
}

/** RACLMODSEQ. Undefined where there are no counters, or counters of an old form without it. */
function raclmodseqOf(file: FileReading): Outcome<bigint | undefined> {
  const { path } = file;
  if (file.state === "missing") return ok(undefined);
  if (file.state === "unreadable") return accessRefusal("counters", { path, errno: file.errno });
  if (file.state !== "read") return refused("damaged", `Cannot read ${path}: no counters file`);
  return parsed(path, () => parseCounters(file.bytes).raclmodseq);
}

function parsedEntries<Value>(
  reading: DatabaseReading,
  parse: (entries: Parameters<typeof conversationModseqs>[0]) => Value,
): Outcome<Value> {
  const entries = entriesOf(reading);
  return entries.kind === "refused" ? entries : parsed(reading.path, () => parse(entries.value));
}
