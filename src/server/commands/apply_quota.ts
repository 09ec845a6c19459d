/** `APPLY QUOTA %(…)` sets all limits of a root; `APPLY UNQUOTA <root>` removes it. */

import { denied, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyQuota(
  command: Extract<ApplyCommand, { kind: "quota" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { root } = command.quota;
  if (!mayTouchMailbox(context.scope, root)) return denied(`quota root ${root}`);
  return context.session.apply(command);
}

/** A root that is not there is none: OK, as from Cyrus. */
export async function applyUnquota(
  command: Extract<ApplyCommand, { kind: "unquota" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchMailbox(context.scope, command.root)) return DONE;
  return context.session.apply(command);
}
