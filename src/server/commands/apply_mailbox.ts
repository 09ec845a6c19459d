/** `APPLY MAILBOX %(…)`: creates or updates one mailbox. */

import { denied, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyMailbox } from "../../model/apply.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import { isValidName } from "../../model/names.ts";
import { type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import { type CommandContext, SIEVE_MAILBOX } from "../session/context.ts";

/** The letters of mailbox types that any version knows; Cyrus dies of others. */
const TYPE_LETTERS = /^[abcdefijlmnprstz]*$/;

export async function applyMailbox(
  command: ApplyMailbox,
  context: CommandContext,
): Promise<Outcome> {
  const refusal = refusalOf(command.state, context);
  return refusal ?? context.session.apply(command, { force: context.modes.force });
}

/** Why a mailbox may not be made or changed by this session; undefined if it may. */
export function refusalOf(
  { name, type = "" }: Pick<MailboxState, "name" | "type">,
  context: CommandContext,
): Refusal | undefined {
  if (!mayTouchMailbox(context.scope, name)) return denied(name);
  if (!isValidName(name)) return badField("MBOXNAME", `${name} is no name for a mailbox`);
  if (!TYPE_LETTERS.test(type)) return refused("failed", `${name} is of the unknown type ${type}`);
  if (type.startsWith("f") && !context.modes.enabled.has(SIEVE_MAILBOX)) {
    return badField("MBOXTYPE", `${name} holds scripts, and SIEVE-MAILBOX is not enabled`);
  }
  return undefined;
}

function badField(field: string, text: string): Refusal {
  return { ...refused("badParameters", text), field };
}
