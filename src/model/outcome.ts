/**
 * How a place answers a request: it is done, or refused for a reason that the protocol has a token
 * for. A refusal is a value, for the peer must be told of it and the session goes on; an exception
 * means that the place itself failed.
 */
import type { AppError } from "../core/errors.ts";

/** Why a request was refused: the tokens of sync-protocol.md 1.6 in words. */
export type RefusalReason =
  /** There is no such mailbox, message or script. */
  | "nonexistent"
  /** The name has another uniqueid, or the uniqueid another name. */
  | "moved"
  /** What is stored contradicts what was sent; the sender should compare everything again. */
  | "checksum"
  /** The SINCE_ fields do not match, for somebody else has changed the mailbox. */
  | "changed"
  /** A field is missing or is not of its type; `field` names it. */
  | "badParameters"
  /** Another writer holds the lock of the user; it is worth trying again. */
  | "busy"
  /** The disk is full, or nearly. */
  | "noSpace"
  | "invalidUser"
  /** The mailbox cannot be replicated, or the place cannot store such a thing. */
  | "notSupported"
  | "badSieve"
  | "permissionDenied"
  /** What is stored does not match its checksum and is not given out. */
  | "damaged"
  /** Any other reason; `text` says which. */
  | "failed";

export interface Refusal {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** Text for an administrator: it names user, mailbox, uid and value. */
  readonly text: string;
  /** The key that was wrong, with badParameters. */
  readonly field?: string;
  /** The UID of the message that the refusal is about, if it is about one. */
  readonly uid?: number;
  /** What may be done about it, for an administrator. */
  readonly hint?: string;
  /** The plan would delete more than is allowed; nothing of it was done. */
  readonly isBrake?: true;
  /** The error that was thrown, if there was one. */
  readonly cause?: AppError;
}

export interface Done<Value> {
  readonly kind: "ok";
  readonly value: Value;
}

export type Outcome<Value = undefined> = Done<Value> | Refusal;

export const DONE: Done<undefined> = { kind: "ok", value: undefined };

/** The outcome of what was done, with its value. */
export function ok<Value>(value: Value): Done<Value> {
  return { kind: "ok", value };
}

/** The outcome of what was not done, with why. */
export function refused(reason: RefusalReason, text: string): Refusal {
  return { kind: "refused", reason, text };
}

/** True if the mailbox was renamed or deleted after it had been listed. */
export function isGone({ reason }: Refusal): boolean {
  return reason === "nonexistent" || reason === "moved";
}
