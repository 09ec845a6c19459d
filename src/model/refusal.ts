/**
 * Refusals inside a place. They are thrown, so that a transaction undoes itself, and become
 * values in places/outcome_of.ts.
 */
import { AppError, errnoOf } from "../core/errors.ts";
import { type Refusal, type RefusalReason, refused } from "./outcome.ts";

const REASON = "reason";

/** An error that refuses a request for a reason that the protocol knows. */
export function refusal(reason: RefusalReason, text: string): AppError {
  return new AppError("refused", text, { context: { [REASON]: reason } });
}

/**
 * The refusal that an error of a place means; undefined where the place itself has failed. Busy
 * and a full disk are refusals: the peer may try again.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof AppError)) return undefined;
  if (error.code === "busy") return refused("busy", error.message);
  if (isDiskFull(error)) return refused("noSpace", error.message);
  if (error.code === "bad_data") {
    const { message, hint } = error;
    return { ...refused("damaged", message), ...(hint !== undefined && { hint }) };
  }
  if (error.code === "not_found") return refused("nonexistent", error.message);
  if (error.code !== "refused") return undefined;
  // Only `refusal` sets this, from the type's own values.
  const reason = error.context[REASON] as RefusalReason | undefined;
  if (reason !== undefined) return refused(reason, error.message);
  return { ...refused("failed", error.message), cause: error };
}

/** What SQLite says where a file, or the memory that it shares with others, cannot grow. */
const FULL: readonly unknown[] = ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"];

/** True for the error of a disk, or of a quota on it, that is used up. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  const errno = error.context["errno"] ?? errnoOf(error.cause);
  return errno === "ENOSPC" || errno === "EDQUOT" || FULL.includes(error.context["sqlite"]);
}
