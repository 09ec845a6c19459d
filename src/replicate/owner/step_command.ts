/** What a step of a plan asks the target for, mailboxes apart. */
import type { ApplyCommand } from "../../model/apply.ts";
import { flawOfSetting } from "../../model/flaws.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import type { MailboxStep, Step } from "../plan/steps.ts";

/**
 * The command of `step`, for which a script is read at the source. Refused where it cannot be read,
 * and for what no target could keep: so a dry run foresees both.
 */
export async function commandOf(
  step: Exclude<Step, MailboxStep>,
  userid: string,
  source: Place,
): Promise<Outcome<ApplyCommand>> {
  switch (step.kind) {
    case "rename":
      return ok(step.command);
    case "apply":
      return unlessFlawed(step.command);
    case "delete":
      return ok({ kind: "unmailbox", name: step.state.name });
    case "deleteUser":
      return ok({ kind: "unuser", userid });
    case "sieve": {
      const { filename, lastUpdate } = step;
      const script = await source.sieveScript(userid, filename);
      if (script.kind === "refused") return script;
      return unlessFlawed({ kind: "sieve", userid, filename, lastUpdate, content: script.value });
    }
  }
}

function unlessFlawed(command: ApplyCommand): Outcome<ApplyCommand> {
  const flaw = flawOfSetting(command);
  return flaw === undefined ? ok(command) : refused("notSupported", flaw);
}
