/** Which function does which GET. */
import { unreachable } from "../../core/assert.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import { getAnnotation } from "./get_annotation.ts";
import { getFetch } from "./get_fetch.ts";
import { getFetchSieve } from "./get_fetch_sieve.ts";
import { getFullmailbox } from "./get_fullmailbox.ts";
import { getMailboxes, getUniqueids } from "./get_mailboxes.ts";
import { getMeta } from "./get_meta.ts";
import { getQuota } from "./get_quota.ts";
import { getUser } from "./get_user.ts";

export function runGet(command: GetCommand, context: CommandContext): Promise<Outcome> {
  switch (command.kind) {
    case "user":
      return getUser(command, context);
    case "meta":
      return getMeta(command, context);
    case "mailboxes":
      return getMailboxes(command, context);
    case "uniqueids":
      return getUniqueids(command, context);
    case "fullmailbox":
      return getFullmailbox(command, context);
    case "annotation":
      return getAnnotation(command, context);
    case "quota":
      return getQuota(command, context);
    case "fetch":
      return getFetch(command, context);
    case "fetchSieve":
      return getFetchSieve(command, context);
    default:
      return unreachable(command);
  }
}
