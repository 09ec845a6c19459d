/** `GET MAILBOXES (<name> …)` and `GET UNIQUEIDS (<id> …)`: those that are there, in any order. */

import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import { mailboxAnswer } from "./mailbox_answer.ts";

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
  const { uniqueids } = command;
  const { place, scope } = context;
  if (scope.everything) return sendMailboxes(await place.mailboxesByUniqueid(uniqueids), context);
  for (const uniqueid of uniqueids) {
    const found = await place.mailboxesByUniqueid([uniqueid]);
    // A mailbox that cannot be read may be anybody's: to say so would say that it is there.
    if (found.kind === "ok") await sendMailboxes(found, context);
    else context.log.write("error", "Mailbox is not served", { uniqueid, why: found.text });
  }
  return DONE;
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
