/**
 * `APPLY FORCE %()`: from now on what is here may be newer than what is sent. Unlike Cyrus, where it
 * lasts as long as the process and leaks into other clients' sessions, it ends with the connection.
 */
import { DONE, type Outcome } from "../model/outcome.ts";
import type { CommandContext } from "./context.ts";

export async function applyForce(context: CommandContext): Promise<Outcome> {
  context.modes.force = true;
  return DONE;
}
