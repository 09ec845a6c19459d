/** `APPLY MAILBOX %(…)` and `RESTORE MAILBOX %(…)`: creates or updates one mailbox. */
import type { ApplyMailbox, RestoreMailbox } from "../model/apply.ts";
import { isValidName } from "../model/names.ts";
import { type Outcome, type Refusal, refused } from "../model/outcome.ts";
import { type CommandContext, SIEVE_MAILBOX } from "./context.ts";
import { denied, mayTouchMailbox } from "./scope.ts";

/** The letters of mailbox types that any version knows; Cyrus dies of others. */
const TYPE_LETTERS = /^[abcdefijlmnprstz]*$/;

export async function applyMailbox(
  command: ApplyMailbox | RestoreMailbox,
  context: CommandContext,
): Promise<Outcome> {
  const { state } = command;
  const name = command.kind === "restore" ? command.name : command.state.name;
  if (!mayTouchMailbox(context.scope, name)) return denied(name);
  if (!isValidName(name)) return badField("MBOXNAME", `${name} is no name for a mailbox`);
  const type = state.type ?? "";
  if (!TYPE_LETTERS.test(type)) return refused("failed", `${name} is of the unknown type ${type}`);
  if (type.startsWith("f") && !context.modes.enabled.has(SIEVE_MAILBOX)) {
    return badField("MBOXTYPE", `${name} holds scripts, and SIEVE-MAILBOX is not enabled`);
  }
  return context.session.apply(command, { force: context.modes.force });
}

function badField(field: string, text: string): Refusal {
  return { ...refused("badParameters", text), field };
}
