/** Every line of `--json` but the last, which `summaries.ts` has. Unknown fields are errors. */
import { z } from "zod";
import { LOG_LEVELS } from "../../core/log.ts";
import { SEVERITIES } from "../../fsck/severity.ts";
import { ERROR_CODES } from "../exit.ts";
import { JSON_LINES } from "../manual/json_lines.ts";
import * as v from "./values.ts";

const counts = { messages: v.count, unseen: v.count, bytes: v.bytes, expunged: v.count };

const ofOwner = {
  ...{ mailboxes: v.count, ...counts },
  ...{ deletedMailboxes: v.count, unreadable: v.count },
};

const listedOwner = z
  .strictObject({ type: z.enum(["user", "shared"]), ...v.owner, ...ofOwner })
  .meta({ description: `${JSON_LINES.user}; shared: ${JSON_LINES.shared}` });

const outcome = line("user", {
  ...v.owner,
  ...{ steps: v.count, messages: v.count, bytes: v.bytes, differences: v.count },
  failures: v.count,
  left: v.count.meta({ description: "steps that were planned and not done" }),
  failed: v.bool.meta({ description: "as a whole: an error line says why" }),
});

const listedMailbox = line("mailbox", {
  ...{ ...v.owner, ...v.mailbox, uniqueid: v.text, uidvalidity: v.count, lastUid: v.count },
  ...{ highestmodseq: v.whole, syncCrc: v.count.optional(), syncCrcAnnot: v.count.optional() },
  mailboxtype: v.text.optional(),
  ...counts,
});

const ofStore = { ...v.owner, ...v.mailbox, uniqueid: v.text };

const storedMailbox = line("mailbox", ofStore);

const deleted = line("deleted", {
  ...ofStore,
  deleted: v.time,
});

const owner = line("owner", {
  ...v.owner,
  mailboxes: v.count,
  pending: v.count.meta({ description: "steps in the journal, which the next writer does" }),
});

const message = line("message", {
  ...{ ...v.owner, ...v.mailbox, uid: v.count, flags: v.list(v.text), date: v.mailTime },
  ...{ size: v.bytes, guid: v.guid, modseq: v.whole },
  ...{ from: v.text.optional(), subject: v.text.optional() },
});

const account = line("account", {
  account: v.text,
  allow: v.list(v.text).meta({ description: "users, '*' or shared" }),
});

const finding = line("finding", {
  ...{ code: v.code, severity: z.enum(SEVERITIES), text: v.text },
  ...{ ...v.owner, ...v.maybeMailbox, uid: v.count.optional(), path: v.text.optional() },
  ...{ field: v.text.optional(), expected: v.scalar.optional(), found: v.scalar.optional() },
  other: v.text.optional(),
  repair: v.text.meta({ description: "what a safe repair would do" }),
});

const archive = line("archive", {
  ...{ ...v.owner, path: v.text, runs: v.count, lastRun: v.time.optional() },
  ...{ messages: v.count, bytes: v.bytes },
});

const run = line("run", {
  ...{ ...v.owner, path: v.text, source: v.text, began: v.time, ended: v.time },
  ...{ messages: v.count, bytes: v.bytes, mailboxes: v.count, findings: v.count },
  gaps: v.count.meta({ description: "mailboxes to which mail came that was gone before the run" }),
});

const sample = line("sample", {
  path: v.text,
  members: v
    .list(v.count)
    .optional()
    .meta({ description: "where those begin that were read; absent: all of the archive was" }),
  ...{ ofMembers: v.count, bytes: v.bytes, ofBytes: v.bytes },
});

const gap = line("gap", {
  ...{ ...v.owner, ...v.mailbox, uniqueid: v.text },
  lastUid: v.count.meta({ description: "what the run before has seen; 0: not the mailbox" }),
  highestmodseq: v.whole,
  messages: v.count.optional().meta({ description: "absent where the mailbox was deleted" }),
  since: v.time.optional().meta({ description: "when the run before began" }),
  deleted: v.time.optional().meta({ description: "when the mailbox was, where the place tells" }),
});

const compaction = line("compaction", {
  ...{ path: v.text, messages: v.count, entries: v.count, bytes: v.bytes },
  livePercent: v.count.meta({ description: "of the contents, what is still needed" }),
  before: v.bytes.meta({ description: "size of the archive" }),
  after: v.bytes.optional().meta({ description: "the same, where it was written anew" }),
});

const side = z.enum(["client", "server"]).optional();

const damage = line("damage", {
  ...{ text: v.text, offset: v.bytes.optional(), words: v.text.optional() },
  ...{ time: v.mailTime.optional(), side },
});

const step = line("step", {
  ...{ step: v.text, ...v.owner, ...v.maybeMailbox },
  name: v.text.optional().meta({ description: "of what is no mailbox" }),
  at: z.enum(["A", "B"]).optional(),
  from: v.mailboxObject.optional(),
  owner: v.text.optional().meta({ description: "whose part of the store it is, as in user:ann" }),
  ...{ uniqueid: v.text.optional(), records: v.count.optional() },
  ...{ messages: v.count.optional(), bytes: v.bytes.optional() },
  ...{ kind: v.text.optional(), uid: v.count.optional(), text: v.text.optional() },
  newUid: v.count.optional().meta({ description: "of a restored message, whose old one is uid" }),
  guid: v.guid.optional(),
});

const difference = line("difference", {
  ...{ ...v.owner, kind: v.text, ...v.maybeMailbox, name: v.text.optional() },
  ...{ uid: v.count.optional(), text: v.text },
});

const spoken = line("line", {
  ...{ time: v.mailTime.optional(), side, text: v.text.optional() },
  ...{ words: v.list(v.text).optional(), name: v.text.optional() },
  value: z.unknown().optional().meta({ description: "a dlist; other than UTF-8 is base64" }),
});

const item = line("item", {
  key: v.text,
  value: z.unknown(),
});

const listening = line("listening", {
  ...{ addresses: v.list(v.text), backupAddresses: v.list(v.text) },
});

const progress = line("progress", {
  unit: z.enum(["messages", "mailboxes", "users"]),
  ...{ done: v.count, total: v.count, bytes: v.bytes },
  percent: z.number().min(0),
});

const error = line("error", {
  ...{ code: z.enum(ERROR_CODES), text: v.text, hint: v.text.optional() },
  ...{ ...v.owner, ...v.maybeMailbox, name: v.text.optional(), uid: v.count.optional() },
  reason: v.text.optional().meta({ description: "why a place has refused it" }),
  setting: v.text.optional(),
  context: z
    .record(v.text, v.scalar)
    .optional()
    .meta({ description: "what else is known, such as path, host, errno" }),
});

/** On stderr. What else is known of an event has names of its own. */
const log = z
  .object({
    ...{ type: z.literal("log"), time: v.time, level: z.enum(LOG_LEVELS), text: v.text },
    ...{ peer: v.text.optional(), session: v.count.optional(), account: v.text.optional() },
  })
  .catchall(z.union([v.text, z.number(), v.bool]))
  .meta({ description: JSON_LINES.log });

export const LINES = [
  ...[listedOwner, outcome, listedMailbox, storedMailbox, deleted, owner, message, account],
  ...[archive, run, gap, compaction, sample],
  ...[finding, damage, step, difference, spoken, item, listening, progress, error, log],
] as const;

/** A line of `--json` that is no summary. */
export type Line = z.infer<(typeof LINES)[number]>;

export type ErrorFacts = Omit<z.infer<typeof error>, "type" | "text">;

function line<Type extends keyof typeof JSON_LINES, Shape extends z.ZodRawShape>(
  type: Type,
  shape: Shape,
) {
  const description = JSON_LINES[type];
  return z.strictObject({ type: z.literal(type), ...shape }).meta({ description });
}
