/** Which function does which APPLY. */
import { unreachable } from "../../core/assert.ts";
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import { applyAnnotation } from "./apply_annotation.ts";
import { applyCapabilities } from "./apply_capabilities.ts";
import { applyExpunge } from "./apply_expunge.ts";
import { applyForce } from "./apply_force.ts";
import { applyMailbox } from "./apply_mailbox.ts";
import { applyQuota, applyUnquota } from "./apply_quota.ts";
import { applyRename } from "./apply_rename.ts";
import { applyReserve } from "./apply_reserve.ts";
import { applyRestore } from "./apply_restore.ts";
import { applySeen } from "./apply_seen.ts";
import { applySieve } from "./apply_sieve.ts";
import { applySubscription } from "./apply_subscription.ts";
import { applyUnmailbox } from "./apply_unmailbox.ts";
import { applyUnuser } from "./apply_unuser.ts";

/** All but MESSAGE, whose files are staged while its line is read. */
export type ApplyToRun = Exclude<ApplyRequest, { kind: "message" }>;

export function runApply(command: ApplyToRun, context: CommandContext): Promise<Outcome> {
  switch (command.kind) {
    case "reserve":
      return applyReserve(command, context);
    case "mailbox":
      return applyMailbox(command, context);
    case "restore":
      return applyRestore(command, context);
    case "unmailbox":
      return applyUnmailbox(command, context);
    case "rename":
      return applyRename(command, context);
    case "expunge":
      return applyExpunge(command, context);
    case "quota":
      return applyQuota(command, context);
    case "unquota":
      return applyUnquota(command, context);
    case "seen":
      return applySeen(command, context);
    case "sub":
    case "unsub":
      return applySubscription(command, context);
    case "annotation":
    case "unannotation":
      return applyAnnotation(command, context);
    case "sieve":
    case "unsieve":
    case "activateSieve":
    case "unactivateSieve":
      return applySieve(command, context);
    case "unuser":
      return applyUnuser(command, context);
    case "capabilities":
      return applyCapabilities(command, context);
    case "force":
      return applyForce(context);
    default:
      return unreachable(command);
  }
}
