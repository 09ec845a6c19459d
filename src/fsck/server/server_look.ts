/**
 * Looking at a live server until what seems wrong is sure. Its files are written one after the
 * other, so that any two of them may disagree for a moment; what is reported has been seen again,
 * with the files of the users concerned read anew, at every one of several looks.
 */

import { isDeepStrictEqual } from "node:util";
import { isThere } from "../../core/files.ts";
import { pushAll } from "../../core/lists.ts";
import type { MailboxEntry } from "../../formats/cyrus/mailbox_entry.ts";
import { QUOTA_RESOURCES, type QuotaResource } from "../../formats/cyrus/quota.ts";
import { useridOf } from "../../model/names.ts";
import { mailboxFolder } from "../../places/cyrus/layout/server_paths.ts";
import { nameOfRelative } from "../../places/cyrus/layout/spool_names.ts";
import {
  type MailboxFacts,
  readMailboxFacts,
  type ServerFolders,
} from "../../places/cyrus/mailbox/mailbox_facts.ts";
import { mailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import type { ImapdConf } from "../../places/cyrus/server/imapd_conf.ts";
import { type QuotaReading, readQuotaRoots } from "../../places/cyrus/server/quota_roots.ts";
import {
  type MailboxesReading,
  readMailboxes,
  readServer,
  type ServerReading,
} from "../../places/cyrus/server/server_reading.ts";
import { readUser } from "../../places/cyrus/server/user_files.ts";
import { type Look, lookUntilSame } from "../../places/stable.ts";
import { type Finding, isDamage, sameObservation, tell } from "../finding.ts";
import { checkServer, checkUser } from "./check_server.ts";

export interface ServerLook {
  readonly findings: readonly Finding[];
  /** The number of first findings that a later look did not confirm. */
  readonly unstable: number;
}

/** Pauses before the looks that confirm: a rename of a large folder takes a while. */
const PAUSES_MS = [50, 300, 1500];
/** Tries within a look to find the quota roots standing still. */
const QUOTA_TRIES = 8;

/**
 * Checks the server of `conf`, whose mailbox folders are `folders`, read a moment ago. Remarks of
 * severity info are not confirmed. `before` is an earlier reading: what stands still is taken from
 * it.
 */
export async function checkServerUntilSure(
  conf: ImapdConf,
  folders: ServerFolders,
  before?: ServerReading,
): Promise<ServerLook> {
  const server = await readServer(conf, before);
  const first = await lookAtServer(server, folders, { onlyUsers: undefined });
  const suspected = first.filter(isDamage);
  const look = async (last: Suspicion | undefined): Promise<Look<Suspicion>> => {
    const value =
      last === undefined
        ? { facts: folders, findings: suspected, looks: 1 }
        : await confirm(conf, last);
    const trust = value.findings.length === 0 ? "proven" : "suspect";
    return { value, trust, stands: () => false };
  };
  // Nothing tells that a whole server stood still: what is wrong must be seen at every look.
  const { value } = await lookUntilSame(look, { isSame: () => false, pausesMs: PAUSES_MS });
  const remarks = first.filter((one) => !isDamage(one));
  return {
    findings: [...remarks, ...value.findings],
    unstable: suspected.length - value.findings.length,
  };
}

/** What has seemed wrong at every look up to now. */
interface Suspicion {
  readonly facts: ServerFolders;
  readonly findings: readonly Finding[];
  readonly looks: number;
}

async function confirm(conf: ImapdConf, last: Suspicion): Promise<Suspicion> {
  const { facts, findings } = await lookAgain(conf, last.facts, { suspicion: last.findings });
  // The first look saw quota roots and mailboxes at different moments: its amounts say nothing yet.
  const exact = last.looks > 1;
  const isStillWrong = (one: Finding) => last.findings.some((was) => isSame(was, one, { exact }));
  return { facts, findings: findings.filter(isStillWrong), looks: last.looks + 1 };
}

/**
 * One more look at everything of the users concerned. Every delivery moves a quota root and then a
 * mailbox, so that a sum can only be wrong if the root stood still while its mailboxes were read.
 */
async function lookAgain(
  conf: ImapdConf,
  folders: ServerFolders,
  { suspicion }: { readonly suspicion: readonly Finding[] },
): Promise<{ readonly facts: ServerFolders; readonly findings: Finding[] }> {
  const onlyUsers = usersOf(suspicion);
  const server = await readServer(conf);
  let facts = refresh(server, folders, onlyUsers);
  const roots = new Map(server.quotas.roots.map((reading) => [reading.root, reading]));
  const moving = new Set<string>();
  for (const root of new Set(suspicion.flatMap((one) => quotaSumOf(one)?.root ?? []))) {
    const look = await lookAtRoot(root, server, { facts });
    facts = look.facts;
    if (look.reading !== undefined) roots.set(root, look.reading);
    for (const resource of look.moved) moving.add(`${root} ${resource}`);
  }
  const quotas = { ...server.quotas, roots: [...roots.values()] };
  const findings = await lookAtServer({ ...server, quotas }, facts, { onlyUsers });
  // What lies where has been looked at after the list was read: a rename may come in between.
  const [then, now] = [entriesOf(server), entriesOf(await readMailboxes(conf, server))];
  const isMoving = (one: Finding) => {
    const sum = quotaSumOf(one);
    if (sum !== undefined) return moving.has(`${sum.root} ${sum.resource}`);
    return namesIn(one).some((name) => !isDeepStrictEqual(then.get(name), now.get(name)));
  };
  return { facts, findings: findings.filter((one) => !isMoving(one)) };
}

interface RootLook {
  readonly facts: ServerFolders;
  readonly reading: QuotaReading | undefined;
  /** What did not stand still at any try. */
  readonly moved: readonly QuotaResource[];
}

/** Reads a quota root and its mailboxes at a moment when it stands still, if there is one. */
async function lookAtRoot(
  root: string,
  server: ServerReading,
  state: { readonly facts: ServerFolders },
): Promise<RootLook> {
  let { facts } = state;
  const owner = new Set([useridOf(root) ?? ""]);
  for (let tries = 1; ; tries++) {
    const [before] = await readQuotaRoots([root], server.conf);
    facts = refresh(server, facts, owner);
    const [reading] = await readQuotaRoots([root], server.conf);
    const used = (one: QuotaReading | undefined, resource: QuotaResource) =>
      one?.quota?.resources[resource].used;
    const moved = QUOTA_RESOURCES.filter((each) => used(before, each) !== used(reading, each));
    if (moved.length === 0 || tries === QUOTA_TRIES) return { facts, reading, moved };
  }
}

/** The facts of a quota root whose use is not the sum over its mailboxes. */
function quotaSumOf({ code, facts }: Finding) {
  return code === "QU01" && facts?.what === "sum" ? facts : undefined;
}

async function lookAtServer(
  server: ServerReading,
  folders: ServerFolders,
  { onlyUsers }: { readonly onlyUsers: ReadonlySet<string> | undefined },
): Promise<Finding[]> {
  const check = checkServer({ server, folders, nowSeconds: Date.now() / 1000 });
  const findings = [...check.findings];
  for (const user of check.users) {
    if (onlyUsers !== undefined && !onlyUsers.has(user.userid)) continue;
    pushAll(findings, checkUser(await readUser(user, server.conf), server, check));
  }
  return findings;
}

function entriesOf({ mailboxes }: MailboxesReading): ReadonlyMap<string, MailboxEntry> {
  return new Map(mailboxes?.names.map((entry) => [entry.name, entry]));
}

/** The mailboxes of which a finding speaks. */
function namesIn(one: Finding): string[] {
  const { mailbox, other } = tell(one);
  return [mailbox ?? "/", other ?? "/"].filter((name) => !name.startsWith("/"));
}

/** Owners of everything that findings speak of; "" = shared. */
function usersOf(findings: readonly Finding[]): Set<string> {
  const users = new Set<string>();
  for (const one of findings) {
    const { userid } = one.at;
    if (userid !== undefined) users.add(userid);
    for (const name of namesIn(one)) users.add(useridOf(name) ?? "");
  }
  return users;
}

/** The folders with those of `users` read anew: some may be gone, and others may have come. */
function refresh(
  { conf, mailboxes }: ServerReading,
  folders: ServerFolders,
  users: ReadonlySet<string>,
): ServerFolders {
  const read = (partition: string, folder: string, before?: MailboxFacts) => {
    const roots = conf.partitions.get(partition);
    if (roots === undefined) return undefined;
    const paths = mailboxPaths(roots, folder);
    const facts = readMailboxFacts(partition, paths, before);
    const found = facts.header ?? facts.index ?? isThere(paths.data);
    return found ? facts : undefined;
  };
  const refreshed = new Map<string, MailboxFacts>();
  const add = (facts: MailboxFacts | undefined) => {
    if (facts !== undefined) refreshed.set(`${facts.partition}\0${facts.folder}`, facts);
  };
  for (const facts of folders.mailboxes) {
    const name = facts.header?.name ?? nameOfRelative(facts.folder);
    const owner = name === undefined ? undefined : (useridOf(name) ?? "");
    // A folder whose owner is unknown may belong to one of the users.
    const isConcerned = owner === undefined || users.has(owner);
    add(isConcerned ? read(facts.partition, facts.folder, facts) : facts);
  }
  for (const entry of mailboxes?.names ?? []) {
    if (!users.has(useridOf(entry.name) ?? "") || entry.partition === undefined) continue;
    const legacy = entry.type.legacy || mailboxes?.generation !== "keyed";
    const folder = mailboxFolder({ name: entry.name, uniqueid: entry.uniqueid, legacy }, conf);
    if (folder !== undefined && !refreshed.has(`${entry.partition}\0${folder}`)) {
      add(read(entry.partition, folder));
    }
  }
  return { ...folders, mailboxes: [...refreshed.values()] };
}

function isSame(left: Finding, right: Finding, { exact }: { readonly exact: boolean }): boolean {
  if (sameObservation(left, right)) return true;
  const [sum, again] = [quotaSumOf(left), quotaSumOf(right)];
  if (sum !== undefined && again !== undefined && !exact) {
    return sum.root === again.root && sum.resource === again.resource;
  }
  return sameDifference(left, right);
}

/** A number that is wrong by the same amount, though mail has come in meanwhile. */
function sameDifference(left: Finding, right: Finding): boolean {
  const [was, is] = [tell(left), tell(right)];
  return (
    (["code", "mailbox", "userid", "path", "field", "other"] as const).every(
      (key) => was[key] === is[key],
    ) &&
    typeof was.found === "bigint" &&
    typeof was.expected === "bigint" &&
    typeof is.found === "bigint" &&
    typeof is.expected === "bigint" &&
    was.found - was.expected === is.found - is.expected
  );
}
