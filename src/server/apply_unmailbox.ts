/** `APPLY UNMAILBOX <name>`: deletes a mailbox at once. */
import type { ApplyCommand } from "../model/apply.ts";
import type { Outcome } from "../model/outcome.ts";
import type { CommandContext } from "./context.ts";
import { absent, mayTouchMailbox } from "./scope.ts";

export async function applyUnmailbox(
  command: Extract<ApplyCommand, { kind: "unmailbox" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchMailbox(context.scope, command.name)) return absent(command.name);
  return context.session.apply(command);
}
