/** What a run tells while it works on one owner, and what it counts. */
import type { UnreadableMailbox } from "../../model/mailbox.ts";
import type { Refusal } from "../../model/outcome.ts";
import type { Side } from "../plan/sides.ts";
import {
  type Decision,
  type Leftover,
  nameOfStep,
  namesMailbox,
  type Step,
} from "../plan/steps.ts";
import type { SurveyedStep } from "./survey.ts";

/** What has failed: a mailbox, a setting of the owner, or a script, a user … */
export type FailedKind = "mailbox" | "setting" | "other";

export interface ReplicateEvents {
  /** Before a step is done, or instead of it in a dry run. */
  readonly step: (step: SurveyedStep) => void;
  /** A step that was told of has been done, or in a dry run would have been. */
  readonly done?: (step: SurveyedStep) => void;
  readonly leftover: (leftover: Leftover) => void;
  /** What was decided where both sides are written and disagree. */
  readonly decided: (decision: Decision) => void;
  /** A step that could not be done, or a mailbox that could not be read. */
  readonly failed: (name: string, refusal: Refusal, kind: FailedKind) => void;
  /** So much of the steps of the owner is done. */
  readonly part?: (done: number, of: number) => void;
  /** Bytes of messages have been sent. */
  readonly sent?: (bytes: number) => void;
}

export interface ReplicateResult {
  /** Steps that were done; in a dry run, those that would be. */
  readonly steps: number;
  readonly leftovers: number;
  readonly failures: number;
  /** Planned steps that were not done, and have not failed either: the run ended before them. */
  readonly left: number;
  readonly messages: number;
  readonly bytes: number;
}

export interface Tally {
  /**
   * A pass has planned steps with these keys. What an earlier one has left and failed is forgotten,
   * for this one looks at it again.
   */
  readonly plan: (keys: Iterable<string>) => void;
  /** Tells what the last pass has left and failed. */
  readonly tell: () => void;
  /** Before a step is done, or instead of it in a dry run. */
  readonly step: (step: SurveyedStep) => void;
  /** The step with this key is over. It counts as done if it was told of and has not failed. */
  readonly ended: (key: string, isDone?: boolean) => void;
  /** The step with this key is not done, for the run ends before it. */
  readonly leaveStep: (key: string) => void;
  /** So much of the steps of the owner is done. */
  readonly part: (done: number, of: number) => void;
  readonly decide: (decision: Decision) => void;
  readonly leave: (leftover: Leftover) => void;
  /** It is a mailbox unless another `kind` is said. */
  readonly fail: (name: string, refusal: Refusal, kind?: FailedKind) => void;
  readonly failStep: (step: Step, refusal: Refusal, side?: Side) => void;
  readonly sent: (messages: number, bytes: number) => void;
  readonly result: () => ReplicateResult;
  /** What has failed, with the uniqueids of those that have one. */
  readonly missing: (uniqueids: ReadonlyMap<string, string>) => readonly UnreadableMailbox[];
}

/** What tells a step from the others of a plan, at `side` where both are written. */
export function keyOf(step: Step, side?: Side): string {
  if (step.kind === "mailbox") return mailboxKey(step.name, side);
  const kind = step.kind === "apply" ? step.command.kind : step.kind;
  return [side, kind, nameOfStep(step)].join("\0");
}

/** The key of a step that brings the mailbox `name`. */
export function mailboxKey(name: string, side?: Side): string {
  return [side, "mailbox", name].join("\0");
}

/** A tally of nothing, which passes on to `events`. */
export function newTally(events: ReplicateEvents): Tally {
  const count = { steps: 0, messages: 0, bytes: 0 };
  const leftovers: Leftover[] = [];
  const failures: { name: string; refusal: Refusal; kind: FailedKind }[] = [];
  const pending = new Set<string>();
  const begun = new Map<string, SurveyedStep>();
  const fail: Tally["fail"] = (name, refusal, kind = "mailbox") => {
    failures.push({ name, refusal, kind });
  };
  const ended: Tally["ended"] = (key, isDone = true) => {
    pending.delete(key);
    const step = begun.get(key);
    if (step === undefined) return;
    begun.delete(key);
    if (!isDone) return;
    count.steps += 1;
    events.done?.(step);
  };
  return {
    plan: (keys) => {
      leftovers.length = 0;
      failures.length = 0;
      pending.clear();
      for (const key of keys) pending.add(key);
    },
    tell: () => {
      for (const leftover of leftovers) events.leftover(leftover);
      for (const { name, refusal, kind } of failures) events.failed(name, refusal, kind);
    },
    step: (surveyed) => {
      const key = keyOf(surveyed.step, surveyed.side);
      pending.add(key);
      begun.set(key, surveyed);
      events.step(surveyed);
    },
    ended,
    leaveStep: (key) => void pending.add(key),
    part: (done, of) => events.part?.(done, of),
    decide: (decision) => events.decided(decision),
    leave: (leftover) => void leftovers.push(leftover),
    fail,
    failStep: (step, refusal, side) => {
      ended(keyOf(step, side), false);
      fail(nameOfStep(step), refusal, namesMailbox(step) ? "mailbox" : "other");
    },
    sent: (messages, bytes) => {
      events.sent?.(bytes);
      count.messages += messages;
      count.bytes += bytes;
    },
    result: () => ({
      ...{ ...count, leftovers: leftovers.length },
      ...{ failures: failures.length, left: pending.size },
    }),
    missing: (uniqueids) =>
      failures.map((one) => {
        const uniqueid = uniqueids.get(one.name);
        return uniqueid === undefined ? one : { ...one, uniqueid };
      }),
  };
}
