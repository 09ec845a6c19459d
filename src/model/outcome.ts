/**
 * How a place answers: done, or refused for a reason that the protocol has a token for. Refusals are values,
 * for the other side must be told and the next command must be read; an exception means
 * that the place itself has failed.
 */
import type { AppError } from "../core/errors.ts";

/** Why a request was refused, in the words of sync-protocol.md 1.6 without their `IMAP_` forms. */
export type RefusalReason =
  /** No such mailbox, message or script. */
  | "nonexistent"
  /** The name has another uniqueid, or the uniqueid another name. */
  | "moved"
  /** What is there contradicts what was sent; the sender should look at everything again. */
  | "checksum"
  /** SINCE_* does not match: somebody else has written. */
  | "changed"
  /** A field is missing or is not of its type; `field` names it. */
  | "badParameters"
  /** Another writer has the user; worth trying again. */
  | "busy"
  /** The disk is full, or nearly. */
  | "noSpace"
  | "invalidUser"
  /** The mailbox cannot be replicated, or the place cannot hold such a thing. */
  | "notSupported"
  | "badSieve"
  | "permissionDenied"
  /** What is stored fails its checksum and is not given out. */
  | "damaged"
  /** Anything else; `text` says what. */
  | "failed";

export interface Refusal {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** For a person: names user, mailbox, uid and value. */
  readonly text: string;
  /** The key that was wrong, for badParameters. */
  readonly field?: string;
  /** The message that it is about, where that is one. */
  readonly uid?: number;
  /** The error that was thrown, where it was one. */
  readonly cause?: AppError;
}

export interface Done<Value> {
  readonly kind: "ok";
  readonly value: Value;
}

export type Outcome<Value = undefined> = Done<Value> | Refusal;

export const DONE: Done<undefined> = { kind: "ok", value: undefined };

export function ok<Value>(value: Value): Done<Value> {
  return { kind: "ok", value };
}

export function refused(reason: RefusalReason, text: string): Refusal {
  return { kind: "refused", reason, text };
}

/** True where a mailbox was renamed or deleted since whoever asked for it has seen it listed. */
export function isGone({ reason }: Refusal): boolean {
  return reason === "nonexistent" || reason === "moved";
}
