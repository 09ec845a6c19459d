/**
 * A Cyrus spool or server on disk as a place: its GET half. Nothing is locked and nothing is written; each
 * mailbox is read as of one moment (snapshot.ts), and what fails a checksum is refused as damaged.
 */
import { closeSync } from "node:fs";
import { classifyUuid } from "../../formats/cyrus/uuid.ts";
import {
  type MailboxState,
  type OwnedMailboxes,
  type Quota,
  recordsOf,
  type UnreadableMailbox,
  type UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner } from "../../model/names.ts";
import { isGone, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { MailboxReading, MessageAddress, MessageContent, Place } from "../place.ts";
import { type Current, currentOf } from "./current.ts";
import type { CyrusSource } from "./cyrus_source.ts";
import { type ListedMailbox, type MailboxDirectory, pathsOf } from "./listed_mailboxes.ts";
import type { MailboxPaths } from "./mailbox/mailbox_files.ts";
import { intermediateState, stateOf } from "./mailbox/mailbox_state.ts";
import { type HeldFiles, openMessage } from "./mailbox/message_content.ts";
import { messagePaths } from "./mailbox/message_paths.ts";
import {
  findRecord,
  type MailboxSnapshot,
  recordsOfSnapshot,
  takeSnapshot,
} from "./mailbox/snapshot.ts";

/** The place over a spool (`spoolSource`) or a server (`serverSource`). */
export function cyrusPlace(source: CyrusSource): Place {
  const held: HeldFiles = new Set();
  const record = recordFinder(source);
  const where = folderFinder(source);
  return {
    locator: source.locator,
    holds: source.holds,
    owners: async () => ok(ownersOf(await source.directory.get())),
    user: (userid) => readUser(source, userid),
    meta: (userid) => source.meta(userid),
    mailboxes: (names) => readStates(source, (directory) => names.map(directory.named)),
    mailboxesByUniqueid: (uniqueids) =>
      readStates(source, (directory) => uniqueids.map(directory.withUniqueid)),
    sharedMailboxes: async (toplevel) => ok(await readOwned(source, { kind: "shared", toplevel })),
    readMailbox: (name) => readOne(source, name),
    message: (address) => readMessage(address, { held, record, where }),
    annotations: (name) => source.annotations(name),
    quota: (root) => source.quota(root),
    sieveScript: (userid, filename) => source.sieveScript(userid, filename),
    close: async () => {
      for (const fd of held) closeSync(fd);
      held.clear();
    },
  };
}

async function* ownersOf(directory: MailboxDirectory): AsyncGenerator<Owner, void> {
  yield* directory.owners;
}

/** Mailboxes that are renamed or deleted while they are read are looked for again, this often at most. */
const LISTINGS = 5;

/** What was read of some mailboxes. `outdated`: one is not where it was listed. */
interface Readings<Value> {
  readonly found: readonly Value[];
  readonly unreadable: readonly UnreadableMailbox[];
  readonly outdated: boolean;
}

type Choice = (directory: MailboxDirectory) => readonly (ListedMailbox | undefined)[];
type Read<Value> = (mailbox: ListedMailbox) => Promise<Outcome<Value>>;

/** Reads the mailboxes of a choice; where the list was outdated, those that a new one has otherwise once more. */
async function readChosen<Value>(
  source: CyrusSource,
  choose: Choice,
  read: Read<Value>,
): Promise<Readings<Value>> {
  const readOnce = keepingReadings(read);
  let directory = await source.directory.get();
  for (let listing = 1; ; listing++) {
    const chosen = choose(directory).filter((one) => one !== undefined);
    const readings = await readAll(chosen, readOnce);
    if (!readings.outdated || listing === LISTINGS) return readings;
    directory = await source.directory.fresh();
  }
}

/** Reads a mailbox that was read already only where it now has another name, uniqueid or folder. */
function keepingReadings<Value>(read: Read<Value>): Read<Value> {
  const kept = new Map<string, Outcome<Value>>();
  return async (mailbox) => {
    const { name, facts, folder } = mailbox;
    const key = [name, facts.uniqueid, folder?.relative].join("\0");
    const outcome = kept.get(key) ?? (await read(mailbox));
    if (outcome.kind === "ok") kept.set(key, outcome);
    return outcome;
  };
}

async function readAll<Value>(
  mailboxes: readonly ListedMailbox[],
  read: Read<Value>,
): Promise<Readings<Value>> {
  const found: Value[] = [];
  const unreadable: UnreadableMailbox[] = [];
  let outdated = false;
  for (const mailbox of mailboxes) {
    const { name, facts } = mailbox;
    const outcome = await read(mailbox);
    if (outcome.kind === "ok") {
      found.push(outcome.value);
      continue;
    }
    if (isGone(outcome)) outdated = true;
    if (outcome.reason === "nonexistent") continue;
    const { uniqueid } = facts;
    unreadable.push({ name, ...(uniqueid !== undefined && { uniqueid }), refusal: outcome });
  }
  return { found, unreadable, outdated };
}

/** Reads a mailbox with its records. */
function readerOf(source: CyrusSource): Read<MailboxReading> {
  return async (mailbox) => {
    const { name, folder, flaw } = mailbox;
    if (folder === undefined && flaw === undefined) {
      return ok({ state: intermediateState(name, mailbox.facts), records: recordsOf([]) });
    }
    const outcome = await snapshotOf(mailbox);
    if (outcome.kind === "refused") return outcome;
    const facts = await source.facts(mailbox);
    if (facts.kind === "refused") return facts;
    const snapshot = outcome.value;
    const state = stateOf(name, snapshot, facts.value);
    return ok({ state, records: recordsOfSnapshot(snapshot) });
  };
}

/** Reads its state alone: the bytes of the index, which the records need, are not kept. */
function stateReaderOf(source: CyrusSource): Read<MailboxState> {
  const read = readerOf(source);
  return async (mailbox) => {
    const outcome = await read(mailbox);
    return outcome.kind === "refused" ? outcome : ok(outcome.value.state);
  };
}

/** `moved` where another mailbox lies there than the one that was listed. */
async function snapshotOf(mailbox: ListedMailbox): Promise<Outcome<MailboxSnapshot>> {
  const { name, facts, flaw } = mailbox;
  const paths = pathsOf(mailbox);
  if (paths === undefined || flaw !== undefined) {
    return refused("damaged", `Cannot read ${externalName(name)}: ${flaw ?? "it has no folder"}`);
  }
  const outcome = await takeSnapshot({ name, paths });
  if (outcome.kind === "refused") return outcome;
  const { uniqueid } = outcome.value.header;
  if (facts.uniqueid === undefined || uniqueid == null || uniqueid === facts.uniqueid) {
    return outcome;
  }
  const text = `Cannot read ${externalName(name)}: uniqueid ${uniqueid} in ${paths.header}, not ${facts.uniqueid}`;
  return refused("moved", text);
}

async function readStates(
  source: CyrusSource,
  choose: Choice,
): Promise<Outcome<readonly MailboxState[]>> {
  const { found, unreadable } = await readChosen(source, choose, stateReaderOf(source));
  const [first] = unreadable;
  return first?.refusal ?? ok(found);
}

async function readOne(source: CyrusSource, name: string): Promise<Outcome<MailboxReading>> {
  const choose: Choice = (directory) => [directory.named(name)];
  const { found, unreadable } = await readChosen(source, choose, readerOf(source));
  const [reading] = found;
  if (reading !== undefined) return ok(reading);
  return unreadable[0]?.refusal ?? refused("nonexistent", `There is no ${externalName(name)}`);
}

async function readOwned(source: CyrusSource, owner: Owner): Promise<OwnedMailboxes> {
  const choose: Choice = (directory) => directory.ownedBy(owner);
  const { found: mailboxes, unreadable } = await readChosen(source, choose, stateReaderOf(source));
  return { mailboxes, ...(unreadable.length > 0 && { unreadable }) };
}

async function readUser(source: CyrusSource, userid: string): Promise<Outcome<UserState>> {
  const owned = await readOwned(source, { kind: "user", userid });
  const meta = await source.meta(userid);
  if (meta.kind === "refused") return meta;
  const quotas: Quota[] = [];
  for (const root of new Set(owned.mailboxes.map(({ quotaroot }) => quotaroot))) {
    const quota = root === undefined ? ok(undefined) : await source.quota(root);
    if (quota.kind === "refused") return quota;
    if (quota.value !== undefined) quotas.push(quota.value);
  }
  return ok({ ...meta.value, ...owned, quotas });
}

/** Finds a record where its GUID is a number that says nothing about the message. */
type RecordFinder = (
  mailbox: ListedMailbox,
  uid: number,
) => Promise<Outcome<MailRecord | undefined>>;

/** Keeps the mailbox that was asked for last: messages are mostly asked for one after the other. */
function recordFinder(source: CyrusSource): RecordFinder {
  let last:
    | { readonly name: string; readonly snapshot: Current<Outcome<MailboxSnapshot>> }
    | undefined;
  return async ({ name }, uid) => {
    if (last?.name !== name) {
      const snapshot = currentOf(async () => {
        const mailbox = (await source.directory.get()).named(name);
        if (mailbox === undefined)
          return refused("nonexistent", `There is no ${externalName(name)}`);
        return snapshotOf(mailbox);
      });
      last = { name, snapshot };
    }
    const outcome = await last.snapshot.get();
    return outcome.kind === "refused" ? outcome : ok(findRecord(outcome.value, uid));
  };
}

/** Where the messages of a mailbox lie. */
interface MessageFolder {
  readonly mailbox: ListedMailbox;
  readonly paths: MailboxPaths;
  /** Its name for people. */
  readonly name: string;
}

interface FolderFinder {
  /** By the list of mailboxes as it is now; undefined where there is none, or it has no folder. */
  find(address: MessageAddress): Promise<MessageFolder | undefined>;
  /** The folder that was found last, if it is that of this mailbox: it may have moved meanwhile. */
  last(address: MessageAddress): MessageFolder | undefined;
}

/** Keeps the mailbox that was asked for last, as `recordFinder` does. */
function folderFinder(source: CyrusSource): FolderFinder {
  let last: { readonly address: MessageAddress; readonly folder: MessageFolder } | undefined;
  return {
    find: async (address) => {
      const directory = await source.directory.get();
      const named = directory.named(address.mailbox);
      const isSame = named?.facts.uniqueid === address.uniqueid;
      const mailbox = isSame ? named : (directory.withUniqueid(address.uniqueid) ?? named);
      const paths = mailbox && pathsOf(mailbox);
      if (mailbox === undefined || paths === undefined) return undefined;
      const folder = { mailbox, paths, name: externalName(mailbox.name) };
      last = { address, folder };
      return folder;
    },
    last: ({ mailbox, uniqueid }) => {
      const isSame = last?.address.mailbox === mailbox && last.address.uniqueid === uniqueid;
      return isSame ? last?.folder : undefined;
    },
  };
}

interface MessageReading {
  readonly held: HeldFiles;
  readonly record: RecordFinder;
  readonly where: FolderFinder;
}

async function readMessage(
  address: MessageAddress,
  { held, record, where }: MessageReading,
): Promise<Outcome<MessageContent>> {
  const { uid, guid } = address;
  const isProven = classifyUuid(guid) === undefined;
  // A file that has the SHA-1 is the message, wherever the mailbox is by now: the list need not be asked for each.
  const recent = isProven ? where.last(address) : undefined;
  if (recent !== undefined) {
    const found = await openMessage(wantedFrom(recent, address), held);
    if (found.kind === "ok") return found;
  }
  const folder = await where.find(address);
  if (folder === undefined) {
    return refused("nonexistent", `There is no ${externalName(address.mailbox)}`);
  }
  const wanted = wantedFrom(folder, address);
  if (isProven) return openMessage(wanted, held);
  const found = await record(folder.mailbox, uid);
  if (found.kind === "refused") return found;
  if (found.value?.guid !== guid) {
    return refused("nonexistent", `There is no message with the GUID ${guid} at ${wanted.label}`);
  }
  return openMessage({ ...wanted, recordedSize: found.value.size }, held);
}

function wantedFrom({ name, paths }: MessageFolder, { uid, guid }: MessageAddress) {
  return { label: `${name} uid ${uid}`, paths: messagePaths(paths, uid), guid };
}
