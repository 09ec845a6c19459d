/** `APPLY SUB` and `APPLY UNSUB %(USERID s MBOXNAME s)`: a name on a user's list, whoever owns it. */

import { denied, mayTouchUser } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applySubscription(
  command: Extract<ApplyCommand, { kind: "sub" | "unsub" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { userid } = command;
  if (!mayTouchUser(context.scope, userid)) {
    return command.kind === "sub" ? denied(`subscriptions of ${userid}`) : DONE;
  }
  return context.session.apply(command);
}
