/**
 * A Cyrus spool or server on disk as a place, which can only be read. Nothing is locked and nothing
 * is written. Each mailbox is read as of one moment (mailbox/snapshot.ts), and one that fails a
 * checksum is refused as damaged.
 */

import { recordsIn } from "../../mailbox/mailbox_contents.ts";
import { intermediateState, stateOf } from "../../mailbox/mailbox_state.ts";
import {
  type FlawedSetting,
  type Lost,
  type MailboxState,
  type OwnedMailboxes,
  type Quota,
  recordsOf,
  type UnreadableMailbox,
  type UserMeta,
  type UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner } from "../../model/names.ts";
import { isGone, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailboxReading, Place } from "../place.ts";
import type { CyrusSource, Flaws } from "./cyrus_source.ts";
import { inDefaultDomain } from "./in_default_domain.ts";
import { type ListedMailbox, type MailboxDirectory, snapshotOfListed } from "./listed_mailboxes.ts";
import { messageReader } from "./message_reader.ts";

export interface CyrusPlaceOptions {
  /** Read what proves sound of a damaged mailbox: see `MailboxReading.lost`. */
  readonly salvages?: boolean | undefined;
}

/** The place over a spool (`spoolSource`) or a server (`serverSource`). */
export function cyrusPlace(from: CyrusSource, { salvages = false }: CyrusPlaceOptions = {}): Place {
  const source = { ...from, salvages };
  const messages = messageReader(source);
  const place: Place = {
    locator: source.locator,
    holds: source.holds,
    owners: async () => ok(ownersOf(await source.directory.get())),
    user: (userid) => readUser(source, userid),
    meta: (userid) => readMeta(source, userid),
    mailboxes: (names) => readStates(source, (directory) => names.map(directory.named)),
    mailboxesByUniqueid: (uniqueids) =>
      readStates(source, (directory) => uniqueids.map(directory.withUniqueid)),
    sharedMailboxes: async (toplevel) => ok(await readOwned(source, { kind: "shared", toplevel })),
    readMailbox: (name) => readOne(source, name),
    message: messages.read,
    contentGuid: messages.contentGuid,
    deletions: async (owner) => (await source.directory.get()).deletedOf(owner),
    annotations: (name) => source.annotations(name),
    quota: (root) => source.quota(root),
    sieveScript: (userid, filename) => source.sieveScript(userid, filename),
    close: async () => messages.close(),
  };
  const { defaultDomain: domain, directory } = source;
  return domain === undefined ? place : inDefaultDomain(place, { domain, directory });
}

async function* ownersOf(directory: MailboxDirectory): AsyncGenerator<Owner, void> {
  yield* directory.owners;
}

/** A mailbox that is renamed or deleted while it is read is looked up again, at most this often. */
const LISTINGS = 5;

/** What was read of some mailboxes. `outdated`: one of them no longer lies where it was listed. */
interface Readings<Value> {
  readonly found: readonly Value[];
  readonly unreadable: readonly UnreadableMailbox[];
  readonly outdated: boolean;
}

type Choice = (directory: MailboxDirectory) => readonly (ListedMailbox | undefined)[];
type Read<Value> = (mailbox: ListedMailbox) => Promise<Outcome<Value>>;

/** Reads the chosen mailboxes, and again those that a newer list of mailboxes has otherwise. */
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

/** Like `read`, but only of mailboxes whose name, uniqueid or folder has changed since `before`. */
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

/** What is told of while mailboxes are read. */
interface Notes {
  /** A setting that could not be read. */
  readonly flawed: (one: FlawedSetting) => void;
  /** A mailbox of which a part is lost. */
  readonly salvaged: (one: UnreadableMailbox) => void;
}

const unnoted: Notes = { flawed: () => undefined, salvaged: () => undefined };

/** Reads a mailbox with its records. */
function readerOf(source: CyrusSource, note = unnoted): Read<MailboxReading> {
  return async (mailbox) => {
    const { name, folder, flaw } = mailbox;
    if (folder === undefined && flaw === undefined) {
      return ok({ state: intermediateState(name, mailbox.facts), records: recordsOf([]) });
    }
    const outcome = await snapshotOfListed(mailbox, source);
    if (outcome.kind === "refused") return outcome;
    const facts = await source.facts(mailbox);
    if (facts.kind === "refused") return facts;
    const snapshot = outcome.value;
    for (const one of facts.value.flawed ?? []) note.flawed(one);
    const state = stateOf(name, snapshot, facts.value);
    const { lost } = snapshot;
    if (lost !== undefined) note.salvaged(salvagedMailbox(state, lost));
    return ok({ state, records: recordsIn(snapshot), ...(lost && { lost }) });
  };
}

/** Parts named in one refusal. */
const SHOWN = 5;

function salvagedMailbox({ name, uniqueid }: MailboxState, { parts }: Lost): UnreadableMailbox {
  const more = parts.length > SHOWN ? ` and ${parts.length - SHOWN} more` : "";
  const named = `${parts.slice(0, SHOWN).join(", ")}${more}`;
  const text = `Cannot read all of ${externalName(name)}: ${named || "it was damaged"}`;
  return { name, uniqueid, refusal: refused("damaged", text) };
}

/** Reads the state alone. The bytes of the index, which only the records need, are not kept. */
function stateReaderOf(source: CyrusSource, note = unnoted): Read<MailboxState> {
  const read = readerOf(source, note);
  return async (mailbox) => {
    const outcome = await read(mailbox);
    return outcome.kind === "refused" ? outcome : ok(outcome.value.state);
  };
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
  const flaws = newFlaws();
  const salvaged = new Map<string, UnreadableMailbox>();
  const read = stateReaderOf(source, {
    flawed: flaws.note,
    salvaged: (one) => void salvaged.set(one.name, one),
  });
  const { found: mailboxes, unreadable } = await readChosen(source, choose, read);
  return {
    mailboxes,
    ...(unreadable.length > 0 && { unreadable }),
    ...(salvaged.size > 0 && { salvaged: [...salvaged.values()] }),
    ...flaws.found(),
  };
}

async function readUser(source: CyrusSource, userid: string): Promise<Outcome<UserState>> {
  const owned = await readOwned(source, { kind: "user", userid });
  const meta = await source.meta(userid);
  if (meta.kind === "refused") return meta;
  const flaws = newFlaws([...(owned.flawed ?? []), ...(meta.value.flawed ?? [])]);
  const quotas: Quota[] = [];
  for (const root of new Set(owned.mailboxes.map(({ quotaroot }) => quotaroot))) {
    const quota = root === undefined ? ok(undefined) : await source.quota(root);
    if (quota.kind === "refused" && quota.reason === "busy") return quota;
    if (quota.kind === "refused") flaws.note({ setting: "quotas", refusal: quota });
    else if (quota.value !== undefined) quotas.push(quota.value);
  }
  return ok({ ...meta.value, ...owned, quotas, ...flaws.found() });
}

/** GET META has no way to leave out a part unsaid. */
async function readMeta(source: CyrusSource, userid: string): Promise<Outcome<UserMeta>> {
  const meta = await source.meta(userid);
  const first = meta.kind === "ok" ? meta.value.flawed?.[0] : undefined;
  return first?.refusal ?? meta;
}

/** Gathers what is flawed, each once. */
function newFlaws(known: readonly FlawedSetting[] = []): {
  note: Notes["flawed"];
  found: () => Flaws;
} {
  const byText = new Map<string, FlawedSetting>();
  const note: Notes["flawed"] = (one) => void byText.set(one.refusal.text, one);
  known.forEach(note);
  return { note, found: () => (byText.size === 0 ? {} : { flawed: [...byText.values()] }) };
}
