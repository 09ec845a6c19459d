/** Errors that say the same of many users or mailboxes: a few are told, the others counted. */
import type { ErrorFacts } from "./json/lines.ts";

/** Errors of one kind that are told each. */
const TOLD = 3;
/** Names of the others that are told. */
const NAMES = 5;
/** Kinds that are kept apart; what comes later is told each time. */
const KINDS = 1000;

export interface AlikeErrors {
  /** False where enough errors of this kind have been told; this one is counted then. */
  isToBeTold(text: string, facts: ErrorFacts): boolean;
  /** A line for each kind of which not all were told. */
  others(): string[];
}

interface Kind {
  readonly text: string;
  readonly names: string[];
  count: number;
}

/** Begins to tell errors apart. */
export function alikeErrors(): AlikeErrors {
  const kinds = new Map<string, Kind>();
  return {
    isToBeTold: (text, facts) => {
      const name = facts.user ?? facts.toplevel ?? facts.mailbox;
      if (name === undefined) return true;
      const key = withoutNames(text, facts);
      const kind = kinds.get(key) ?? { text, names: [], count: 0 };
      if (kinds.size < KINDS) kinds.set(key, kind);
      kind.count += 1;
      if (kind.count <= TOLD) return true;
      if (kind.names.length < NAMES && !kind.names.includes(name)) kind.names.push(name);
      return false;
    },
    others: () =>
      [...kinds.values()]
        .filter(({ count }) => count > TOLD)
        .map(({ text, names, count }) => {
          const more = count - TOLD > names.length ? " …" : "";
          return `${count - TOLD} more like «${text}»: ${names.join(", ")}${more} (-v tells each)`;
        }),
  };
}

/** The text without what differs from one user or mailbox to the next: names, paths, numbers. */
function withoutNames(text: string, facts: ErrorFacts): string {
  const { user, toplevel, mailbox, internalname, name } = facts;
  const names = [mailbox, internalname, name, user, toplevel].filter((one) => one !== undefined);
  return names
    .reduce((left, one) => (one === "" ? left : left.replaceAll(one, "…")), text)
    .replace(/\S*\/\S*/g, "…")
    .replace(/\d+/g, "#");
}
