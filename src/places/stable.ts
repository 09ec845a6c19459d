/**
 * Reads files that others write to, without any lock. A writer may be between two of its writes at
 * one look. At the next look it is not there any more, or not at the same place.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** What one look has found. */
export interface Look<Value> {
  readonly value: Value;
  /**
   * `proven`: it is right whoever writes meanwhile. `plausible`: nothing in it is wrong, so it is
   * right if nobody wrote while it was read. `suspect`: something is wrong, which counts only if
   * the next look finds the same.
   */
  readonly trust: "proven" | "plausible" | "suspect";
  /** Nobody had written for a while before: a later write shows in the files' times at once. */
  readonly isSettled?: boolean;
  /** True while the files are still what they were at the look. */
  readonly stands: () => boolean;
}

export interface LookOptions<Value> {
  /** True where two looks found the same fault. */
  readonly isSame: (before: Value, now: Value) => boolean;
  /** Milliseconds to wait before each further look. */
  readonly pausesMs?: readonly number[];
}

/** Times of files move in ticks of up to 10 ms; a transaction of a writer takes longer. */
const PAUSES_MS = [20, 40, 80, 160, 320];

/**
 * Looks until the value is sure, or until no pause is left: then the last value is returned with
 * `isSure` false. `look` is given the value of the look before, if that was suspect.
 */
export async function lookUntilSame<Value>(
  look: (before: Value | undefined) => Look<Value> | Promise<Look<Value>>,
  { isSame, pausesMs = PAUSES_MS }: LookOptions<Value>,
): Promise<{ readonly value: Value; readonly isSure: boolean }> {
  let before: Value | undefined;
  for (let round = 0; ; round++) {
    const pauseMs = pausesMs[round];
    const { value, trust, isSettled = false, stands } = await look(before);
    if (trust === "proven") return { value, isSure: true };
    const tellsAtOnce = trust === "plausible" && isSettled;
    if (!tellsAtOnce && pauseMs !== undefined) await sleep(pauseMs);
    if (stands()) {
      const isSeenAgain = before !== undefined && isSame(before, value);
      if (trust === "plausible" || isSeenAgain) return { value, isSure: true };
    }
    if (pauseMs === undefined) return { value, isSure: false };
    if (tellsAtOnce) await sleep(pauseMs);
    before = trust === "suspect" ? value : undefined;
  }
}
