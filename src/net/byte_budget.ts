/**
 * A number of bytes that several users of it may have together, staged on the disk or held in
 * memory.
 */
import { assert } from "../core/assert.ts";

export class ByteBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Takes `bytes` out of the budget. False, and nothing is taken, if there are not so many left.
   */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    assert(this.#usedBytes >= 0, "no more is given back than was taken");
  }
}
