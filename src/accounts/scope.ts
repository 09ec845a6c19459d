/**
 * What an account may touch. Everything a command names is asked here first: user ids, mailbox names, quota
 * roots. What is out of bounds answers as if it were not there, so that an account cannot learn
 * of other users' mail; what would have to be made there is refused, whether it is there or not.
 */
import { latin1, utf8 } from "../core/bytes.ts";
import { NAME_BYTES, parseName } from "../model/names.ts";
import { type Refusal, refused } from "../model/outcome.ts";

export interface Scope {
  readonly everything: boolean;
  /** Mailboxes that belong to no user. */
  readonly shared: boolean;
  readonly users: ReadonlySet<string>;
}

/** The scope that an account's `allow` list means. */
export function scopeOf(allow: readonly string[]): Scope {
  return {
    everything: allow.includes("*"),
    shared: allow.includes("shared"),
    // User ids are latin1 inside; the list is text.
    users: new Set(allow.filter(isUser).map((one) => latin1(utf8(one)))),
  };
}

function isUser(word: string): boolean {
  return word !== "*" && word !== "shared";
}

/** False too for what can be nobody's id: there is no such user. */
export function mayTouchUser(scope: Scope, userid: string): boolean {
  if (userid === "" || userid.length > NAME_BYTES) return false;
  return scope.everything || scope.users.has(userid);
}

/**
 * `name` is internal; that of a deleted mailbox belongs to whom it belonged. False too for what can
 * be no mailbox's name.
 */
export function mayTouchMailbox(scope: Scope, name: string): boolean {
  if (name === "" || name.length > NAME_BYTES) return false;
  if (scope.everything) return true;
  const { owner } = parseName(name);
  return owner.kind === "user" ? scope.users.has(owner.userid) : scope.shared;
}

/** Where something would be made or changed that the account may not touch. */
export function denied(what: string): Refusal {
  return refused("permissionDenied", `the account may not touch ${what}`);
}

/** Where something would be read, moved or removed that the account may not touch. */
export function absent(what: string): Refusal {
  return refused("nonexistent", `the account may not touch ${what}`);
}
