/**
 * Where the synchronous half of a place meets its asynchronous callers: a lock is waited for, a
 * refusal becomes a value, any other error is thrown.
 */
import { type Outcome, ok } from "../model/outcome.ts";
import { refusalOf } from "../model/refusal.ts";
import { whileBusy } from "../storage/retry.ts";

/** Runs `work`, retrying for a while where it is busy. What it refuses is its value. */
export async function outcomeOf<T>(
  work: () => T | Outcome<T> | Promise<T | Outcome<T>>,
): Promise<Outcome<T>> {
  try {
    const result = await whileBusy(work);
    return isOutcome(result) ? result : ok(result);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal !== undefined) return refusal;
    throw error;
  }
}

function isOutcome<T>(result: T | Outcome<T>): result is Outcome<T> {
  return (
    typeof result === "object" && result !== null && "kind" in result && result.kind === "refused"
  );
}
