/** The passes over one owner: he is read, planned and done until nothing changed meanwhile. */
import type { AppError } from "../../core/errors.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { Budget } from "../mailbox/budget.ts";
import { type Both, SIDES } from "../plan/sides.ts";
import type { Tally } from "./tally.ts";

export interface RunOptions {
  /** Nothing is written, and no session is needed. */
  readonly dryRun: boolean;
  /** What may be deleted at each side. */
  readonly budgets: Both<Budget>;
  /** What was done and what is left. Its caller has it tell that, once all is over. */
  readonly tally: Tally;
  /** After each batch of messages; may wait, or throw where the time is up. */
  readonly sent: (messages: number, bytes: number) => Promise<void>;
  /** Mailboxes that are left out because the connection was lost over them, with the error. */
  readonly broken?: ReadonlyMap<string, AppError>;
}

export interface Pass {
  readonly tally: Tally;
  /** Mailboxes that were renamed, deleted or written to since the pass began; added to. */
  readonly gone: Set<string>;
}

/** How often an owner is begun again whose mailboxes are changed meanwhile; Cyrus' own number. */
const PASSES = 3;

/**
 * Does `once` until nothing is gone, and no deletion was held back for not having been planned.
 * Refused as the last pass was, or as its first unplanned deletion.
 */
export async function runPasses(
  { dryRun, budgets, tally }: RunOptions,
  once: (pass: Pass) => Promise<Outcome>,
): Promise<Outcome> {
  for (let pass = 1; ; pass++) {
    const gone = new Set<string>();
    for (const side of SIDES) budgets[side].begin(new Map());
    const done = await once({ tally, gone });
    const heldBack = SIDES.map((side) => budgets[side].refusal).find((one) => one !== undefined);
    const mayRepeat = done.kind === "ok" && !dryRun && pass < PASSES;
    if (mayRepeat && (gone.size > 0 || heldBack !== undefined)) continue;
    return done.kind === "refused" ? done : (heldBack ?? DONE);
  }
}
