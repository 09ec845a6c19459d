/** `GET FETCH_SIEVE %(USERID s FILENAME s)`: one script. */

import { absent, mayTouchUser } from "../../accounts/scope.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function getFetchSieve(
  command: Extract<GetCommand, { kind: "fetchSieve" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { userid, filename } = command;
  if (!mayTouchUser(context.scope, userid)) return absent(`scripts of ${userid}`);
  const found = await context.place.sieveScript(userid, filename);
  if (found.kind === "refused") return found;
  await context.send({ kind: "sieveContent", userid, filename, content: found.value });
  return DONE;
}
