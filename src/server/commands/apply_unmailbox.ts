/** `APPLY UNMAILBOX <name>`: deletes a mailbox at once. */

import { absent, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyUnmailbox(
  command: Extract<ApplyCommand, { kind: "unmailbox" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchMailbox(context.scope, command.name)) return absent(command.name);
  return context.session.apply(command);
}
