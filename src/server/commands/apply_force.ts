/**
 * `APPLY FORCE %()`: from now on a mailbox may be ahead here of what is sent, or be another one with mail; what
 * SINCE and the checksums say, and what records say of each other, must still hold. Unlike Cyrus, where it
 * lasts as long as the process and leaks into other clients' sessions, it ends with the connection.
 */
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function applyForce(context: CommandContext): Promise<Outcome> {
  context.modes.force = true;
  return DONE;
}
