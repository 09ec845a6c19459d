/** `GET ANNOTATION <name>`: those of a mailbox itself, or of the server for the empty name. */

import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function getAnnotation(
  command: Extract<GetCommand, { kind: "fullmailbox" | "annotation" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { name } = command;
  const isServer = name === "";
  // A mailbox that is not there has none: OK, as from Cyrus.
  const may = isServer ? context.scope.everything : mayTouchMailbox(context.scope, name);
  if (!may) return DONE;
  const found = await context.place.annotations(name);
  if (found.kind === "refused") return found;
  for (const one of found.value) {
    const annotation = { ...one, userid: one.userid ?? "" };
    await context.send({ kind: "annotation", name, annotation });
  }
  return DONE;
}
