/**
 * Many owners, some at a time: one that fails never stops the others. How each is brought is one
 * loop with a policy: until when, and how often it is begun again when a connection is lost.
 */
import { before } from "../core/before.ts";
import { AppError } from "../core/errors.ts";
import { type Owner, ownerName } from "../model/names.ts";
import type { Outcome } from "../model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../places/place.ts";
import { wrapPlace } from "../places/wrap_place.ts";
import { Budget } from "./mailbox/budget.ts";
import { replicateOwner } from "./owner/bring_owner.ts";
import type { RunOptions } from "./owner/passes.ts";
import { newTally, type ReplicateEvents, type ReplicateResult, type Tally } from "./owner/tally.ts";
import type { Mode } from "./plan/steps.ts";
import { reconcileOwner } from "./two_way/two_way.ts";

export interface ManyOptions {
  /** `twoWay`: both ends are written. */
  readonly mode: Mode | "twoWay";
  /** Whom the target has under a user's name must be a copy of him. */
  readonly mustBeCopy?: boolean;
  /** The source gives a part of each owner; not with `twoWay`. */
  readonly isPart?: boolean;
  /** Per cent of the target's messages or mailboxes that may be deleted. */
  readonly allowDelete: number;
  /** Owners at a time. */
  readonly jobs: number;
  /** Bytes of messages a second, over all jobs. */
  readonly bytesPerSecond: number | undefined;
  /** An owner who takes longer, lost connections and all, fails; what was brought stays. */
  readonly timeoutMs: number | undefined;
  /** How often an owner is begun again after a loss; the pause doubles from `firstMs` on. */
  readonly retries?: { readonly count: number; readonly firstMs: number };
  /** Ends the run as soon as it may: what was brought stays. Its reason is that of the owners. */
  readonly signal?: AbortSignal;
  readonly events: (owner: Owner) => ReplicateEvents;
  /**
   * An owner is done. An AppError is what his places have thrown, any other a bug; what this throws
   * ends the run.
   */
  readonly done: (owner: Owner, result: OwnerResult) => void;
}

/** How an owner came out, and what was done until then. */
export interface OwnerResult {
  readonly ended: Outcome | Error;
  readonly counts: ReplicateResult;
}

/** Where from and where to. */
export interface Ends {
  readonly source: Place;
  readonly target: Place;
  /** Opens a session at the target; undefined for a dry run. */
  readonly open: WritablePlace["openSession"] | undefined;
  /** Opens one at the source, where both ends are written. */
  readonly openSource?: WritablePlace["openSession"];
}

/** Brings all `owners`, `jobs` at a time. An error of their list is thrown, after the others. */
export async function replicateOwners(
  owners: AsyncGenerator<Owner, void>,
  ends: Ends,
  options: ManyOptions,
): Promise<void> {
  const pace = pacer(options.bytesPerSecond);
  const peer = { isGone: false };
  const worker = async (): Promise<void> => {
    const sessions: Sessions = { source: undefined, target: undefined };
    const job = { ends, options, pace, sessions, peer };
    try {
      for (let next = await owners.next(); next.done !== true; next = await owners.next()) {
        const tally = newTally(options.events(next.value));
        const ended = await bringOwner(next.value, tally, job);
        tally.tell();
        options.done(next.value, { ended, counts: tally.result() });
        if (options.signal?.aborted === true) break;
      }
    } finally {
      await closeAll(sessions);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: options.jobs }, worker));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}

/** A worker's sessions, kept from one owner to the next. */
interface Sessions {
  source: PlaceSession | undefined;
  target: PlaceSession | undefined;
}

interface Job {
  readonly ends: Ends;
  readonly options: ManyOptions;
  readonly pace: (bytes: number) => Promise<void>;
  readonly sessions: Sessions;
  /** The last owner was given up: a peer that is gone is not waited for each time, by no worker. */
  readonly peer: { isGone: boolean };
}

const RETRIES = { count: 4, firstMs: 500 };
/**
 * A connection may be lost twice by chance; over the same mailbox once more, it is because of that.
 */
const CHANCES = 3;
/** The same where the server had all of a command: it may have died of it, and is not to again. */
const DEATHS = 2;
/** Mailboxes of an owner that are left out before he is given up. */
const MOST_BROKEN = 8;

/**
 * Brings one owner, again with new sessions when the connection is lost, for what is there already
 * is not sent twice. A mailbox over which it is lost again and again is the reason, and is left out
 * from then on. When the time is up, all that is waited for ends at once.
 */
async function bringOwner(owner: Owner, tally: Tally, job: Job): Promise<Outcome | Error> {
  const { peer, options } = job;
  const { count, firstMs } = options.retries ?? RETRIES;
  const deadline = deadlineOf(owner, job);
  const { signal } = deadline;
  const budgets = { a: new Budget(options.allowDelete), b: new Budget(options.allowDelete) };
  const losses = new Map<string, number>();
  const broken = new Map<string, AppError>();
  try {
    for (let attempt = 0; ; attempt++) {
      const result = await bringOnce(owner, job, { signal, budgets, broken, tally });
      if (signal?.aborted === true) return signal.reason;
      if (!(result instanceof AppError) || result.code !== "unreachable") {
        peer.isGone = false;
        return result;
      }
      const { mailbox } = result.context;
      if (typeof mailbox === "string") {
        const times = (losses.get(mailbox) ?? 0) + 1;
        losses.set(mailbox, times);
        const chances = result.context["unanswered"] === undefined ? CHANCES : DEATHS;
        if (times >= chances && broken.size < MOST_BROKEN) {
          broken.set(mailbox, result);
          attempt = 0;
        }
      }
      if (attempt >= count) peer.isGone = true;
      if (peer.isGone) return result;
      await before(Bun.sleep(firstMs * 2 ** attempt), signal).catch(() => undefined);
    }
  } finally {
    deadline.clear();
  }
}

interface Deadline {
  /** Undefined where there is all the time in the world. */
  readonly signal: AbortSignal | undefined;
  readonly clear: () => void;
}

/** When the time is up, or the run is to end, the sessions are cut: what they wait for throws. */
function deadlineOf(owner: Owner, { options, sessions }: Job): Deadline {
  const { timeoutMs, signal } = options;
  if (timeoutMs === undefined && signal === undefined) {
    return { signal: undefined, clear: () => undefined };
  }
  const controller = new AbortController();
  const end = (reason: unknown): void => {
    controller.abort(reason);
    for (const session of [sessions.target, sessions.source]) session?.cut?.();
  };
  const interrupt = (): void => end(signal?.reason);
  signal?.addEventListener("abort", interrupt, { once: true });
  if (signal?.aborted === true) interrupt();
  const late = new AppError("busy", `Cannot finish ${ownerName(owner)}: the time is up`);
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => end(late), timeoutMs);
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", interrupt);
    },
  };
}

interface Attempt extends Pick<RunOptions, "budgets" | "tally"> {
  readonly signal: AbortSignal | undefined;
  readonly broken: ReadonlyMap<string, AppError>;
}

/** What is thrown is given back as an error: an AppError is one of the places, any other a bug. */
async function bringOnce(
  owner: Owner,
  { ends, options, pace, sessions }: Job,
  { signal, ...attempt }: Attempt,
): Promise<Outcome | Error> {
  const { mode, mustBeCopy = false, isPart = false } = options;
  const until = (place: Place): Place | undefined => signal && place.until?.(signal);
  const target = until(ends.target) ?? ends.target;
  const source = until(ends.source) ?? (signal ? endedBy(signal, ends.source) : ends.source);
  const open = ends.open && inTime(ends.open, signal);
  const openSource = ends.openSource && inTime(ends.openSource, signal);
  const run = {
    ...{ ...attempt, dryRun: open === undefined },
    sent: (_: number, bytes: number) => before(pace(bytes), signal),
  };
  try {
    // What the owner before has staged is of no use to this one.
    await sessions.target?.restart();
    await sessions.source?.restart();
    if (mode === "twoWay") {
      if (open !== undefined) sessions.target ??= await open();
      if (openSource !== undefined) sessions.source ??= await openSource();
      const a = { place: source, session: sessions.source };
      return await reconcileOwner(
        owner,
        { a, b: { place: target, session: sessions.target } },
        run,
      );
    }
    const session =
      open &&
      (async () => {
        sessions.target ??= await open();
        return sessions.target;
      });
    const sides = { source, target, session };
    return await replicateOwner(owner, sides, { ...run, mode, mustBeCopy, isPart });
  } catch (error) {
    // What the sessions have staged or sent is not known any more: the next attempt gets new ones.
    await closeAll(sessions);
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** A place that waits for nobody else, and reads nothing more once the signal has come. */
function endedBy(signal: AbortSignal, place: Place): Place {
  const unlessEnded = <Value>(work: () => Promise<Value>): Promise<Value> =>
    signal.aborted ? Promise.reject(signal.reason) : work();
  return wrapPlace(place, (inner) => ({
    readMailbox: (name) => unlessEnded(() => inner.readMailbox(name)),
    message: (address) => unlessEnded(() => inner.message(address)),
  }));
}

async function closeAll(sessions: Sessions): Promise<void> {
  const { source, target } = sessions;
  sessions.source = undefined;
  sessions.target = undefined;
  try {
    await target?.close();
  } finally {
    await source?.close();
  }
}

type Open = WritablePlace["openSession"];

/** A session that is not waited for longer than `signal` allows. */
function inTime(open: Open, signal: AbortSignal | undefined): Open {
  return () =>
    before(open(), signal, (late) => {
      late.close().catch(() => undefined); // nobody has used it
    });
}

/** Waits so that no more than `bytesPerSecond` go over, whoever sends them. */
function pacer(bytesPerSecond: number | undefined): (bytes: number) => Promise<void> {
  if (bytesPerSecond === undefined) return () => Promise.resolve();
  let free = performance.now();
  return async (bytes) => {
    free = Math.max(free, performance.now()) + (bytes / bytesPerSecond) * 1000;
    const wait = free - performance.now();
    await new Promise((resolve) => setTimeout(resolve, wait));
  };
}
