/** Replicating in tests, with everything told gathered. */
import type { Owner } from "../../src/model/names.ts";
import type { Outcome } from "../../src/model/outcome.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { initStore } from "../../src/places/store/settings.ts";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import type { Mode } from "../../src/replicate/plan.ts";
import { nameOfStep, type ReplicateResult, replicateOwner } from "../../src/replicate/run.ts";
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
}

/** Brings `owner` over in a session of its own. */
export async function replicate(
  owner: Owner,
  { source, target }: { readonly source: Place; readonly target: WritablePlace },
  { mode = "merge", dryRun = false, allowDelete = 20 }: ReplicationOptions = {},
): Promise<Told> {
  const told = {
    steps: [] as string[],
    leftovers: [] as string[],
    failures: [] as string[],
  };
  const session = dryRun ? undefined : await target.openSession();
  try {
    const outcome = await replicateOwner(
      owner,
      { source, target, session },
      {
        ...{ mode, dryRun, allowDelete, sent: async () => undefined },
        events: {
          step: ({ step }) => told.steps.push(`${step.kind} ${nameOfStep(step)}`),
          leftover: ({ kind, name, uid }) =>
            told.leftovers.push(`${kind} ${name} ${uid ?? ""}`.trim()),
          failed: (name, { text }) => told.failures.push(`${name}: ${text}`),
        },
      },
    );
    return { ...told, outcome };
  } finally {
    await session?.close();
  }
}

export const NOTHING_DONE = { steps: [], leftovers: [], failures: [] };

/** An empty store as a place. */
export function newStorePlace(settings: Parameters<typeof initStore>[1] = {}): WritablePlace {
  const root = `${tempDir("store")}/store`;
  initStore(root, settings);
  return openStorePlace(root);
}
