/** Tells what came and went between two runs of a backup, as text and as JSON objects. */
import { plural } from "../../../core/counts.ts";
import { escapeText } from "../../../core/escape.ts";
import type { Gap } from "../../../formats/backup/run_mark.ts";
import { type Owner, ownerName } from "../../../model/names.ts";
import type { CommandEnv } from "../../command.ts";
import { displayName, nameFacts, ownerFacts, textOfName } from "../../mailbox_names.ts";
import { formatTime } from "../../text.ts";

type GapEnv = Pick<CommandEnv, "output" | "internalNames">;

/** `since`: when the run before began, in milliseconds since 1970. */
export function tellGap(
  owner: Owner,
  gap: Gap,
  { since, env }: { readonly since: number | undefined; readonly env: GapEnv },
): void {
  const { name, uniqueid, lastUid, highestmodseq, messages, deleted } = gap;
  env.output.object({
    ...{ type: "gap", ...ownerFacts(owner), ...nameFacts(name), uniqueid, lastUid },
    ...{ highestmodseq: BigInt(highestmodseq), ...(messages !== undefined && { messages }) },
    ...(since !== undefined && { since: new Date(since).toISOString() }),
    ...(deleted !== undefined && { deleted: new Date(deleted).toISOString() }),
  });
  const before = since === undefined ? "the run before" : `the run of ${timeOf(since)}`;
  const shown = displayName(name, { internal: env.internalNames });
  const text = `${textOfName(ownerName(owner))}: ${shown}: ${wordsOf(gap, before)}`;
  env.output.line(escapeText(text));
}

function wordsOf({ lastUid, highestmodseq, messages, deleted }: Gap, before: string): string {
  if (messages !== undefined) {
    const verb = messages === 1 ? "was" : "were";
    return `${plural(messages, "message")} came after ${before}, and ${verb} gone before this one`;
  }
  const end = deleted === undefined ? "is gone" : `was deleted at ${timeOf(deleted)}`;
  if (lastUid === 0) return `came after ${before} and ${end}: no run has seen its mail`;
  const seen = `UID ${lastUid} and modseq ${highestmodseq}`;
  return `${end}: mail that came to it after ${before}, above ${seen}, is in no backup`;
}

function timeOf(ms: number): string {
  return formatTime(ms / 1000);
}
