/** `APPLY ANNOTATION` and `UNANNOTATION %(…)`: of one mailbox, or of the server for the empty name. */

import { absent, denied, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyAnnotation, ApplyUnannotation } from "../../model/apply.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyAnnotation(
  command: ApplyAnnotation | ApplyUnannotation,
  context: CommandContext,
): Promise<Outcome> {
  const { name } = command;
  if (name === "") {
    if (!context.scope.everything) return denied("annotations of the server");
  } else if (!mayTouchMailbox(context.scope, name)) return absent(name);
  return context.session.apply(command);
}
