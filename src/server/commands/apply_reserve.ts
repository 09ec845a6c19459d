/** `APPLY RESERVE %(…)`: stages what mailboxes hold already; answers what they do not. */

import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import { isGuid, NULL_GUID } from "../../model/guid.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyReserve(
  command: Extract<ApplyRequest, { kind: "reserve" }>,
  context: CommandContext,
): Promise<Outcome> {
  // A GUID alone would give any mail to any account: only mailboxes that it may read are searched.
  const mailboxes = command.mailboxes.filter((name) => mayTouchMailbox(context.scope, name));
  if (!command.guids.every(isGuid)) {
    return { ...refused("badParameters", "RESERVE names what is no GUID"), field: "GUID" };
  }
  const wanted = command.guids.filter((guid) => guid !== NULL_GUID);
  const request = { partition: command.partition, mailboxes, guids: wanted };
  const found = await context.session.reserve(request);
  if (found.kind === "refused") return found;
  const missing = new Set(found.value);
  const guids = command.guids.filter((guid) => missing.has(guid) || guid === NULL_GUID);
  if (guids.length > 0) await context.send({ kind: "missing", guids });
  return DONE;
}
