/** `GET MAILBOXES (<name> …)` and `GET UNIQUEIDS (<id> …)`: those that are there, in any order. */
import type { GetCommand } from "../formats/sync/get_command.ts";
import type { MailboxState } from "../model/mailbox.ts";
import { DONE, type Outcome } from "../model/outcome.ts";
import type { CommandContext } from "./context.ts";
import { mailboxAnswer } from "./mailbox_answer.ts";
import { mayTouchMailbox } from "./scope.ts";

export async function getMailboxes(
  command: Extract<GetCommand, { kind: "mailboxes" }>,
  context: CommandContext,
): Promise<Outcome> {
  const names = command.names.filter((name) => mayTouchMailbox(context.scope, name));
  return sendMailboxes(await context.place.mailboxes(names), context);
}

export async function getUniqueids(
  command: Extract<GetCommand, { kind: "uniqueids" }>,
  context: CommandContext,
): Promise<Outcome> {
  return sendMailboxes(await context.place.mailboxesByUniqueid(command.uniqueids), context);
}

async function sendMailboxes(
  found: Outcome<readonly MailboxState[]>,
  context: CommandContext,
): Promise<Outcome> {
  if (found.kind === "refused") return found;
  for (const state of found.value) {
    // A uniqueid does not say whose it is before it is found.
    if (mayTouchMailbox(context.scope, state.name)) await context.send(mailboxAnswer(state));
  }
  return DONE;
}
