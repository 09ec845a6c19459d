/** What a user has outside of mailboxes: seen state, subscriptions, counters, conversations (6.6, 6.7). */

import { NO_FILE, stampAt, type WatchedFile, watched } from "../../../core/file_stamp.ts";
import { conversationModseqs } from "../../../formats/cyrus/conversations.ts";
import { parseCounters } from "../../../formats/cyrus/counters.ts";
import type { DatabaseFormat } from "../../../formats/cyrus/databases/database.ts";
import { parseSeen } from "../../../formats/cyrus/seen.ts";
import { parseSubscriptions } from "../../../formats/cyrus/sub.ts";
import type { SeenState } from "../../../model/mailbox.ts";
import { inboxOf } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { sharedFile, type UserPlace, userFiles } from "../layout/server_paths.ts";
import { accessRefusal } from "../refused_access.ts";
import { entriesOf, parsed } from "./database_access.ts";
import { readDatabaseFile, readWholeFile } from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

/** Seen state of a user, mostly in the mailboxes of others, in the order of uniqueids. */
export async function readSeen(
  user: UserPlace,
  conf: ImapdConf,
): Promise<Outcome<readonly SeenState[]>> {
  const path = presentOf(userFiles(user, "seen", conf));
  if (path === undefined) return ok([]);
  return parsedEntries(path, conf.seenFormat, (entries) =>
    entries.map((entry) => {
      const { uniqueid, lastread, lastuid, lastchange, seenuids } = parseSeen(entry);
      const times = { lastRead: lastread, lastChange: lastchange };
      return { uniqueid, lastUid: lastuid, ...times, seenUids: seenuids };
    }),
  );
}

/** Internal names of the mailboxes to which a user is subscribed. */
export async function readSubscriptions(
  user: UserPlace,
  conf: ImapdConf,
): Promise<Outcome<readonly string[]>> {
  const path = presentOf(userFiles(user, "sub", conf));
  if (path === undefined) return ok([]);
  const inbox = inboxOf(user.userid, { virtualDomains: conf.virtdomains });
  return parsedEntries(
    path,
    conf.subscriptionFormat,
    (entries) => parseSubscriptions(entries, { inbox }).names,
  );
}

/** How far things have changed that belong to a user as a whole, but are said of each mailbox. */
export interface OwnerModseqs {
  /** RACLMODSEQ: of the lists of who may see the user's mailboxes. */
  readonly raclmodseq: bigint | undefined;
  /** XCONVMODSEQ by uniqueid, in old databases by internal name. */
  readonly conversations: ReadonlyMap<string, bigint>;
  /** The files that were read. */
  readonly files: readonly WatchedFile[];
}

/** The modseqs of a user, or of the shared namespace where `user` is undefined. */
export async function readOwnerModseqs(
  user: UserPlace | undefined,
  conf: ImapdConf,
): Promise<Outcome<OwnerModseqs>> {
  const files: WatchedFile[] = [];
  const wanted = (file: "counters" | "conversations") => {
    const paths = user === undefined ? [sharedFile(file, conf)] : userFiles(user, file, conf);
    files.push(...paths.map(watched));
    return presentOf(paths);
  };
  const countersPath = conf.reverseacls ? wanted("counters") : undefined;
  const counters = countersPath === undefined ? ok(undefined) : readCounters(countersPath);
  if (counters.kind === "refused") return counters;
  const path = conf.conversations ? wanted("conversations") : undefined;
  const conversations =
    path === undefined
      ? ok(new Map<string, bigint>())
      : await parsedEntries(path, conf.conversationsFormat, conversationModseqs);
  if (conversations.kind === "refused") return conversations;
  return ok({ raclmodseq: counters.value, conversations: conversations.value, files });
}

/** RACLMODSEQ; undefined where counters are too old to have one. */
function readCounters(path: string): Outcome<bigint | undefined> {
  const file = readWholeFile(path);
  if (file.state === "missing") return ok(undefined);
  if (file.state === "unreadable") return accessRefusal("counters", { path, errno: file.errno });
  if (file.state !== "read") return refused("damaged", `Cannot read ${path}: no counters file`);
  return parsed(path, () => parseCounters(file.bytes).raclmodseq);
}

/** The first of the files that is there. */
function presentOf(paths: readonly string[]): string | undefined {
  return paths.find((path) => stampAt(path) !== NO_FILE);
}

async function parsedEntries<Value>(
  path: string,
  expected: DatabaseFormat | undefined,
  parse: (entries: Parameters<typeof conversationModseqs>[0]) => Value,
): Promise<Outcome<Value>> {
  const entries = entriesOf(await readDatabaseFile(path, { expected }));
  return entries.kind === "refused" ? entries : parsed(path, () => parse(entries.value));
}
