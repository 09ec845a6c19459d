/** `APPLY SEEN %(…)`: what one reader has seen of one mailbox, whoever owns that. */

import { denied, mayTouchUser } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applySeen(
  command: Extract<ApplyCommand, { kind: "seen" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { userid } = command;
  if (!mayTouchUser(context.scope, userid)) return denied(`seen state of ${userid}`);
  return context.session.apply(command);
}
