/**
 * The names a mailbox had, in its cyrus.header: `XHISTORY (name time name time …)`, so that
 * reconstruct can tell them without the catalogue. A flat list, for a nested map there makes Cyrus
 * take the wrong name when it rewrites the header.
 */
import { latin1 } from "../../../core/bytes.ts";
import {
  type DlistEntry,
  dlistLatin1,
  dlistList,
  dlistNumber,
} from "../../../formats/dlist/value.ts";
import type { FormerName } from "./mailbox_rows.ts";

const KEY = "XHISTORY";

/** The header's further entries with this history in them. */
export function withHistory(
  others: readonly DlistEntry[],
  history: readonly FormerName[],
): DlistEntry[] {
  const kept = others.filter((entry) => entry.name !== KEY);
  if (history.length === 0) return kept;
  const words = history.flatMap(({ name, until }) => [dlistLatin1(name), dlistNumber(until)]);
  return [...kept, { name: KEY, value: dlistList(words) }];
}

/** The history in a header's further entries; pairs that are no name and time are left out. */
export function historyIn(others: readonly DlistEntry[]): FormerName[] {
  const value = others.find((entry) => entry.name === KEY)?.value;
  if (value?.kind !== "list") return [];
  const words = value.items.map((item) => (item.kind === "string" ? latin1(item.bytes) : ""));
  const history: FormerName[] = [];
  for (let at = 0; at + 1 < words.length; at += 2) {
    const name = words[at] ?? "";
    const until = words[at + 1] ?? "";
    if (name !== "" && /^\d{1,15}$/.test(until)) history.push({ name, until: Number(until) });
  }
  return history;
}
