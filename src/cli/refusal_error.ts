/** A place's refusal as the error that ends a command. */
import { AppError, type ErrorCode } from "../core/errors.ts";
import type { Outcome, Refusal, RefusalReason } from "../model/outcome.ts";

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

/** The error that says what a place has refused. */
export function refusalError({ reason, text, cause }: Refusal): AppError {
  return new AppError(cause?.code ?? CODES[reason], text, { cause });
}

/** The value, or the refusal thrown as AppError. */
export function granted<Value>(outcome: Outcome<Value>): Value {
  if (outcome.kind === "refused") throw refusalError(outcome);
  return outcome.value;
}
