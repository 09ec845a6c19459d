/**
 * One owner at two sides that were both written to: which mailboxes both are to have and under
 * which names, and whose subscriptions, scripts, quotas and seen states are kept. Two states in,
 * one out. What only one side has goes to the other, for nobody can tell it from what was made
 * there; a mailbox is deleted by its move to DELETED.
 */
import {
  bytecodeOf,
  isIntermediate,
  type MailboxState,
  type Quota,
  type SeenState,
  type SieveFile,
  type UserState,
} from "../../model/mailbox.ts";
import { isInbox, NAME_BYTES, parseName } from "../../model/names.ts";
import type { Holds } from "../../places/place.ts";
import { activeScript, bytecodeIn, haveSameContent, SCRIPT, scriptsOf } from "../plan/scripts.ts";
import type { Decision, Leftover } from "../plan/steps.ts";
import { agreeStates } from "./agree_states.ts";

export interface AgreedUser {
  /** What both are to have. Of mailboxes that differ inside, the numbers are only a lower bound. */
  readonly state: UserState;
  /** Uniqueids of A by those that B has instead: of INBOXes, of which a user has but one. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly decisions: readonly Decision[];
  readonly leftovers: readonly Leftover[];
}

export interface AgreeOptions {
  readonly holds: Holds;
  /** Uniqueids of mailboxes that one side deleted while the other got mail that it never saw. */
  readonly unheardOf: ReadonlySet<string>;
}

/** A mailbox at one side or at both. */
interface Entry {
  readonly a: MailboxState | undefined;
  readonly b: MailboxState | undefined;
}

interface Agreeing {
  readonly options: AgreeOptions;
  readonly decisions: Decision[];
  readonly leftovers: Leftover[];
}

/** What both sides are to have of an owner. */
export function agreeUser(a: UserState, b: UserState, options: AgreeOptions): AgreedUser {
  const agreeing: Agreeing = { options, decisions: [], leftovers: [] };
  const unreadable = [...(a.unreadable ?? []), ...(b.unreadable ?? [])];
  const aliases = new Map<string, string>();
  const entries = pairInboxes(pairById(a, b, options.holds), { aliases, agreeing });
  const taken = new Set(unreadable.map(({ name }) => name));
  const mailboxes = entries
    .toSorted((one, two) => rankOf(one) - rankOf(two))
    .flatMap((entry) => agreeEntry(entry, taken, agreeing));
  const state: UserState = {
    ...{ mailboxes, unreadable },
    quotas: agreeQuotas(a.quotas, b.quotas, agreeing),
    subscriptions: [...new Set([...a.subscriptions, ...b.subscriptions])],
    sieve: agreeSieve(a.sieve, b.sieve, agreeing),
    seen: agreeSeen(a.seen, b.seen),
  };
  return { state, aliases, decisions: agreeing.decisions, leftovers: agreeing.leftovers };
}

/** Mailboxes of both sides that one of them has deleted: pairs of states, the living one first. */
export function deletedOnOneSide(a: UserState, b: UserState, holds: Holds): DeletedPair[] {
  return pairById(a, b, holds).flatMap((entry): DeletedPair[] => {
    if (entry.a === undefined || entry.b === undefined) return [];
    if (isDeleted(entry.a) === isDeleted(entry.b)) return [];
    if (isIntermediate(entry.a) || isIntermediate(entry.b)) return [];
    return isDeleted(entry.a)
      ? [{ livesAt: "b", living: entry.b, deleted: entry.a }]
      : [{ livesAt: "a", living: entry.a, deleted: entry.b }];
  });
}

export interface DeletedPair {
  readonly livesAt: "a" | "b";
  readonly living: MailboxState;
  readonly deleted: MailboxState;
}

function isDeleted({ name }: MailboxState): boolean {
  return parseName(name).isDeleted;
}

/** By uniqueid. What cannot be read now at one side takes no part at either. */
function pairById(a: UserState, b: UserState, holds: Holds): Entry[] {
  const lost = [...(a.unreadable ?? []), ...(b.unreadable ?? [])];
  const names = new Set(lost.map(({ name }) => name));
  const ids = new Set(lost.map(({ uniqueid }) => uniqueid));
  const counts = (state: MailboxState): boolean =>
    !names.has(state.name) &&
    !ids.has(state.uniqueid) &&
    (holds.deletedMailboxes || !isDeleted(state));
  const theirs = new Map(b.mailboxes.filter(counts).map((state) => [state.uniqueid, state]));
  const entries = a.mailboxes.filter(counts).map((state): Entry => {
    const other = theirs.get(state.uniqueid);
    theirs.delete(state.uniqueid);
    return { a: state, b: other };
  });
  return [...entries, ...[...theirs.values()].map((state): Entry => ({ a: undefined, b: state }))];
}

/**
 * Two INBOXes with mail and different uniqueids cannot lie beside each other, and neither may go:
 * they are taken for one mailbox, and each keeps its uniqueid.
 */
function pairInboxes(
  entries: readonly Entry[],
  { aliases, agreeing }: { readonly aliases: Map<string, string>; readonly agreeing: Agreeing },
): Entry[] {
  const single = (side: "a" | "b"): Entry | undefined =>
    entries.find((entry) => {
      const [state, other] = side === "a" ? [entry.a, entry.b] : [entry.b, entry.a];
      return state !== undefined && other === undefined && isInbox(state.name) && !isEmpty(state);
    });
  const [ours, theirs] = [single("a"), single("b")];
  const [a, b] = [ours?.a, theirs?.b];
  if (a === undefined || b === undefined || a.name !== b.name) return [...entries];
  aliases.set(b.uniqueid, a.uniqueid);
  const ids = `its uniqueid is ${a.uniqueid} at A and ${b.uniqueid} at B`;
  const text = `${ids}: only its messages are brought together`;
  agreeing.leftovers.push({ kind: "mailbox", name: a.name, text });
  return [{ a, b }, ...entries.filter((entry) => entry !== ours && entry !== theirs)];
}

function isEmpty(state: MailboxState): boolean {
  return isIntermediate(state) || state.lastUid === 0;
}

/** Who gets a name that more than one wants: the lowest. */
function rankOf({ a, b }: Entry): number {
  if (a !== undefined && b !== undefined) return a.name === b.name ? 0 : 1;
  const single = a ?? b;
  if (single === undefined) return 6;
  return 2 + (isEmpty(single) ? 2 : 0) + (a === undefined ? 1 : 0);
}

function agreeEntry({ a, b }: Entry, taken: Set<string>, agreeing: Agreeing): MailboxState[] {
  if (a !== undefined && b !== undefined) return agreePair(a, b, { taken, agreeing });
  const single = a ?? b;
  if (single === undefined) return [];
  const { name } = single;
  if (!taken.has(name)) {
    taken.add(name);
    return [single];
  }
  const side = a === undefined ? "B" : "A";
  // What never held mail gives way; a client may have made it before the first replication.
  if (isEmpty(single)) {
    const text = `made at both sides: ${side}'s, which never had mail, gives way`;
    agreeing.decisions.push({ kind: "mailbox", name, text });
    return [];
  }
  const aside = nameAside(single, taken);
  const text = `made at both sides: ${side}'s is now called ${aside}`;
  agreeing.decisions.push({ kind: "mailbox", name, text });
  taken.add(aside);
  return [{ ...single, name: aside }];
}

interface Naming {
  readonly taken: Set<string>;
  readonly agreeing: Agreeing;
}

function agreePair(a: MailboxState, b: MailboxState, { taken, agreeing }: Naming): MailboxState[] {
  const { winner, why } = nameWinner(a, b, agreeing.options);
  const loser = winner === a ? b : a;
  const wanted = [winner.name, loser.name].find((name) => !taken.has(name));
  const name = wanted ?? nameAside(winner, taken);
  taken.add(name);
  if (a.name !== b.name) {
    const text =
      name === winner.name ? why : `${winner.name} is the name of another mailbox: it is ${name}`;
    const names = `${a.name} at A, ${b.name} at B`;
    agreeing.decisions.push({ kind: "mailbox", name, text: `${names}: ${text}` });
  }
  if (isIntermediate(a) !== isIntermediate(b)) return [{ ...(isIntermediate(a) ? b : a), name }];
  const [lastUid, highestmodseq] = [
    Math.max(a.lastUid, b.lastUid),
    a.highestmodseq > b.highestmodseq ? a.highestmodseq : b.highestmodseq,
  ];
  const syncCrc = a.syncCrc ?? 0;
  const { syncCrcAnnot } = a;
  const agreed = agreeStates(a, b, { lastUid, highestmodseq, syncCrc });
  return [{ ...agreed, name, ...(syncCrcAnnot !== undefined && { syncCrcAnnot }) }];
}

/** The side whose name is kept, the later to change; but nothing is deleted unread. */
function nameWinner(
  a: MailboxState,
  b: MailboxState,
  { unheardOf }: AgreeOptions,
): { readonly winner: MailboxState; readonly why: string } {
  if (isDeleted(a) !== isDeleted(b) && unheardOf.has(a.uniqueid)) {
    const winner = isDeleted(a) ? b : a;
    const why = `not deleted, for it got messages that ${winner === b ? "A" : "B"} never saw`;
    return { winner, why };
  }
  // A side that does not say when the mailbox was changed is not known to have changed it.
  const [ours, theirs] = [a.foldermodseq ?? 0n, b.foldermodseq ?? 0n];
  if (ours === theirs) return { winner: a, why: "A's is kept" };
  const [winner, side] = ours > theirs ? [a, "A"] : [b, "B"];
  return { winner, why: `${side}'s is kept, which changed it last (modseq ${ours} and ${theirs})` };
}

/** A name that nothing has, of the same owner: another time for what is deleted. */
function nameAside({ name, uniqueid }: MailboxState, taken: ReadonlySet<string>): string {
  const { isDeleted, deletedAt } = parseName(name);
  if (isDeleted && deletedAt !== undefined) {
    const base = name.slice(0, name.lastIndexOf("."));
    for (let step = 1n; ; step++) {
      const at = BigInt.asUintN(64, deletedAt + step); // the last of 16 digits is followed by 0
      const other = `${base}.${at.toString(16).toUpperCase().padStart(8, "0")}`;
      if (!taken.has(other)) return other;
    }
  }
  const mark = `conflict-${uniqueid.replaceAll("-", "").slice(-8)}`;
  const base = isInbox(name) ? `${name}.` : `${name.slice(0, NAME_BYTES - 2 * mark.length)}-`;
  for (let number = 1; ; number++) {
    const other = `${base}${mark}${number === 1 ? "" : `-${number}`}`;
    if (!taken.has(other)) return other;
  }
}

/** The one set later by its modseq; A's where that is not known. */
function agreeQuotas(a: readonly Quota[], b: readonly Quota[], agreeing: Agreeing): Quota[] {
  const { quotas } = agreeing.options.holds;
  return merge(a, b, {
    key: ({ root }) => root,
    choose: (ours, theirs) => {
      if (quotas.every((resource) => ours.limits[resource] === theirs.limits[resource]))
        return ours;
      const isLater = (theirs.modseq ?? 0n) > (ours.modseq ?? 0n) && (ours.modseq ?? 0n) > 0n;
      const text = `the limits differ: ${isLater ? "B" : "A"}'s are kept`;
      agreeing.decisions.push({ kind: "quota", name: ours.root, text });
      return isLater ? theirs : ours;
    },
  });
}

/** Of each script the later one, and A's choice of which is active, if it has made one. */
function agreeSieve(
  a: readonly SieveFile[],
  b: readonly SieveFile[],
  agreeing: Agreeing,
): SieveFile[] {
  const decide = (name: string, text: string): void => {
    agreeing.decisions.push({ kind: "sieve", name, text });
  };
  const merged = merge(scriptsOf(a), scriptsOf(b), {
    key: ({ filename }) => filename,
    choose: (ours, theirs) => {
      if (isSameScript(ours, theirs)) return ours;
      const isLater = theirs.lastUpdate > ours.lastUpdate;
      decide(ours.filename, `the scripts differ: ${isLater ? "B" : "A"}'s is kept`);
      return isLater ? theirs : ours;
    },
  });
  const [ours, theirs] = [activeScript(a), activeScript(b)];
  if (ours !== undefined && theirs !== undefined && ours !== theirs) {
    decide(`${ours}${SCRIPT}`, `active at A, and ${theirs}${SCRIPT} at B: A's is kept`);
  }
  const active = ours ?? theirs;
  /** Of the side whose script is kept, or of the other one where that has the same script. */
  const bytecode = (file: SieveFile): SieveFile[] => {
    const [own, other] = a.includes(file) ? [a, b] : [b, a];
    const there = other.find(({ filename }) => filename === file.filename);
    const isAlike = there !== undefined && isSameScript(file, there);
    const isIts = ({ filename }: SieveFile) => filename === bytecodeOf(file.filename);
    const known = bytecodeIn(own).filter(isIts);
    return known.length > 0 || !isAlike ? known : bytecodeIn(other).filter(isIts);
  };
  const isActive = ({ filename }: SieveFile) => filename === `${active}${SCRIPT}`;
  const files = merged.flatMap((file) => [file, ...bytecode(file)]);
  return files.map((file) => ({ ...file, isActive: isActive(file) }));
}

function isSameScript(ours: SieveFile, theirs: SieveFile): boolean {
  return haveSameContent(ours, theirs) ?? ours.lastUpdate === theirs.lastUpdate;
}

/** Of each mailbox the state that changed last. */
function agreeSeen(a: readonly SeenState[], b: readonly SeenState[]): SeenState[] {
  return merge(a, b, {
    key: ({ uniqueid }) => uniqueid,
    choose: (ours, theirs) => {
      const later =
        theirs.lastChange - ours.lastChange ||
        theirs.lastRead - ours.lastRead ||
        theirs.lastUid - ours.lastUid;
      return later > 0 ? theirs : ours;
    },
  });
}

interface MergeRules<Item> {
  readonly key: (item: Item) => string;
  readonly choose: (ours: Item, theirs: Item) => Item;
}

/** Everything of either, and a choice where both have it. */
function merge<Item>(
  a: readonly Item[],
  b: readonly Item[],
  { key, choose }: MergeRules<Item>,
): Item[] {
  const left = new Map(b.map((item) => [key(item), item]));
  const chosen = a.map((ours) => {
    const theirs = left.get(key(ours));
    left.delete(key(ours));
    return theirs === undefined ? ours : choose(ours, theirs);
  });
  return [...chosen, ...left.values()];
}
