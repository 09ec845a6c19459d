/** Many owners, some at a time: one that fails never stops the others. */
import { AppError } from "../core/errors.ts";
import type { Owner } from "../model/names.ts";
import type { Outcome } from "../model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../places/place.ts";
import { ownerName } from "./owner_state.ts";
import type { Mode } from "./plan.ts";
import {
  type ReplicateEvents,
  type ReplicateOptions,
  type ReplicateResult,
  replicateOwner,
} from "./run.ts";
import { reconcileOwner } from "./two_way.ts";

export interface ManyOptions {
  /** `twoWay`: both ends are written. */
  readonly mode: Mode | "twoWay";
  /** Per cent of the target's messages or mailboxes that may be deleted. */
  readonly allowDelete: number;
  /** Owners at a time. */
  readonly jobs: number;
  /** Bytes of messages a second, over all jobs. */
  readonly bytesPerSecond: number | undefined;
  /** An owner who takes longer fails; what was brought stays. */
  readonly timeoutMs: number | undefined;
  /** An owner is begun again so often when the connection is lost; the pause doubles from `firstMs` on. */
  readonly retries?: { readonly count: number; readonly firstMs: number };
  readonly events: (owner: Owner) => ReplicateEvents;
  /** An owner is done; an error is what his places have thrown. */
  readonly done: (owner: Owner, result: Outcome<ReplicateResult> | AppError) => void;
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

/** A worker's sessions, kept from one owner to the next. */
interface Held {
  source: PlaceSession | undefined;
  target: PlaceSession | undefined;
  /** The last owner was given up: a peer that is gone is not waited for each time. */
  isGone: boolean;
}

/** Brings all `owners`, `jobs` at a time. Only bugs are thrown, and what the list of owners throws, after the others. */
export async function replicateOwners(
  owners: AsyncGenerator<Owner, void>,
  ends: Ends,
  options: ManyOptions,
): Promise<void> {
  const pace = pacer(options.bytesPerSecond);
  const worker = async (): Promise<void> => {
    const held: Held = { source: undefined, target: undefined, isGone: false };
    try {
      for (let next = await owners.next(); next.done !== true; next = await owners.next()) {
        options.done(
          next.value,
          await replicatePersistently(next.value, { ends, options, pace, held }),
        );
      }
    } finally {
      await closeAll(held);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: options.jobs }, worker));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}

const RETRIES = { count: 4, firstMs: 500 };

interface Job {
  readonly ends: Ends;
  readonly options: ManyOptions;
  readonly pace: (bytes: number) => Promise<void>;
  readonly held: Held;
}

/** Begins again with a new session when the connection is lost: what is there already is not sent twice. */
async function replicatePersistently(
  owner: Owner,
  job: Job,
): Promise<Outcome<ReplicateResult> | AppError> {
  const { held } = job;
  const { count, firstMs } = job.options.retries ?? RETRIES;
  for (let attempt = 0; ; attempt++) {
    const result = await replicateOne(owner, job);
    const isLost = result instanceof AppError && result.code === "unreachable";
    if (!isLost) held.isGone = false;
    else if (attempt >= count) held.isGone = true;
    if (!isLost || held.isGone) return result;
    await Bun.sleep(firstMs * 2 ** attempt);
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

async function replicateOne(
  owner: Owner,
  { ends, options, pace, held }: Job,
): Promise<Outcome<ReplicateResult> | AppError> {
  const { open, openSource } = ends;
  const deadline = performance.now() + (options.timeoutMs ?? Infinity);
  try {
    if (open !== undefined && openSource !== undefined) {
      held.target ??= await open();
      held.source ??= await openSource();
    }
    const result = await bringOwner(owner, ends, {
      ...{ held, mode: options.mode, allowDelete: options.allowDelete, dryRun: open === undefined },
      events: options.events(owner),
      sent: async (_, bytes) => {
        await pace(bytes);
        if (performance.now() > deadline) {
          throw new AppError("busy", `Cannot finish ${ownerName(owner)}: the time is up`);
        }
      },
    });
    await held.target?.restart();
    await held.source?.restart();
    return result;
  } catch (error) {
    // What the sessions have staged or sent is not known any more: the next owner gets new ones.
    await closeAll(held);
    if (error instanceof AppError) return error;
    throw error;
  }
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
