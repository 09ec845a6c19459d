/** `GET USER <userid>`: everything about a user but records. An unknown user answers OK with nothing. */

import { mayTouchUser } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { isIntermediate } from "../../model/mailbox.ts";
import { externalName, parseName } from "../../model/names.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import { sendMeta } from "./get_meta.ts";
import { mailboxAnswer } from "./mailbox_answer.ts";

export async function getUser(
  command: Extract<GetCommand, { kind: "user" | "meta" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchUser(context.scope, command.userid)) return DONE;
  const found = await context.place.user(command.userid);
  if (found.kind === "refused") return found;
  const { mailboxes, quotas, unreadable = [] } = found.value;
  for (const { name, refusal } of unreadable) {
    const facts = { user: command.userid, mailbox: externalName(name), why: refusal.text };
    context.log.write("error", "Mailbox is damaged and not served", facts);
  }
  // The client would take one that is left out for deleted: like Cyrus, all or nothing.
  const [first] = unreadable;
  if (first !== undefined) return first.refusal;
  for (const state of mailboxes) await context.send(mailboxAnswer(state));
  for (const quota of quotas) await context.send({ kind: "quota", quota });
  // Since 3.6 a user without a real mailbox has no seen state, subscriptions and scripts either.
  const isThere = mailboxes.some((one) => !isIntermediate(one) && !parseName(one.name).isDeleted);
  if (isThere) await sendMeta(found.value, context);
  return DONE;
}
