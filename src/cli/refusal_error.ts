/** Turns the refusal of a place into the error that ends a command. */
import { AppError, type ErrorCode } from "../core/errors.ts";
import type { Outcome, Refusal, RefusalReason } from "../model/outcome.ts";
import { hintOf } from "./hints.ts";
import type { ErrorFacts } from "./json/lines.ts";

const CODES: Readonly<Record<RefusalReason, ErrorCode>> = {
  nonexistent: "not_found",
  invalidUser: "not_found",
  moved: "bad_data",
  checksum: "bad_data",
  changed: "busy",
  damaged: "bad_data",
  badSieve: "bad_data",
  badParameters: "protocol",
  busy: "busy",
  noSpace: "cannot_create",
  notSupported: "refused",
  permissionDenied: "refused",
  failed: "io",
};

/** The error for a refusal. */
export function refusalError({ reason, text, cause, hint = cause?.hint }: Refusal): AppError {
  const code = cause?.code ?? CODES[reason];
  return new AppError(code, text, { cause, ...(hint !== undefined && { hint }) });
}

/** What an error line says of a refusal beside its text. */
export function refusalFacts(refusal: Refusal): ErrorFacts {
  const error = refusalError(refusal);
  return { code: error.code, reason: refusal.reason, uid: refusal.uid, hint: hintOf(error) };
}

/** The value of an outcome; a refusal is thrown as AppError. */
export function granted<Value>(outcome: Outcome<Value>): Value {
  if (outcome.kind === "refused") throw refusalError(outcome);
  return outcome.value;
}
