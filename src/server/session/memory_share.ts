/**
 * The memory that one session holds for its unfinished command, paid for out of what all sessions
 * together may hold.
 */
import type { ByteBudget } from "../../net/byte_budget.ts";

/** Smaller changes are not counted. */
const STEP_BYTES = 64 * 1024;

export class MemoryShare {
  readonly #held: ByteBudget;
  #paidBytes = 0;

  constructor(held: ByteBudget) {
    this.#held = held;
  }

  /**
   * Says that the session holds `bytes` now. False, and nothing is changed, if there is no room for
   * so much.
   */
  pay(bytes: number): boolean {
    const more = bytes - this.#paidBytes;
    if (bytes > 0 && Math.abs(more) < STEP_BYTES) return true;
    if (more > 0 && !this.#held.take(more)) return false;
    if (more < 0) this.#held.give(-more);
    this.#paidBytes = bytes;
    return true;
  }

  /** Gives everything back. */
  release(): void {
    this.#held.give(this.#paidBytes);
    this.#paidBytes = 0;
  }

  /**
   * Begins anew with nothing held. What was paid stays so until the function that this gives is
   * called.
   */
  handOver(): () => void {
    const bytes = this.#paidBytes;
    this.#paidBytes = 0;
    return () => this.#held.give(bytes);
  }
}
