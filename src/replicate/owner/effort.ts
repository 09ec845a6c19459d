/** How far the work on an owner is, each step weighed by about how long it takes beside others. */
import type { MailboxState } from "../../model/mailbox.ts";

export interface Effort {
  /** So many of the steps are done. */
  reach(steps: number): void;
  /** So many messages more of the step under way have been sent or read. */
  add(messages: number): void;
}

/** What a step takes beside its messages, in messages. */
const STEP_EFFORT = 5;

/** Watches steps that take so many messages each; `tell` gets how much of the whole is done. */
export function watchEffort(
  messages: readonly number[],
  tell: (done: number, of: number) => void,
): Effort {
  const reached = [0];
  for (const count of messages) reached.push((reached.at(-1) ?? 0) + STEP_EFFORT + count);
  const whole = reached.at(-1) ?? 0;
  let [before, since] = [0, 0];
  const tellPart = (): void => tell(Math.min(before + since, whole), whole);
  return {
    reach: (steps) => {
      [before, since] = [reached[steps] ?? whole, 0];
      tellPart();
    },
    add: (count) => {
      since += count;
      tellPart();
    },
  };
}

type LastUid = Pick<MailboxState, "lastUid">;

/** The messages, about, that came to `ours` since `theirs`, if it is there, was written last. */
export function newSince(ours: LastUid, theirs: LastUid | undefined): number {
  return Math.max(0, ours.lastUid - (theirs?.lastUid ?? 0));
}
