/**
 * What an account may touch. Each user id, mailbox name and quota root in a command is checked here
 * first. What the account may not touch is answered as if it were not there, so that an account
 * cannot learn of other users' mail. A command that would make or change such a thing is refused,
 * whether it is there or not.
 */
import { latin1, utf8 } from "../core/bytes.ts";
import { inboxOf, NAME_BYTES, nameProblem, parseName, useridOf } from "../model/names.ts";
import { DONE, type Outcome, refused } from "../model/outcome.ts";

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

/**
 * Why no user can be meant by a word of an `allow` list; undefined where one can, and for the two
 * words that mean more.
 */
export function allowProblem(word: string): string | undefined {
  if (!isUser(word)) return undefined;
  if (/[*?]/.test(word)) return "patterns match nobody: name each user, or say '*' for everything";
  if (word.includes("/")) return "it is a mailbox: name the user, with all whose mailboxes it is";
  if (word.includes("^")) return "a user's name has a dot where names of mailboxes have ^";
  if (word !== word.trim()) return "it begins or ends with a blank";
  const userid = latin1(utf8(word));
  const inbox = inboxOf(userid, { virtualDomains: userid.includes("@") });
  const problem = nameProblem(inbox);
  if (problem !== undefined) return `no user is called so: ${problem}`;
  return useridOf(inbox) === userid ? undefined : "no user is called so";
}

function isUser(word: string): boolean {
  return word !== "*" && word !== "shared";
}

/** False also for text that cannot be a user id: there is no such user. */
export function mayTouchUser(scope: Scope, userid: string): boolean {
  if (userid === "" || userid.length > NAME_BYTES) return false;
  return scope.everything || scope.users.has(userid);
}

/** `name` is internal; a deleted mailbox belongs to whose it was. False also for no valid name. */
export function mayTouchMailbox(scope: Scope, name: string): boolean {
  if (name === "" || name.length > NAME_BYTES) return false;
  if (scope.everything) return true;
  const { owner } = parseName(name);
  return owner.kind === "user" ? scope.users.has(owner.userid) : scope.shared;
}

/**
 * The answer to a command that names what the account may not touch. `nothing`: OK without data,
 * where Cyrus answers so for what is not there. `absent`: the refusal for what is not there.
 * `denied`: the refusal of a command that would make or change it.
 */
export type OutOfScope = "nothing" | "absent" | "denied";

/** One thing that a command names, with the test for it. */
export interface Touch {
  readonly may: (scope: Scope) => boolean;
  /** Its name, for the log. */
  readonly what: string;
  readonly orElse: OutOfScope;
}

/** A user, or what belongs to that user alone. */
export function touchesUser(userid: string, orElse: OutOfScope): Touch {
  return { may: (scope) => mayTouchUser(scope, userid), what: `user ${userid}`, orElse };
}

/** A mailbox or quota root, by its internal name. */
export function touchesMailbox(name: string, orElse: OutOfScope): Touch {
  return { may: (scope) => mayTouchMailbox(scope, name), what: name, orElse };
}

/** What belongs to the server as a whole. */
export function touchesServer(orElse: OutOfScope): Touch {
  return { may: (scope) => scope.everything, what: "what is the server's", orElse };
}

/** The answer to a command one of whose `touches` is out of `scope`; undefined if none is. */
export function outOfScope(scope: Scope, touches: readonly Touch[]): Outcome | undefined {
  const wrong = touches.find(({ may }) => !may(scope));
  if (wrong === undefined) return undefined;
  if (wrong.orElse === "nothing") return DONE;
  const text = `the account may not touch ${wrong.what}`;
  return refused(wrong.orElse === "denied" ? "permissionDenied" : "nonexistent", text);
}
