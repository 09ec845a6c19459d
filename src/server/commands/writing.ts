/** What the APPLY commands do (sync-protocol.md 4.2), once it is known that the account may. */
import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import { SIEVE_MAILBOX } from "../../formats/sync/capabilities.ts";
import type { ApplyCommand, ApplyMailbox, ApplyRename } from "../../model/apply.ts";
import { isGuid, NULL_GUID } from "../../model/guid.ts";
import { isScriptFile, type MailboxState } from "../../model/mailbox.ts";
import { nameProblem } from "../../model/names.ts";
import {
  DONE,
  type Outcome,
  type Refusal,
  type RefusalReason,
  refused,
} from "../../model/outcome.ts";
import { CAPABILITIES, type CommandContext } from "../session/context.ts";

type Apply<Kind extends ApplyRequest["kind"]> = Extract<ApplyRequest, { readonly kind: Kind }>;

/** The place does it all. */
export function passOn(command: ApplyCommand, { session }: CommandContext): Promise<Outcome> {
  return session.apply(command);
}

/** Stages those of the messages that the mailboxes hold; answers with the others. */
export async function reserve(
  { partition, mailboxes, guids }: Apply<"reserve">,
  context: CommandContext,
): Promise<Outcome> {
  if (!guids.every(isGuid)) return badField("GUID", "RESERVE names what is no GUID");
  const found = await context.session.reserve({
    partition,
    // A GUID alone would give any mail to any account: only mailboxes that it may read are
    // searched.
    mailboxes: mailboxes.filter((name) => mayTouchMailbox(context.scope, name)),
    guids: guids.filter((guid) => guid !== NULL_GUID),
  });
  if (found.kind === "refused") return found;
  const missing = new Set(found.value);
  const answer = guids.filter((guid) => missing.has(guid) || guid === NULL_GUID);
  if (answer.length > 0) await context.send({ kind: "missing", guids: answer });
  return DONE;
}

/** Creates or updates one mailbox. */
export async function applyMailbox(
  command: ApplyMailbox,
  context: CommandContext,
): Promise<Outcome> {
  const refusal = mailboxRefusal(command.state, context);
  return refusal ?? putMailbox(command, context, { force: context.modes.force });
}

/** Why a mailbox is refused because of who has its uniqueid. */
const OF_ITS_HOLDER: ReadonlySet<RefusalReason> = new Set(["moved", "busy", "damaged"]);

/**
 * Lets the place apply a mailbox. Where its uniqueid is that of a mailbox which the account may not
 * touch, the answer is that for everything which the account may not touch.
 */
export async function putMailbox(
  command: ApplyMailbox,
  { session, files, place, scope }: CommandContext,
  { force }: { readonly force: boolean },
): Promise<Outcome> {
  const outcome = await session.apply(command, { force });
  if (outcome.kind === "ok") await files.applied(command.records);
  else if (OF_ITS_HOLDER.has(outcome.reason) && !scope.everything) {
    const found = await place.mailboxesByUniqueid([command.state.uniqueid]);
    const isHis =
      found.kind === "ok" && found.value.every(({ name }) => mayTouchMailbox(scope, name));
    if (!isHis) return refused("permissionDenied", outcome.text);
  }
  return outcome;
}

/** The letters of mailbox types that any version knows; Cyrus dies of others. */
const TYPE_LETTERS = /^[abcdefijlmnprstz]*$/;

/** Why there can be no such mailbox, or not for this session; undefined if there can. */
export function mailboxRefusal(
  { name, type = "" }: Pick<MailboxState, "name" | "type">,
  { modes }: CommandContext,
): Refusal | undefined {
  const problem = nameProblem(name);
  if (problem !== undefined)
    return badField("MBOXNAME", `${name} is no name for a mailbox: ${problem}`);
  if (!TYPE_LETTERS.test(type)) return refused("failed", `${name} is of the unknown type ${type}`);
  if (type.startsWith("f") && !modes.enabled.has(SIEVE_MAILBOX)) {
    return badField("MBOXTYPE", `${name} holds scripts, and SIEVE-MAILBOX is not enabled`);
  }
  return undefined;
}

/** Renames one mailbox, not those below it; also the way to another partition. */
export async function applyRename(command: ApplyRename, context: CommandContext): Promise<Outcome> {
  const { newName } = command;
  const problem = nameProblem(newName);
  if (problem !== undefined)
    return badField("NEWMBOXNAME", `${newName} is no name for a mailbox: ${problem}`);
  return context.session.apply(command);
}

/** Ignores a file that is neither a script nor its bytecode, which clients before 3.6 send too. */
export async function applyScript(
  command: Apply<"sieve" | "unsieve">,
  context: CommandContext,
): Promise<Outcome> {
  return isScriptFile(command.filename) ? context.session.apply(command) : DONE;
}

/**
 * FORCE: from now on a mailbox here may be ahead of what is sent, or may be another mailbox with
 * mail. What SINCE and the checksums say must still hold, and what records say of each other. In
 * Cyrus the mode lasts as long as the process and leaks into sessions of other clients; here it
 * ends with the connection.
 */
export async function forceFromNowOn(_: unknown, { modes }: CommandContext): Promise<Outcome> {
  modes.force = true;
  return DONE;
}

/** Enables those that are known, and says which. */
export async function enableCapabilities(
  command: Apply<"capabilities">,
  context: CommandContext,
): Promise<Outcome> {
  const wanted = command.names.map((name) => name.toUpperCase());
  const names = CAPABILITIES.filter((name) => wanted.includes(name));
  for (const name of names) context.modes.enabled.add(name);
  await context.send({ kind: "enabled", names });
  return DONE;
}

function badField(field: string, text: string): Refusal {
  return { ...refused("badParameters", text), field };
}
