/** What two places both keep, and what therefore is not compared. */
import type { OwnedMailboxes, Setting } from "../../model/mailbox.ts";
import { ALL_HELD, type Holds, type Place } from "../../places/place.ts";

/** What both hold: nothing else is compared, demanded or sent. */
export function commonHolds(left: Holds, right: Holds): Holds {
  const both = (key: FactName): boolean => left[key] && right[key];
  return {
    ...(Object.fromEntries(FACTS.map((key) => [key, both(key)])) as Record<FactName, boolean>),
    keywords: Math.min(left.keywords, right.keywords),
    mailboxEntries: bothOf(left.mailboxEntries, right.mailboxEntries),
    quotas: left.quotas.filter((resource) => right.quotas.includes(resource)),
  };
}

/** What each setting is to a place: one that cannot be read is not held. */
const OF_SETTING: Readonly<Record<Setting, Partial<Holds>>> = {
  "seen state": { seen: false },
  subscriptions: { subscriptions: false },
  scripts: { sieveFiles: false },
  quotas: { quotas: [] },
  annotations: { mailboxAnnotations: false },
  conversations: { conversationModseqs: false },
  counters: {}, // RACLMODSEQ is compared where both say it
};

/** `holds` without the settings of an owner that one of the states could not tell. */
export function holdsOf(holds: Holds, states: readonly OwnedMailboxes[]): Holds {
  const flawed = states.flatMap((state) => state.flawed ?? []);
  return Object.assign({ ...holds }, ...flawed.map(({ setting }) => OF_SETTING[setting]));
}

type Entries = Holds["mailboxEntries"];

function bothOf(left: Entries, right: Entries): Entries {
  if (left === "all") return right;
  return right === "all" ? left : left.filter((entry) => right.includes(entry));
}

type Keeper = Pick<Place, "holds" | "mailsScripts">;

/** Names of what only one of the two places holds, for the result. */
export function notCompared(one: Keeper, other: Keeper): string[] {
  const [left, right] = [one.holds, other.holds];
  const goAsFiles = [one, other].some((place) => place.mailsScripts === true);
  const names: string[] = FACTS.filter((key) => left[key] !== right[key]);
  if (left.keywords !== right.keywords) names.push("keywords");
  if (left.mailboxEntries !== right.mailboxEntries) {
    const known = bothOf(left.mailboxEntries, right.mailboxEntries);
    names.push(`annotations of mailboxes but ${known === "all" ? "all" : known.join(", ")}`);
  }
  const [ours, theirs] = [new Set(left.quotas), new Set(right.quotas)];
  const single = [...ours.symmetricDifference(theirs)];
  const told = names.filter((name) => !UNTOLD.has(name) && !(goAsFiles && SCRIPTS.has(name)));
  return [...told, ...single.map((name) => `quota ${name}`)];
}

/** In words: what `one` holds and `other` does not, which is lost on the way there. */
export function notKept(one: Keeper, other: Keeper): string[] {
  const names = notCompared(one, { ...other, holds: commonHolds(one.holds, other.holds) });
  return names.filter((name) => name !== "internaldateNsec").map((name) => WORDS[name] ?? name);
}

/** What people call it where the name of the fact is none of the field's. */
const WORDS: Readonly<Record<string, string>> = {
  ...{ uids: "UIDs", uidvalidity: "UIDVALIDITY", acls: "ACLs", threadIds: "thread ids" },
  ...{ lastUpdated: "times of changes", tombstones: "records of expunged messages" },
  ...{ deletedMailboxes: "deleted mailboxes", internaldates: "dates of arrival" },
  ...{ savedates: "dates of saving", createdmodseqs: "modseqs of creation" },
  ...{ annotations: "annotations of messages", mailboxAnnotations: "annotations of mailboxes" },
  ...{ mailboxDetails: "options of mailboxes", pop3ShowAfter: "times for POP3" },
  ...{ seen: "seen states of others' mailboxes", sieveFiles: "scripts" },
  ...{ sieveMailboxes: "mailboxes of scripts" },
} satisfies Partial<Record<FactName, string>>;

/** No mail, or compared where both say it. */
const UNTOLD: ReadonlySet<string> = new Set([
  ...["userList", "gapsInTree", "placeholders", "conversationModseqs"],
]);

/** A place that makes messages of scripts that are files has them in either form. */
const SCRIPTS: ReadonlySet<string> = new Set(["sieveFiles", "sieveMailboxes"]);

type FactName = Exclude<keyof Holds, "keywords" | "mailboxEntries" | "quotas">;

const isFact = (name: keyof Holds): name is FactName => typeof ALL_HELD[name] === "boolean";

const FACTS = (Object.keys(ALL_HELD) as (keyof Holds)[]).filter(isFact);
