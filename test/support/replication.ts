/** Replicating in tests, with everything told gathered. */
import { expect } from "bun:test";
import type { ApplyCommand } from "../../src/model/apply.ts";
import { type MailboxState, recordsOf } from "../../src/model/mailbox.ts";
import type { Owner } from "../../src/model/names.ts";
import { type Outcome, ok } from "../../src/model/outcome.ts";
import type { MailRecord } from "../../src/model/record.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { Budget } from "../../src/replicate/mailbox/budget.ts";
import { replicateOwner } from "../../src/replicate/owner/bring_owner.ts";
import {
  newTally,
  type ReplicateEvents,
  type ReplicateResult,
} from "../../src/replicate/owner/tally.ts";
import { type Mode, nameOfStep } from "../../src/replicate/plan/steps.ts";
import { reconcileOwner } from "../../src/replicate/two_way/two_way.ts";
import { granted, recordsIn } from "./places.ts";
import { message, stateOf } from "./store_fixture.ts";
import { tempDir } from "./temp_dir.ts";

export interface Told {
  readonly outcome: Outcome<ReplicateResult>;
  /** Each step as its kind and what it is about. */
  readonly steps: readonly string[];
  readonly leftovers: readonly string[];
  readonly failures: readonly string[];
}

export interface ReplicationOptions {
  readonly mode?: Mode;
  readonly dryRun?: boolean;
  readonly allowDelete?: number;
  /** Gets how much of the owner is done. */
  readonly part?: NonNullable<ReplicateEvents["part"]>;
  readonly isPart?: boolean;
}

/** Brings `owner` over in a session of its own. */
export async function replicate(
  owner: Owner,
  { source, target }: { readonly source: Place; readonly target: WritablePlace },
  options: ReplicationOptions = {},
): Promise<Told> {
  const { mode = "merge", dryRun = false, allowDelete = 20, isPart = false, part } = options;
  const told = {
    steps: [] as string[],
    leftovers: [] as string[],
    failures: [] as string[],
  };
  const session = dryRun ? undefined : await target.openSession();
  const tally = newTally({
    step: ({ step }) => told.steps.push(`${step.kind} ${nameOfStep(step)}`),
    leftover: ({ kind, name, uid }) => told.leftovers.push(`${kind} ${name} ${uid ?? ""}`.trim()),
    decided: () => expect.unreachable("only both ways are there decisions"),
    failed: (name, { text }) => told.failures.push(`${name}: ${text}`),
    ...(part && { part }),
  });
  try {
    const ended = await replicateOwner(
      owner,
      { source, target, session: session && (() => Promise.resolve(session)) },
      {
        ...{ mode, dryRun, budgets: budgetsOf(allowDelete), sent: async () => undefined, tally },
        isPart,
      },
    );
    tally.tell();
    return { ...told, outcome: ended.kind === "ok" ? ok(tally.result()) : ended };
  } finally {
    await session?.close();
  }
}

function budgetsOf(percent: number) {
  return { a: new Budget(percent), b: new Budget(percent) };
}

/** What was told of a run both ways: steps begin with their side. */
export interface ToldBoth extends Told {
  readonly decisions: readonly string[];
}

/** Brings both places to the same for `owner`, in sessions of its own. */
export async function reconcile(
  owner: Owner,
  places: { readonly a: WritablePlace; readonly b: WritablePlace },
  { dryRun = false, allowDelete = 100, part }: Omit<ReplicationOptions, "mode"> = {},
): Promise<ToldBoth> {
  const told = {
    steps: [] as string[],
    leftovers: [] as string[],
    decisions: [] as string[],
    failures: [] as string[],
  };
  const open = (place: WritablePlace) => (dryRun ? undefined : place.openSession());
  const [a, b] = [await open(places.a), await open(places.b)];
  const tally = newTally({
    step: ({ step, side }) => told.steps.push(`${side} ${step.kind} ${nameOfStep(step)}`),
    leftover: ({ kind, name }) => told.leftovers.push(`${kind} ${name}`),
    decided: ({ kind, name, uid, text }) =>
      told.decisions.push(`${kind} ${name} ${uid ?? ""}: ${text}`),
    failed: (name, { text }) => told.failures.push(`${name}: ${text}`),
    ...(part && { part }),
  });
  try {
    const ended = await reconcileOwner(
      owner,
      { a: { place: places.a, session: a }, b: { place: places.b, session: b } },
      { dryRun, budgets: budgetsOf(allowDelete), sent: async () => undefined, tally },
    );
    tally.tell();
    return { ...told, outcome: ended.kind === "ok" ? ok(tally.result()) : ended };
  } finally {
    await a?.close();
    await b?.close();
  }
}

export const NOTHING_DONE = { steps: [], leftovers: [], failures: [] };

/** An empty store as a place. */
export function newStorePlace(settings: Parameters<typeof initStore>[1] = {}): WritablePlace {
  const root = `${tempDir("store")}/store`;
  initStore(root, settings);
  return openStorePlace(root);
}

/**
 * Makes the mailbox `name` hold what `records` say, with message `number` under each record's UID.
 */
export async function put(
  place: WritablePlace,
  name: string,
  records: readonly MailRecord[],
  { change = {}, numbers }: PutOptions = {},
): Promise<MailboxState> {
  const session = await place.openSession();
  try {
    for (const [at, { uid, guid }] of records.entries()) {
      const bytes = message(numbers?.[at] ?? uid);
      const writer = session.stage({ partition: "default", guid, size: bytes.length });
      await writer.write(bytes);
      await writer.end();
    }
    granted(await session.flush());
    const state = stateOf(name, records, change);
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf(records) }));
    return state;
  } finally {
    await session.close();
  }
}

export interface PutOptions {
  readonly change?: Partial<MailboxState>;
  /** Messages by number, where they are not those of the UIDs. */
  readonly numbers?: readonly number[];
}

/** Does one command to a place. */
export async function applyTo(place: WritablePlace, command: ApplyCommand): Promise<void> {
  const session = await place.openSession();
  try {
    granted(await session.apply(command));
  } finally {
    await session.close();
  }
}

/** UIDs of a mailbox's living messages. */
export async function livingUids(place: Place, name: string): Promise<number[]> {
  const { records } = granted(await place.readMailbox(name));
  return (await recordsIn(records)).filter(({ expunged }) => !expunged).map(({ uid }) => uid);
}
