/** `APPLY EXPUNGE %(…)`: marks records as expunged, their modseq left alone. */

import { absent, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyExpunge } from "../../model/apply.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyExpunge(
  command: ApplyExpunge,
  context: CommandContext,
): Promise<Outcome> {
  if (!mayTouchMailbox(context.scope, command.name)) return absent(command.name);
  return context.session.apply(command);
}
