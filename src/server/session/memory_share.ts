/**
 * The memory that one session holds for its unfinished command, paid for out of what all sessions
 * together may hold.
 */
import type { ByteBudget } from "../../net/byte_budget.ts";
import type { MemoryWatch } from "../../net/memory_watch.ts";

/** Smaller changes are not counted. */
const STEP_BYTES = 64 * 1024;

export class MemoryShare {
  readonly #memory: MemoryWatch;
  #held: ByteBudget;
  #paidBytes = 0;

  /** `held` is what is paid out of, and `memory` is told how that grows. */
  constructor(held: ByteBudget, memory: MemoryWatch) {
    this.#held = held;
    this.#memory = memory;
  }

  /** Bytes that are paid for. */
  get paidBytes(): number {
    return this.#paidBytes;
  }

  /** Pays out of another budget from now on: the client has signed in. */
  payFrom(held: ByteBudget): void {
    this.release();
    this.#held = held;
  }

  /** Says that the session holds `bytes` now. False, with nothing changed, without room for it. */
  pay(bytes: number): boolean {
    const more = bytes - this.#paidBytes;
    if (bytes > 0 && Math.abs(more) < STEP_BYTES) return true;
    if (more > 0) {
      if (!this.#held.take(more)) return false;
      this.#memory.took(more);
    } else this.#held.give(-more);
    this.#paidBytes = bytes;
    return true;
  }

  /** Gives everything back. */
  release(): void {
    this.#held.give(this.#paidBytes);
    this.#paidBytes = 0;
  }

  /** Begins anew with nothing held; what was paid stays so until the given function is called. */
  handOver(): () => void {
    const [held, bytes] = [this.#held, this.#paidBytes];
    this.#paidBytes = 0;
    return () => held.give(bytes);
  }
}
