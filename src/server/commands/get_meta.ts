/** `GET META <userid>`: seen state, subscriptions, and scripts unless they travel as a mailbox. */

import { mayTouchUser } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import type { UserMeta } from "../../model/mailbox.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import { type CommandContext, SIEVE_MAILBOX } from "../session/context.ts";

export async function getMeta(
  command: Extract<GetCommand, { kind: "user" | "meta" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchUser(context.scope, command.userid)) return DONE;
  const found = await context.place.meta(command.userid);
  if (found.kind === "refused") return found;
  await sendMeta(found.value, context);
  return DONE;
}

/** The lines of GET META, which GET USER ends with too. */
export async function sendMeta(meta: UserMeta, context: CommandContext): Promise<void> {
  for (const seen of meta.seen) await context.send({ kind: "seen", seen });
  if (meta.subscriptions.length > 0) {
    await context.send({ kind: "subscriptions", names: meta.subscriptions });
  }
  if (context.modes.enabled.has(SIEVE_MAILBOX)) return;
  for (const file of meta.sieve) await context.send({ kind: "sieve", file });
}
