/**
 * What users and deliveries do at one side between two replications: seeded lists of deeds, done to
 * any place that can be written as Cyrus would do them, or told to a real Cyrus over IMAP.
 */
import { recordsOf } from "../../src/model/mailbox.ts";
import { isBelow, isInbox, parseName } from "../../src/model/names.ts";
import type { MailRecord } from "../../src/model/record.ts";
import type { Place, PlaceSession, WritablePlace } from "../../src/places/place.ts";
import type { ImapClient } from "./imap.ts";
import { granted, recordsIn } from "./places.ts";
import type { Random } from "./spool/random.ts";
import { guidOf, message, peerCrcs, record, stateOf } from "./store_fixture.ts";
import { until } from "./until.ts";

/** Numbers below a bound, the same ones for the same seed. */
export type Below = Random["below"];

export type Deed =
  | { readonly kind: "create"; readonly name: string }
  | { readonly kind: "rename"; readonly name: string; readonly to: string }
  | { readonly kind: "delete"; readonly name: string }
  | { readonly kind: "sub" | "unsub"; readonly name: string }
  | { readonly kind: "deliver"; readonly name: string; readonly number: number }
  | { readonly kind: "expunge"; readonly name: string; readonly uid: number }
  | { readonly kind: "copy"; readonly name: string; readonly uid: number; readonly to: string }
  | {
      readonly kind: "flag";
      readonly name: string;
      readonly uid: number;
      readonly flag: string;
      readonly isSet: boolean;
    };

/** Where and under which uniqueid a message lives. */
export interface LivingMessage {
  readonly name: string;
  readonly uniqueid: string;
  readonly uid: number;
  readonly guid: string;
}

/** Living messages of a user, but for deleted mailboxes; `names` has also mailboxes without any. */
export async function livingMessages(
  place: Place,
  userid: string,
): Promise<{ readonly names: string[]; readonly messages: LivingMessage[] }> {
  const names: string[] = [];
  const messages: LivingMessage[] = [];
  for (const { name, uniqueid, type } of granted(await place.user(userid)).mailboxes) {
    if (parseName(name).isDeleted || type?.includes("i") === true) continue;
    names.push(name);
    const { records } = granted(await place.readMailbox(name));
    for (const { uid, guid, expunged } of await recordsIn(records)) {
      if (!expunged) messages.push({ name, uniqueid, uid, guid });
    }
  }
  return { names: names.sort(), messages };
}

const PARTS = ["a", "b", "c", "d", "a.x", "b.y"];
const FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "work", "$Label1"];

export interface Deeds {
  readonly deeds: readonly Deed[];
  /** `uniqueid guid` of what the deeds say is to go. */
  readonly gone: ReadonlySet<string>;
}

/** `count` deeds that can be done one after the other to a side that holds `before`. */
export function chooseDeeds(
  before: Awaited<ReturnType<typeof livingMessages>>,
  { random, count, inbox, number }: DeedOptions,
): Deeds {
  const deeds: Deed[] = [];
  const gone = new Set<string>();
  const names = new Set(before.names);
  const touched = new Set<string>();
  let living = [...before.messages];
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[random(items.length || 1)];
  const isQuiet = (name: string): boolean =>
    ![...touched].some((one) => one === name || isBelow(one, name) || isBelow(name, one));
  const lose = (lost: readonly LivingMessage[]): void => {
    for (const { uniqueid, guid } of lost) gone.add(`${uniqueid} ${guid}`);
    living = living.filter((one) => !lost.includes(one));
  };
  /** At most a few changes to the tree, each where no other deed is. */
  const changeTree = (): void => {
    const free = PARTS.map((part) => `${inbox}.${part}`).filter((name) => !names.has(name));
    const own = [...names].filter((name) => !isInbox(name) && isQuiet(name));
    const target = pick(free.filter((name) => isQuiet(name)));
    const source = pick(own);
    const what = random(3);
    if (what === 0 && target !== undefined) {
      deeds.push({ kind: "create", name: target });
      names.add(target);
      touched.add(target);
    } else if (source !== undefined && what === 1 && target !== undefined) {
      const isTaken = [...names].some((name) => isBelow(name, target));
      if (isTaken || isBelow(target, source) || isBelow(source, target)) return;
      deeds.push({ kind: "rename", name: source, to: target });
      touched.add(source).add(target);
    } else if (source !== undefined && !own.some((name) => isBelow(name, source))) {
      // Cyrus deletes no mailbox that has others below it.
      deeds.push({ kind: "delete", name: source });
      touched.add(source);
      lose(living.filter(({ name }) => name === source));
    }
  };
  const changeMail = (): void => {
    const quiet = [...names].filter(isQuiet);
    const name = pick(quiet) ?? inbox;
    const one = pick(living.filter((message) => isQuiet(message.name)));
    const what = random(10);
    if (what < 4 || one === undefined) {
      deeds.push({ kind: "deliver", name, number: number() });
    } else if (what < 7) {
      const flag = pick(FLAGS) ?? "\\Seen";
      deeds.push({ kind: "flag", name: one.name, uid: one.uid, flag, isSet: random(3) > 0 });
    } else if (what < 8) {
      deeds.push({ kind: "expunge", name: one.name, uid: one.uid });
      lose([one]);
    } else if (what < 9 && name !== one.name) {
      deeds.push({ kind: "copy", name: one.name, uid: one.uid, to: name });
    } else {
      deeds.push({ kind: random(3) === 0 ? "unsub" : "sub", name });
    }
  };
  const trees = random(3);
  for (let at = 0; at < trees; at++) changeTree();
  while (deeds.length < count) changeMail();
  return { deeds, gone };
}

export interface DeedOptions {
  readonly random: Below;
  readonly count: number;
  /** Internal name of the user's INBOX. */
  readonly inbox: string;
  /** Of a message that nobody has yet. */
  readonly number: () => number;
}

export interface DoneAt {
  readonly userid: string;
  /** Unix seconds. */
  readonly now: number;
  readonly random: Below;
}

/** Does `deeds` to a place as a server would that has it as its spool. */
export async function doDeeds(
  place: WritablePlace,
  deeds: readonly Deed[],
  at: DoneAt,
): Promise<void> {
  const session = await place.openSession();
  try {
    for (const deed of deeds) await doTree(deed, { place, session, at });
    const names = new Set(deeds.flatMap((deed) => mailboxesOf(deed)));
    for (const name of names) await doMail(name, deeds, { place, session, at });
  } finally {
    await session.close();
  }
}

interface Doing {
  readonly place: WritablePlace;
  readonly session: PlaceSession;
  readonly at: DoneAt;
}

/** The mailboxes whose records a deed changes. */
function mailboxesOf(deed: Deed): string[] {
  if (deed.kind === "copy") return [deed.to];
  return deed.kind === "deliver" || deed.kind === "expunge" || deed.kind === "flag"
    ? [deed.name]
    : [];
}

async function doTree(deed: Deed, { place, session, at }: Doing): Promise<void> {
  const { userid, now, random } = at;
  if (deed.kind === "create") {
    const uniqueid = `made-${random(2 ** 32)}-${random(2 ** 32)}`;
    const uidvalidity = now;
    const change = { uniqueid, uidvalidity, options: "P", foldermodseq: 1n };
    const state = stateOf(deed.name, [], change);
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf([]) }));
  } else if (deed.kind === "rename" || deed.kind === "delete") {
    for (const { name } of granted(await place.user(userid)).mailboxes) {
      const isChild = deed.kind === "rename" && isBelow(name, deed.name);
      if (name !== deed.name && !isChild) continue;
      const time = (now + random(1_000_000)).toString(16).toUpperCase();
      const newName =
        deed.kind === "rename" ? deed.to + name.slice(deed.name.length) : `DELETED.${name}.${time}`;
      const partition = "default";
      granted(await session.apply({ kind: "rename", oldName: name, newName, partition }));
      const { state } = granted(await place.readMailbox(newName));
      if (state.type?.includes("i") === true) continue;
      const highestmodseq = state.highestmodseq + 1n;
      const changed = { ...state, highestmodseq, foldermodseq: highestmodseq };
      granted(await session.apply({ kind: "mailbox", state: changed, records: recordsOf([]) }));
    }
  } else if (deed.kind === "sub" || deed.kind === "unsub") {
    granted(await session.apply({ kind: deed.kind, userid, name: deed.name }));
  }
}

async function doMail(
  mailbox: string,
  deeds: readonly Deed[],
  { place, session, at }: Doing,
): Promise<void> {
  const { state, records } = granted(await place.readMailbox(mailbox));
  const byUid = new Map((await recordsIn(records)).map((one) => [one.uid, one]));
  const changed = new Map<number, MailRecord>();
  let { lastUid, highestmodseq: modseq } = state;
  const put = (one: MailRecord): void => {
    const dated = { ...one, modseq, lastUpdated: at.now };
    byUid.set(one.uid, dated);
    changed.set(one.uid, dated);
  };
  for (const deed of deeds) {
    if (!mailboxesOf(deed).includes(mailbox)) continue;
    modseq += 1n;
    if (deed.kind === "deliver") {
      lastUid += 1;
      const bytes = message(deed.number);
      const writer = session.stage({
        partition: "default",
        guid: guidOf(bytes),
        size: bytes.length,
      });
      await writer.write(bytes);
      await writer.end();
      put(record(lastUid, { createdmodseq: modseq, internaldate: at.now }, deed.number));
    } else if (deed.kind === "copy") {
      lastUid += 1;
      const source = granted(await place.readMailbox(deed.name));
      const one = (await recordsIn(source.records)).find(({ uid }) => uid === deed.uid);
      if (one === undefined) throw new Error(`nothing to copy: ${JSON.stringify(deed)}`);
      const request = { partition: "default", mailboxes: [deed.name], guids: [one.guid] };
      if (granted(await session.reserve(request)).length > 0) throw new Error("not reserved");
      put({ ...one, uid: lastUid, expunged: false, createdmodseq: modseq });
    } else {
      const one = "uid" in deed ? byUid.get(deed.uid) : undefined;
      if (one === undefined) throw new Error(`no such message: ${JSON.stringify(deed)}`);
      if (deed.kind === "expunge") put({ ...one, expunged: true });
      else if (deed.kind === "flag") {
        const others = one.flags.filter((flag) => flag !== deed.flag);
        put({ ...one, flags: deed.isSet ? [...others, deed.flag] : others });
      }
    }
  }
  granted(await session.flush());
  const all = [...byUid.values()].sort((one, two) => one.uid - two.uid);
  const next = { ...state, ...peerCrcs(all), lastUid, highestmodseq: modseq };
  const sent = [...changed.values()].sort((one, two) => one.uid - two.uid);
  granted(await session.apply({ kind: "mailbox", state: next, records: recordsOf(sent) }));
}

/** Does `deeds` over IMAP; throws where Cyrus refuses one. */
export async function tellDeeds(imap: ImapClient, deeds: readonly Deed[]): Promise<void> {
  const lines = deeds.flatMap(imapLines);
  for (const line of lines) await tell(imap, line);
  // Cyrus ends the session of whoever has a mailbox open that goes away.
  if (lines.some((line) => line.startsWith("SELECT "))) await imap.command("UNSELECT");
}

/** Cyrus names what is deleted by the second: a name can be deleted once in each. */
async function tell(imap: ImapClient, line: string): Promise<void> {
  const isDone = async () => {
    try {
      await imap.command(line);
      return true;
    } catch (error) {
      const isTooSoon = line.startsWith("DELETE ") && String(error).includes("already exists");
      if (!isTooSoon) throw error;
      return false;
    }
  };
  await until(`the next second, for ${line}`, isDone, { everyMs: 100 });
}

function imapLines(deed: Deed): string[] {
  const name = imapName(deed.name);
  switch (deed.kind) {
    case "create":
      return [`CREATE ${name}`];
    case "rename":
      return [`RENAME ${name} ${imapName(deed.to)}`];
    case "delete":
      return [`DELETE ${name}`];
    case "sub":
      return [`SUBSCRIBE ${name}`];
    case "unsub":
      return [`UNSUBSCRIBE ${name}`];
    case "deliver": {
      const text = new TextDecoder().decode(message(deed.number));
      return [`APPEND ${name} {{${text}}}`];
    }
    case "expunge":
      return [
        `SELECT ${name}`,
        `UID STORE ${deed.uid} +FLAGS.SILENT (\\Deleted)`,
        `UID EXPUNGE ${deed.uid}`,
      ];
    case "copy":
      return [`SELECT ${name}`, `UID COPY ${deed.uid} ${imapName(deed.to)}`];
    case "flag": {
      return [
        `SELECT ${name}`,
        `UID STORE ${deed.uid} ${deed.isSet ? "+" : "-"}FLAGS.SILENT (${deed.flag})`,
      ];
    }
  }
}

/** `user.fred.a.x` is `a/x` to fred. */
function imapName(internal: string): string {
  if (isInbox(internal)) return "INBOX";
  const [, , ...parts] = internal.split(".");
  return `"${parts.join("/")}"`;
}
