/**
 * Slows down guessing of passwords. Two checks run at a time, as argon2id takes 19 MiB for each.
 * After a failure the next check of the same address waits, and twice as long after each further
 * failure. Of an IPv6 address its first 64 bits count.
 */
import { networkOf } from "../core/address.ts";

export interface GateOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Ends early, and does not reject, when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const CHECKS_AT_A_TIME = 2;
const CHECKS_WAITING = 64;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** After this long without a failure an address is forgotten. */
const FORGET_MS = 15 * 60_000;
const ADDRESSES = 10_000;

/** Never aborted. */
const NEVER = new AbortController().signal;

interface Failures {
  readonly count: number;
  readonly lastMs: number;
}

export class SignInGate {
  readonly #options: GateOptions;
  readonly #failures = new Map<string, Failures>();
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /**
   * Runs `check` for a client at `address` when it is its turn; false is a wrong password. The
   * answer to a failure is held back as long as the address deserves. Undefined: too many are
   * waiting, try again; or nobody waits for the answer any more, as `signal` says.
   */
  async pass(
    address: string,
    check: () => Promise<boolean>,
    signal: AbortSignal = NEVER,
  ): Promise<boolean | undefined> {
    const key = networkOf(address);
    for (;;) {
      const known = this.#failures.get(key);
      await this.#options.sleep(this.#waitOf(known), signal);
      if (signal.aborted || !(await this.#enter(signal))) return undefined;
      // A failure of the same address meanwhile makes this check wait again: sending many guesses
      // at once gains nothing.
      if (this.#failures.get(key) === known) break;
      this.#leave();
    }
    try {
      const passed = await check();
      if (passed) this.#failures.delete(key);
      else this.#fail(key);
      return passed;
    } finally {
      this.#leave();
    }
  }

  /** Waits for one of the few turns; false if too many wait for one, or on abort. */
  async #enter(signal: AbortSignal): Promise<boolean> {
    if (this.#running < CHECKS_AT_A_TIME) {
      this.#running++;
      return true;
    }
    if (this.#waiting.length >= CHECKS_WAITING) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const turn = () => resolve(true);
    const giveUp = () => {
      const at = this.#waiting.indexOf(turn);
      if (at < 0) return; // it has its turn already
      this.#waiting.splice(at, 1);
      resolve(false);
    };
    this.#waiting.push(turn);
    signal.addEventListener("abort", giveUp);
    const isTurn = await promise;
    signal.removeEventListener("abort", giveUp);
    return isTurn;
  }

  /** Gives the turn to the check that has waited longest, so that no new one can come between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }

  /** Milliseconds that the next check of an address with these failures has to wait. */
  #waitOf(failures: Failures | undefined): number {
    if (failures === undefined) return 0;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (failures.count - 1), LONGEST_WAIT_MS);
    return Math.max(0, failures.lastMs + wait - this.#options.now());
  }

  #fail(key: string): void {
    const now = this.#options.now();
    const before = this.#failures.get(key);
    const recent = before !== undefined && now - before.lastMs < FORGET_MS ? before.count : 0;
    this.#failures.delete(key);
    this.#failures.set(key, { count: recent + 1, lastMs: now });
    // The map is in the order of last failures: the oldest are forgotten first.
    for (const [oldest, { lastMs }] of this.#failures) {
      if (this.#failures.size <= ADDRESSES && now - lastMs < FORGET_MS) break;
      this.#failures.delete(oldest);
    }
  }
}
