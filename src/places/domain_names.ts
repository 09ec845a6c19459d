/**
 * Names in the default domain of a Cyrus server. It takes them with the domain and keeps them
 * without: `example.com!user.fred` is its `user.fred`. What it tells of is read under the names
 * that were asked for, else a mailbox would be one more at each look, and would be sent for ever.
 */
import type { MailboxState } from "../model/mailbox.ts";
import { parseName } from "../model/names.ts";

export type Rename = (name: string) => string;

/** The name in `domain`, unless it is in one already. */
export function inDomain(name: string, domain: string): string {
  return parseName(name).domain === undefined ? `${domain}!${name}` : name;
}

/** The name without `domain`, if it is in it. */
export function outOfDomain(name: string, domain: string): string {
  return name.startsWith(`${domain}!`) ? name.slice(domain.length + 1) : name;
}

/** Gives back the domains of the names that were asked for; undefined where none has one. */
export function renameTo(asked: readonly string[]): Rename | undefined {
  const byShort = new Map<string, string>();
  for (const name of asked) {
    const { domain } = parseName(name);
    if (domain !== undefined) byShort.set(outOfDomain(name, domain), name);
  }
  for (const name of asked) byShort.delete(name);
  return byShort.size === 0 ? undefined : (name) => byShort.get(name) ?? name;
}

/** The mailbox under its other name, with a quota root in the same domain. */
export function renamedState(state: MailboxState, rename: Rename): MailboxState {
  const name = rename(state.name);
  const { domain } = parseName(name);
  const { quotaroot } = state;
  if (name === state.name || quotaroot === undefined || domain === undefined)
    return { ...state, name };
  return { ...state, name, quotaroot: inDomain(quotaroot, domain) };
}
