/** What a run tells while it works on one owner, and what it counts. */
import type { UnreadableMailbox } from "../../model/mailbox.ts";
import type { Refusal } from "../../model/outcome.ts";
import {
  type Decision,
  type Leftover,
  nameOfStep,
  namesMailbox,
  type Step,
} from "../plan/steps.ts";
import type { SurveyedStep } from "./survey.ts";

export interface ReplicateEvents {
  /** Before a step is done, or instead of it in a dry run. */
  readonly step: (step: SurveyedStep) => void;
  readonly leftover: (leftover: Leftover) => void;
  /** What was decided where both sides are written and disagree. */
  readonly decided: (decision: Decision) => void;
  /** A step that could not be done, or a mailbox that could not be read. */
  readonly failed: (name: string, refusal: Refusal, isMailbox: boolean) => void;
  /** So much of the steps of the owner is done. */
  readonly part?: (done: number, of: number) => void;
  /** Bytes of messages have been sent. */
  readonly sent?: (bytes: number) => void;
}

export interface ReplicateResult {
  readonly steps: number;
  readonly leftovers: number;
  readonly failures: number;
  readonly messages: number;
  readonly bytes: number;
}

export interface Tally {
  /** Forgets what an earlier pass has left and failed: this one looks at it again. */
  readonly begin: () => void;
  /** Tells what the last pass has left and failed. */
  readonly tell: () => void;
  readonly step: (step: SurveyedStep) => void;
  readonly decide: (decision: Decision) => void;
  readonly leave: (leftover: Leftover) => void;
  /** `isMailbox` unless it is said: of a script, a user … the name is something else. */
  readonly fail: (name: string, refusal: Refusal, isMailbox?: boolean) => void;
  readonly failStep: (step: Step, refusal: Refusal) => void;
  readonly sent: (messages: number, bytes: number) => void;
  readonly result: () => ReplicateResult;
  /** What has failed, with the uniqueids of those that have one. */
  readonly missing: (uniqueids: ReadonlyMap<string, string>) => readonly UnreadableMailbox[];
}

/** A tally of nothing, which passes on to `events`. */
export function newTally(events: ReplicateEvents): Tally {
  const count = { steps: 0, messages: 0, bytes: 0 };
  const leftovers: Leftover[] = [];
  const failures: { name: string; refusal: Refusal; isMailbox: boolean }[] = [];
  const fail: Tally["fail"] = (name, refusal, isMailbox = true) => {
    failures.push({ name, refusal, isMailbox });
  };
  return {
    begin: () => {
      leftovers.length = 0;
      failures.length = 0;
    },
    tell: () => {
      for (const leftover of leftovers) events.leftover(leftover);
      for (const { name, refusal, isMailbox } of failures) events.failed(name, refusal, isMailbox);
    },
    step: (step) => {
      count.steps += 1;
      events.step(step);
    },
    decide: (decision) => events.decided(decision),
    leave: (leftover) => void leftovers.push(leftover),
    fail,
    failStep: (step, refusal) => fail(nameOfStep(step), refusal, namesMailbox(step)),
    sent: (messages, bytes) => {
      events.sent?.(bytes);
      count.messages += messages;
      count.bytes += bytes;
    },
    result: () => ({ ...count, leftovers: leftovers.length, failures: failures.length }),
    missing: (uniqueids) =>
      failures.map((one) => {
        const uniqueid = uniqueids.get(one.name);
        return uniqueid === undefined ? one : { ...one, uniqueid };
      }),
  };
}
