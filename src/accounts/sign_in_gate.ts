/**
 * Slows down guessing of passwords. Two checks run at a time, as argon2id takes 19 MiB for each.
 * After a failure the next check of the same address waits, and twice as long after each further
 * failure. Of an IPv6 address its first 64 bits count, and more mildly its first 48.
 *
 * Strangers cannot keep out who belongs here: addresses from which somebody has signed in have
 * places of their own in the queue and come first, and a name that has signed in from there waits
 * for failures of its own alone. But a success makes up for failures of its own name alone: an
 * account of their own does not let guessers go on faster.
 */
import { networkOf } from "../core/address.ts";

export interface GateOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Ends early, and does not reject, when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const CHECKS_AT_A_TIME = 2;
/** Of strangers, and as many of others. */
const CHECKS_WAITING = 64;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Failures that a whole /48 may have before all in it wait. */
const WIDE_ALLOWANCE = 8;
/** After this long without a failure an address is forgotten. */
const FORGET_MS = 15 * 60_000;
const ADDRESSES = 10_000;
/** Names whose failures are told apart, at an address; those of further ones count together. */
const NAMES = 64;
const OTHER_NAMES = "";

/** Never aborted. */
const NEVER = new AbortController().signal;

interface Failures {
  /** How many, by name. */
  readonly ofName: ReadonlyMap<string, number>;
  readonly lastMs: number;
}

/** Who wants to sign in, as which account. */
export interface Claimant {
  /** An IP address. */
  readonly address: string;
  readonly name: string;
}

export class SignInGate {
  readonly #options: GateOptions;
  /** By network, both of the /64 and of the /48 of IPv6. */
  readonly #failures = new Map<string, Failures>();
  /** The names that have signed in, by network; the oldest first. */
  readonly #good = new Map<string, ReadonlySet<string>>();
  #running = 0;
  readonly #waiting = { known: [] as Turn[], strangers: [] as Turn[] };

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** True for an address from which somebody has signed in. */
  knows(address: string): boolean {
    return this.#good.has(networkOf(address));
  }

  /**
   * Runs `check` for a claimant when it is its turn; false is a wrong password. The answer to a
   * failure is held back as long as the address deserves. Undefined: too many are waiting, try
   * again; or nobody waits for the answer any more, as `signal` says.
   */
  async pass(
    { address, name }: Claimant,
    check: () => Promise<boolean>,
    signal: AbortSignal = NEVER,
  ): Promise<boolean | undefined> {
    const narrow = networkOf(address);
    const wide = networkOf(address, 48);
    for (;;) {
      const before = this.#failures.get(narrow);
      const isKnown = this.#good.get(narrow)?.has(name) === true;
      const counted = isKnown ? name : undefined;
      const waitMs = Math.max(
        this.#waitOf(narrow, { counted, allowance: 0 }),
        wide === narrow ? 0 : this.#waitOf(wide, { counted, allowance: WIDE_ALLOWANCE }),
      );
      await this.#options.sleep(waitMs, signal);
      const queue = this.#waiting[this.#good.has(narrow) ? "known" : "strangers"];
      if (signal.aborted || !(await this.#enter(queue, signal))) return undefined;
      // A failure of the same address meanwhile makes this check wait again: sending many guesses
      // at once gains nothing.
      if (this.#failures.get(narrow) === before) break;
      this.#leave();
    }
    try {
      const passed = await check();
      const isKnown = this.#good.get(narrow)?.has(name) === true;
      for (const network of new Set([narrow, wide])) {
        if (passed) this.#forgive(network, name);
        else this.#fail(network, { name, isKnown });
      }
      if (passed) this.#remember(narrow, name);
      return passed;
    } finally {
      this.#leave();
    }
  }

  /** Waits for one of the few turns; false if too many wait for one, or on abort. */
  async #enter(queue: Turn[], signal: AbortSignal): Promise<boolean> {
    if (this.#running < CHECKS_AT_A_TIME) {
      this.#running++;
      return true;
    }
    if (queue.length >= CHECKS_WAITING) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const turn = () => resolve(true);
    const giveUp = () => {
      const at = queue.indexOf(turn);
      if (at < 0) return; // it has its turn already
      queue.splice(at, 1);
      resolve(false);
    };
    queue.push(turn);
    signal.addEventListener("abort", giveUp);
    const isTurn = await promise;
    signal.removeEventListener("abort", giveUp);
    return isTurn;
  }

  /** Gives the turn to the check that has waited longest, of known addresses first. */
  #leave(): void {
    const { known, strangers } = this.#waiting;
    const next = known.shift() ?? strangers.shift();
    if (next === undefined) this.#running--;
    else next();
  }

  /**
   * Milliseconds that the next check has to wait for the failures of a network: those of the name
   * that is `counted`, or of all.
   */
  #waitOf(
    network: string,
    { counted, allowance }: { readonly counted: string | undefined; readonly allowance: number },
  ): number {
    const failures = this.#failures.get(network);
    if (failures === undefined) return 0;
    const { ofName, lastMs } = failures;
    const all = [...ofName.values()].reduce((sum, count) => sum + count, 0);
    const count = (counted === undefined ? all : (ofName.get(counted) ?? 0)) - allowance;
    if (count <= 0) return 0;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (count - 1), LONGEST_WAIT_MS);
    return Math.max(0, lastMs + wait - this.#options.now());
  }

  #fail(
    network: string,
    { name, isKnown }: { readonly name: string; readonly isKnown: boolean },
  ): void {
    const now = this.#options.now();
    const before = this.#failures.get(network);
    const isRecent = before !== undefined && now - before.lastMs < FORGET_MS;
    const ofName = new Map(isRecent ? before.ofName : []);
    const isApart = isKnown || ofName.has(name) || ofName.size < NAMES;
    const counted = isApart ? name : OTHER_NAMES;
    ofName.set(counted, (ofName.get(counted) ?? 0) + 1);
    this.#failures.delete(network);
    this.#failures.set(network, { ofName, lastMs: now });
    // The map is in the order of last failures: the oldest are forgotten first.
    for (const [oldest, { lastMs }] of this.#failures) {
      if (this.#failures.size <= ADDRESSES && now - lastMs < FORGET_MS) break;
      this.#failures.delete(oldest);
    }
  }

  /** Forgets the failures of the name that has signed in, and of no other. */
  #forgive(network: string, name: string): void {
    const before = this.#failures.get(network);
    if (before === undefined || !before.ofName.has(name)) return;
    const ofName = new Map(before.ofName);
    ofName.delete(name);
    if (ofName.size === 0) this.#failures.delete(network);
    else this.#failures.set(network, { ...before, ofName });
  }

  #remember(network: string, name: string): void {
    const names = new Set(this.#good.get(network)).add(name);
    this.#good.delete(network);
    this.#good.set(network, names);
    const [oldest] = this.#good.keys();
    if (this.#good.size > ADDRESSES && oldest !== undefined) this.#good.delete(oldest);
  }
}

/** Begins a check that has waited. */
type Turn = () => void;
