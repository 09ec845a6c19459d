/**
 * A number of bytes that several users of it may have together, staged on the disk or held in
 * memory. What is taken out of a budget is taken out of the one that it is a part of, too.
 */
import { assert } from "../core/assert.ts";

export class ByteBudget {
  readonly #limitBytes: number;
  readonly #whole: ByteBudget | undefined;
  #usedBytes = 0;

  /** `whole`: the budget that this one is a part of. */
  constructor(limitBytes: number, whole?: ByteBudget) {
    this.#limitBytes = limitBytes;
    this.#whole = whole;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Takes `bytes` out of the budget. False, and nothing is taken, if there are not so many left.
   */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false;
    if (this.#whole?.take(bytes) === false) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    assert(this.#usedBytes >= 0, "no more is given back than was taken");
    this.#whole?.give(bytes);
  }
}
