/** `APPLY UNUSER <userid>`: all mailboxes, seen state, subscriptions, scripts, quota roots of a user. */

import { mayTouchUser } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

/** A user who is not there is gone already: OK, as from Cyrus. */
export async function applyUnuser(
  command: Extract<ApplyCommand, { kind: "unuser" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { userid } = command;
  if (userid === "" || !mayTouchUser(context.scope, userid)) return DONE;
  return context.session.apply(command);
}
