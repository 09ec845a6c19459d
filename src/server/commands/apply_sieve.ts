/** `APPLY SIEVE`, `UNSIEVE`, `ACTIVATE_SIEVE` and `UNACTIVATE_SIEVE %(…)`: scripts as files. */

import { absent, denied, mayTouchUser } from "../../accounts/scope.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export type SieveCommand = Extract<
  ApplyCommand,
  { kind: "sieve" | "unsieve" | "activateSieve" | "unactivateSieve" }
>;

export async function applySieve(command: SieveCommand, context: CommandContext): Promise<Outcome> {
  const { userid } = command;
  if (!mayTouchUser(context.scope, userid)) return outOfScope(command);
  // Like 3.6 and later: anything but a script is taken and ignored. Older ones send bytecode too.
  const isScript = command.kind === "sieve" || command.kind === "unsieve";
  if (isScript && !command.filename.endsWith(".script")) return DONE;
  return context.session.apply(command);
}

/** As if the user had no scripts: there is none to activate, and nothing left to take away. */
function outOfScope(command: SieveCommand): Outcome {
  const what = `scripts of ${command.userid}`;
  if (command.kind === "sieve") return denied(what);
  return command.kind === "activateSieve" ? absent(what) : DONE;
}
