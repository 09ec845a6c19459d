/** `GET QUOTA <root>`: a root that is not there answers OK with nothing. */

import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function getQuota(
  command: Extract<GetCommand, { kind: "quota" }>,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchMailbox(context.scope, command.root)) return DONE;
  const found = await context.place.quota(command.root);
  if (found.kind === "refused") return found;
  if (found.value !== undefined) await context.send({ kind: "quota", quota: found.value });
  return DONE;
}
