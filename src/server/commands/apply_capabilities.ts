/** `APPLY CAPABILITIES (name …)`: enables those that are known, and says which. */
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import { CAPABILITIES, type CommandContext } from "../session/context.ts";

export async function applyCapabilities(
  command: Extract<ApplyRequest, { kind: "capabilities" }>,
  context: CommandContext,
): Promise<Outcome> {
  const wanted = command.names.map((name) => name.toUpperCase());
  const names = CAPABILITIES.filter((name) => wanted.includes(name));
  for (const name of names) context.modes.enabled.add(name);
  await context.send({ kind: "enabled", names });
  return DONE;
}
