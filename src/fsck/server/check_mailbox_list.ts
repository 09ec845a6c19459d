/**
 * mailboxes.db against the folders, in both directions: an entry for every folder and a folder for
 * every entry, where the entry says (rows DB02, DB03, DB06, DB07, DB08, HD02, HD03).
 *
 * Legal without a folder: tombstones, intermediate names, mailboxes reserved, moving or on another
 * server (spool-format 9). Legal without an entry: a folder that is being deleted.
 */
import { join } from "node:path";
import { hasBit, INDEX_OPTION } from "../../formats/cyrus/index/index_flags.ts";
import type { MailboxEntry, MailboxType } from "../../formats/cyrus/mailbox_entry.ts";
import type { MailboxesDb } from "../../formats/cyrus/mailboxes_db.ts";
import { parseAcl, printAcl } from "../../model/acl.ts";
import { mailboxFolder, type PathSettings } from "../../places/cyrus/layout/server_paths.ts";
import { nameOfRelative } from "../../places/cyrus/layout/spool_names.ts";
import type { MailboxFacts, ServerFolders } from "../../places/cyrus/mailbox/mailbox_facts.ts";
import type { ImapdConf } from "../../places/cyrus/server/imapd_conf.ts";
import { type Finding, finding } from "../finding.ts";
import type { ListedMailbox } from "./mailbox_directory.ts";

export interface MailboxListInput {
  readonly mailboxes: MailboxesDb;
  /** False where mailboxes.db is damaged: then what is missing from it proves nothing. */
  readonly complete: boolean;
  readonly conf: PathSettings & Pick<ImapdConf, "partitions">;
  /** Every mailbox folder of every partition. */
  readonly folders: ServerFolders;
  readonly nowSeconds: number;
}

export interface MailboxListResult {
  readonly findings: readonly Finding[];
  /** Entries that should have a folder here. */
  readonly listed: readonly ListedMailbox[];
}

/** A mailbox made less than so long ago may have an entry without a folder, or the reverse. */
const YOUNG_SECONDS = 60;

/** Compares entries and folders. */
export function checkMailboxList(input: MailboxListInput): MailboxListResult {
  const state: State = {
    input,
    findings: [],
    claimed: new Set(),
    byPlace: new Map(
      input.folders.mailboxes.map((facts) => [placeKey(facts.partition, facts.folder), facts]),
    ),
    byUniqueid: undefined,
    former: formerNames(input.mailboxes),
    printedAcl: aclPrinter(),
  };
  const listed: ListedMailbox[] = [];
  for (const entry of input.mailboxes.names) {
    if (isElsewhere(entry.type)) claimQuietly(state, entry);
    else if (!entry.type.deleted) listed.push({ entry, facts: findFolder(state, entry) });
  }
  for (const { entry, facts } of listed) {
    if (facts !== undefined) compareFacts(state, entry, { facts });
  }
  if (input.complete) checkUnclaimed(state);
  return { findings: state.findings, listed };
}

interface State {
  readonly input: MailboxListInput;
  readonly findings: Finding[];
  readonly claimed: Set<MailboxFacts>;
  readonly byPlace: ReadonlyMap<string, MailboxFacts>;
  /** Built when the first folder is found missing. */
  byUniqueid: ReadonlyMap<string, readonly MailboxFacts[]> | undefined;
  /** Names that each mailbox had before, by uniqueid. */
  readonly former: ReadonlyMap<string, ReadonlySet<string>>;
  readonly printedAcl: (acl: Acl) => string;
}

function placeKey(partition: string, folder: string): string {
  return `${partition}\0${folder}`;
}

function formerNames({ uniqueids }: MailboxesDb): Map<string, ReadonlySet<string>> {
  const renamed = uniqueids.filter(({ history }) => history.length > 0);
  return new Map(
    renamed.map((entry) => [entry.uniqueid ?? "", new Set(entry.history.map(({ name }) => name))]),
  );
}

function isElsewhere(type: MailboxType): boolean {
  return type.remote || type.moving || type.reserved || type.intermediate;
}

/** Before 3.6 every folder was found by name. */
function folderOf(state: State, entry: MailboxEntry, legacy: boolean): string | undefined {
  return mailboxFolder({ name: entry.name, uniqueid: entry.uniqueid, legacy }, state.input.conf);
}

function isLegacy(state: State, entry: MailboxEntry): boolean {
  return entry.type.legacy || state.input.mailboxes.generation !== "keyed";
}

/** A mailbox that needs no folder here may still have one: it is about to go, or to come. */
function claimQuietly(state: State, entry: MailboxEntry): void {
  const folder = folderOf(state, entry, isLegacy(state, entry));
  const facts = state.byPlace.get(placeKey(entry.partition ?? "", folder ?? ""));
  if (facts !== undefined) state.claimed.add(facts);
}

function findFolder(state: State, entry: MailboxEntry): MailboxFacts | undefined {
  const { findings, claimed, byPlace } = state;
  const { partitions } = state.input.conf;
  const { name, partition = "" } = entry;
  const legacy = isLegacy(state, entry);
  const folder = folderOf(state, entry, legacy);
  const roots = partitions.get(partition);
  if (roots === undefined) findings.push(finding("DB08", { mailbox: name }, { found: partition }));
  const claim = (facts: MailboxFacts) => {
    claimed.add(facts);
    return facts;
  };
  const right = byPlace.get(placeKey(partition, folder ?? ""));
  if (right !== undefined) return claim(right);
  const expected = roots === undefined ? (folder ?? "") : `${roots.data}/${folder ?? ""}`;
  const otherLayout = byPlace.get(placeKey(partition, folderOf(state, entry, !legacy) ?? ""));
  if (otherLayout !== undefined) {
    const at = { mailbox: name, path: otherLayout.path };
    findings.push(finding("DB07", at, { expected, lies: legacy ? "uniqueid" : "name" }));
    return claim(otherLayout);
  }
  const elsewhere = findElsewhere(state, entry, folder);
  if (elsewhere !== undefined && elsewhere.partition !== partition) {
    const at = { mailbox: name, path: elsewhere.path };
    findings.push(finding("DB08", at, { expected: partition, found: elsewhere.partition }));
    return claim(elsewhere);
  }
  if (roots === undefined || isUnread(state, { partition, folder })) return undefined;
  const at = { mailbox: name, path: expected };
  findings.push(finding("DB02", at, { other: elsewhere?.path }));
  return elsewhere === undefined ? undefined : claim(elsewhere);
}

/** True where the folder, or one above it, could not be looked into: it may well be there. */
function isUnread(
  { input }: State,
  { partition, folder = "" }: { readonly partition: string; readonly folder: string | undefined },
): boolean {
  return input.folders.unread.some(
    (one) => one.partition === partition && `${folder}/`.startsWith(one.folder && `${one.folder}/`),
  );
}

/** The folder on another partition, or one that holds the uniqueid of the entry and is nobody's. */
function findElsewhere(
  state: State,
  entry: MailboxEntry,
  folder: string | undefined,
): MailboxFacts | undefined {
  for (const partition of state.input.conf.partitions.keys()) {
    const facts = state.byPlace.get(placeKey(partition, folder ?? ""));
    if (facts !== undefined && !state.claimed.has(facts)) return facts;
  }
  const { uniqueid } = entry;
  if (uniqueid === undefined || uniqueid === "") return undefined;
  const { mailboxes } = state.input.folders;
  state.byUniqueid ??= Map.groupBy(mailboxes, ({ header }) => header?.uniqueid ?? "");
  const claimants = state.byUniqueid.get(uniqueid) ?? [];
  return claimants.find((facts) => !state.claimed.has(facts));
}

/** Fields that both the entry and the folder's own files hold. */
function compareFacts(
  state: State,
  entry: MailboxEntry,
  { facts }: { readonly facts: MailboxFacts },
): void {
  const { header, index, path } = facts;
  const { name, uidvalidity } = entry;
  const at = { mailbox: name, path };
  if (index !== undefined && uidvalidity !== 0 && index.uidvalidity !== uidvalidity) {
    const values = { expected: index.uidvalidity, found: uidvalidity };
    state.findings.push(finding("DB06", at, values));
  }
  if (header === undefined) return;
  // Of a folder stored by uniqueid, check_header_file compares the header with the folder's name.
  const wrongId = header.uniqueid && entry.uniqueid && header.uniqueid !== entry.uniqueid;
  if (wrongId && isLegacy(state, entry)) {
    const values = { expected: entry.uniqueid, found: header.uniqueid };
    state.findings.push(finding("HD02", at, { what: "list", ...values }));
  }
  const contradicts = (field: "name" | "mbtype" | "acl", expected: string, found: string) =>
    state.findings.push(finding("HD03", at, { field, expected, found }));
  // A rename that moves the folder leaves the old name in its header.
  const isFormer = state.former.get(entry.uniqueid ?? "")?.has(header.name ?? "") ?? false;
  if (header.name && header.name !== name && !isFormer) contradicts("name", name, header.name);
  const content = header.type?.slice(0, 1);
  if (content && /[abcefjnps]/.test(content) && content !== entry.type.content) {
    contradicts("mbtype", entry.type.text, header.type ?? "");
  }
  if (header.acl === undefined || header.acl === state.printedAcl(entry.acl)) return;
  const found = sortedAcl(parseAcl(header.acl) ?? []);
  const expected = sortedAcl(entry.acl);
  if (found !== expected) contradicts("acl", expected, found);
}

type Acl = MailboxEntry["acl"];

/** `printAcl` with a memory, as many mailboxes share one ACL object. */
function aclPrinter(): (acl: Acl) => string {
  const printed = new Map<Acl, string>();
  return (acl) => {
    const known = printed.get(acl);
    if (known !== undefined) return known;
    const text = printAcl(acl);
    printed.set(acl, text);
    return text;
  };
}

/** The same text for the same rights, whatever their order. */
function sortedAcl(acl: Acl): string {
  return acl
    .map(({ identifier, rights }) => `${identifier} ${[...rights].sort().join("")}`)
    .sort()
    .join(", ");
}

/** Folders that no entry speaks of: DB03. */
function checkUnclaimed(state: State): void {
  const { folders, nowSeconds, conf } = state.input;
  for (const facts of folders.mailboxes) {
    if (state.claimed.has(facts)) continue;
    const { header, index, path, changedAt, folder } = facts;
    if (index !== undefined && hasBit(index.options, INDEX_OPTION.mailboxDeleted)) continue;
    const name = header?.name ?? nameOfRelative(folder);
    const isDeleted = name?.replace(/^[^!]*!/, "").startsWith(`${conf.deletedprefix}.`) ?? false;
    if (isDeleted) continue;
    const isNew = nowSeconds - changedAt < YOUNG_SECONDS;
    const { uniqueid } = header ?? {};
    const at = { mailbox: name ?? path, path };
    // What lies on a meta or archive partition alone is left over from a mailbox that has moved.
    const roots = conf.partitions.get(facts.partition);
    const isLeftover = roots !== undefined && path !== join(roots.data, folder);
    state.findings.push(finding("DB03", at, { uniqueid, isNew, isLeftover }));
  }
}
