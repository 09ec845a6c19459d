/** What two places both keep, and what therefore is not compared. */
import type { Holds } from "../../places/place.ts";

/** What both hold: nothing else is compared, demanded or sent. */
export function commonHolds(left: Holds, right: Holds): Holds {
  const both = (key: FactName): boolean => left[key] && right[key];
  return {
    ...(Object.fromEntries(FACTS.map((key) => [key, both(key)])) as Record<FactName, boolean>),
    keywords: Math.min(left.keywords, right.keywords),
    quotas: left.quotas.filter((resource) => right.quotas.includes(resource)),
  };
}

/** Names of what only one of the two places holds, for the result. */
export function notCompared(left: Holds, right: Holds): string[] {
  const names: string[] = FACTS.filter((key) => left[key] !== right[key]);
  if (left.keywords !== right.keywords) names.push("keywords");
  const [ours, theirs] = [new Set(left.quotas), new Set(right.quotas)];
  const single = [...ours.symmetricDifference(theirs)];
  const told = names.filter((name) => !UNTOLD.has(name));
  return [...told, ...single.map((name) => `quota ${name}`)];
}

/** The first are no mail, the last is compared where both say it. */
const UNTOLD: ReadonlySet<string> = new Set(["userList", "gapsInTree", "conversationModseqs"]);

type FactName = Exclude<keyof Holds, "keywords" | "quotas">;

/** A table instead of a list, so that the compiler misses no field of `Holds`. */
const FACT_TABLE: Readonly<Record<FactName, true>> = {
  userList: true,
  uniqueids: true,
  uidvalidity: true,
  uids: true,
  modseqs: true,
  lastUpdated: true,
  tombstones: true,
  deletedMailboxes: true,
  gapsInTree: true,
  internaldates: true,
  internaldateNsec: true,
  savedates: true,
  threadIds: true,
  conversationModseqs: true,
  annotations: true,
  mailboxAnnotations: true,
  acls: true,
  mailboxDetails: true,
  seen: true,
  subscriptions: true,
  sieveFiles: true,
  sieveMailboxes: true,
};

const FACTS = Object.keys(FACT_TABLE) as FactName[];
