/** Many owners, some at a time: one that fails never stops the others. */
import { before } from "../core/before.ts";
import { AppError } from "../core/errors.ts";
import { type Owner, ownerName } from "../model/names.ts";
import type { Outcome } from "../model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../places/place.ts";
import {
  type ReplicateEvents,
  type ReplicateOptions,
  type ReplicateResult,
  replicateOwner,
} from "./owner/bring_owner.ts";

import type { Mode } from "./plan/steps.ts";
import { reconcileOwner } from "./two_way/two_way.ts";

export interface ManyOptions {
  /** `twoWay`: both ends are written. */
  readonly mode: Mode | "twoWay";
  /** Per cent of the target's messages or mailboxes that may be deleted. */
  readonly allowDelete: number;
  /** Owners at a time. */
  readonly jobs: number;
  /** Bytes of messages a second, over all jobs. */
  readonly bytesPerSecond: number | undefined;
  /** An owner who takes longer, lost connections and all, fails; what was brought stays. */
  readonly timeoutMs: number | undefined;
  /** An owner is begun again so often when the connection is lost; the pause doubles from `firstMs` on. */
  readonly retries?: { readonly count: number; readonly firstMs: number };
  readonly events: (owner: Owner) => ReplicateEvents;
  /** An owner is done. An AppError is what his places have thrown, any other a bug; what this throws ends the run. */
  readonly done: (owner: Owner, result: OwnerResult) => void;
}

/** How an owner came out. */
export type OwnerResult = Outcome<ReplicateResult> | Error;

/** Where from and where to. */
export interface Ends {
  readonly source: Place;
  readonly target: Place;
  /** Opens a session at the target; undefined for a dry run. */
  readonly open: WritablePlace["openSession"] | undefined;
  /** Opens one at the source, where both ends are written. */
  readonly openSource?: WritablePlace["openSession"];
}

/** A worker's sessions, kept from one owner to the next. */
interface Held {
  source: PlaceSession | undefined;
  target: PlaceSession | undefined;
}

/** Brings all `owners`, `jobs` at a time. What the list of owners throws is thrown, after the others. */
export async function replicateOwners(
  owners: AsyncGenerator<Owner, void>,
  ends: Ends,
  options: ManyOptions,
): Promise<void> {
  const pace = pacer(options.bytesPerSecond);
  const peer = { isGone: false };
  const worker = async (): Promise<void> => {
    const held: Held = { source: undefined, target: undefined };
    const job = { ends, options, pace, held, peer };
    try {
      for (let next = await owners.next(); next.done !== true; next = await owners.next()) {
        options.done(next.value, await replicateInTime(next.value, job));
      }
    } finally {
      await closeAll(held);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: options.jobs }, worker));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}

const RETRIES = { count: 4, firstMs: 500 };
/** A connection may be lost twice by chance; over the same mailbox once more, it is because of that. */
const CHANCES = 3;
/** Mailboxes of an owner that are left out before he is given up. */
const MOST_BROKEN = 8;

interface Job {
  readonly ends: Ends;
  readonly options: ManyOptions;
  readonly pace: (bytes: number) => Promise<void>;
  readonly held: Held;
  /** The last owner was given up: a peer that is gone is not waited for each time, by no worker. */
  readonly peer: { isGone: boolean };
}

/** Cuts off an owner who takes too long, wherever he is. */
async function replicateInTime(owner: Owner, job: Job): Promise<OwnerResult> {
  const { timeoutMs } = job.options;
  if (timeoutMs === undefined) return replicatePersistently(owner, job, undefined);
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => {
    controller.abort(new AppError("busy", `Cannot finish ${ownerName(owner)}: the time is up`));
    for (const session of [job.held.target, job.held.source]) session?.cut?.();
  }, timeoutMs);
  const target = job.ends.target.until?.(signal) ?? job.ends.target;
  const source = job.ends.source.until?.(signal) ?? job.ends.source;
  try {
    return await replicatePersistently(
      owner,
      { ...job, ends: { ...job.ends, source, target } },
      signal,
    );
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Begins again with a new session when the connection is lost: what is there already is not sent twice. A mailbox over which
 * it is lost again and again is the reason, and is left out from then on.
 */
async function replicatePersistently(
  owner: Owner,
  job: Job,
  signal: AbortSignal | undefined,
): Promise<OwnerResult> {
  const { peer } = job;
  const { count, firstMs } = job.options.retries ?? RETRIES;
  const losses = new Map<string, number>();
  const broken = new Map<string, AppError>();
  for (let attempt = 0; ; attempt++) {
    const result = await replicateOne(owner, job, { signal, broken });
    if (signal?.aborted === true) return signal.reason;
    const isLost = result instanceof AppError && result.code === "unreachable";
    if (!isLost) {
      peer.isGone = false;
      return result;
    }
    const { mailbox } = result.context;
    if (typeof mailbox === "string") {
      const times = (losses.get(mailbox) ?? 0) + 1;
      losses.set(mailbox, times);
      if (times === CHANCES && broken.size < MOST_BROKEN) {
        broken.set(mailbox, result);
        attempt = 0;
      }
    }
    if (attempt >= count) peer.isGone = true;
    if (peer.isGone) return result;
    await before(Bun.sleep(firstMs * 2 ** attempt), signal).catch(() => undefined);
  }
}

async function closeAll(held: Held): Promise<void> {
  const { source, target } = held;
  held.source = undefined;
  held.target = undefined;
  try {
    await target?.close();
  } finally {
    await source?.close();
  }
}

interface Attempt {
  readonly signal: AbortSignal | undefined;
  readonly broken: ReadonlyMap<string, AppError>;
}

async function replicateOne(
  owner: Owner,
  { ends, options, pace, held }: Job,
  { signal, broken }: Attempt,
): Promise<OwnerResult> {
  const timed = inTime(ends, signal);
  const { open, openSource } = timed;
  try {
    // What the owner before has staged is of no use to this one.
    await held.target?.restart();
    await held.source?.restart();
    if (open !== undefined && openSource !== undefined) {
      held.target ??= await open();
      held.source ??= await openSource();
    }
    return await bringOwner(owner, timed, {
      ...{ held, mode: options.mode, allowDelete: options.allowDelete, dryRun: open === undefined },
      ...{ broken, events: options.events(owner) },
      sent: async (_, bytes) => {
        await before(pace(bytes), signal);
      },
    });
  } catch (error) {
    // What the sessions have staged or sent is not known any more: the next owner gets new ones.
    await closeAll(held);
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Sessions that are not waited for longer than `signal` allows. */
function inTime(ends: Ends, signal: AbortSignal | undefined): Ends {
  const timed = (open: WritablePlace["openSession"]): WritablePlace["openSession"] => {
    return () =>
      before(open(), signal, (late) => {
        late.close().catch(() => undefined); // nobody has used it
      });
  };
  const { open, openSource } = ends;
  return {
    ...{ ...ends, open: open && timed(open) },
    ...(openSource !== undefined && { openSource: timed(openSource) }),
  };
}

function bringOwner(
  owner: Owner,
  { source, target, open }: Ends,
  {
    held,
    mode,
    ...options
  }: Omit<ReplicateOptions, "mode"> & Pick<ManyOptions, "mode"> & { readonly held: Held },
): Promise<Outcome<ReplicateResult>> {
  if (mode !== "twoWay") {
    const session =
      open === undefined
        ? undefined
        : async () => {
            held.target ??= await open();
            return held.target;
          };
    return replicateOwner(owner, { source, target, session }, { ...options, mode });
  }
  const [a, b] = [
    { place: source, session: held.source },
    { place: target, session: held.target },
  ];
  return reconcileOwner(owner, { a, b }, options);
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
