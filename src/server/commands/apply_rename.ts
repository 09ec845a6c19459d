/** `APPLY RENAME %(…)`: renames one mailbox, not those below it; also the way to another partition. */

import { absent, denied, mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyRename } from "../../model/apply.ts";
import { isValidName } from "../../model/names.ts";
import { type Outcome, refused } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyRename(command: ApplyRename, context: CommandContext): Promise<Outcome> {
  const { oldName, newName } = command;
  if (!mayTouchMailbox(context.scope, oldName)) return absent(oldName);
  if (!mayTouchMailbox(context.scope, newName)) return denied(newName);
  if (!isValidName(newName)) {
    return { ...refused("badParameters", `${newName} is no name`), field: "NEWMBOXNAME" };
  }
  return context.session.apply(command);
}
