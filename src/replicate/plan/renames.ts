/**
 * Renames in an order in which each name is free when it is taken (sync-protocol.md 5.4): chains
 * from their end, a ring by way of a name of its own, which lies below the user so that it stays
 * the user's.
 */
import { parseName } from "../../model/names.ts";

export interface Rename {
  readonly uniqueid: string;
  readonly oldName: string;
  readonly newName: string;
}

export interface RenameOrder {
  readonly renames: readonly Rename[];
  /**
   * Those that cannot be done: a mailbox that stays has the name, or one that waits for such a
   * name.
   */
  readonly blocked: readonly Rename[];
}

/** Orders `wanted`; `staying` are the names of mailboxes that keep theirs. */
export function orderRenames(wanted: readonly Rename[], staying: ReadonlySet<string>): RenameOrder {
  const renames: Rename[] = [];
  const holders = new Map(wanted.map((rename) => [rename.oldName, rename]));
  const waiting = new Set(wanted);
  const done = (rename: Rename): void => {
    renames.push(rename);
    holders.delete(rename.oldName);
  };
  for (let progress = true; progress && waiting.size > 0; ) {
    progress = false;
    for (const rename of waiting) {
      if (holders.has(rename.newName) || staying.has(rename.newName)) continue;
      done(rename);
      waiting.delete(rename);
      progress = true;
    }
    if (progress) continue;
    const ring = [...waiting].find((rename) => isInRing(rename, holders));
    if (ring === undefined) break;
    const aside = { ...ring, newName: nameAside(ring) };
    done(aside);
    waiting.delete(ring);
    const back = { ...ring, oldName: aside.newName };
    holders.set(back.oldName, back);
    waiting.add(back);
    progress = true;
  }
  return { renames, blocked: [...waiting] };
}

/** Follows the names that each waits for until one comes back to where it began. */
function isInRing(start: Rename, holders: ReadonlyMap<string, Rename>): boolean {
  let at = holders.get(start.newName);
  for (let steps = 0; at !== undefined && steps < holders.size; steps++) {
    if (at === start) return true;
    at = holders.get(at.newName);
  }
  return false;
}

/** A name of the same owner that nothing else has. */
function nameAside({ oldName, uniqueid }: Rename): string {
  const { domain, local } = parseName(oldName);
  const [first = "", second] = local.split(".");
  const top = first === "user" && second !== undefined ? `${first}.${second}` : first;
  return `${domain === undefined ? "" : `${domain}!`}${top}.bobbin-aside-${uniqueid}`;
}
