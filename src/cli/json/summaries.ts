/**
 * The last line of `--json`: the command, its exit code, and what was done, also where the command
 * was ended before its time.
 */
import { z } from "zod";
import { JSON_LINES } from "../manual/json_lines.ts";
import * as v from "./values.ts";

const settings = {
  ...{ root: v.text, format: v.count, hash: v.bool, indexVersion: v.count },
  ...{ pool: z.enum(["link", "copy"]), retentionDays: v.count },
};

const compared = v
  .list(v.text)
  .meta({ description: "what one of the two places cannot hold, and so was not compared" });

const replicated = z.strictObject({
  ...{ users: v.count, failedUsers: v.count, leftUsers: v.count, braked: v.count },
  ...{ bugs: v.count, steps: v.count, left: v.count, differences: v.count },
  ...{ failures: v.count, messages: v.count, bytes: v.bytes },
  ...{ notCompared: compared, dryRun: v.bool },
});

const checked = z.strictObject({
  ...{ mailboxes: v.count, messages: v.count, messagesRead: v.count, messagesLeft: v.count },
  ...{ bytesRead: v.bytes, elapsedMs: v.count, unstable: v.count, unreadable: v.count },
  findings: z.partialRecord(v.code, v.count),
});

/** What each command counts. Of several forms the first is the usual one. */
const SUMMARIES = {
  fsck: checked,
  serve: z.strictObject({
    ...{ sessions: v.count, commands: v.count, messages: v.count },
    ...{ bytesIn: v.bytes, bytesOut: v.bytes },
  }),
  passwd: z.union([
    z.strictObject({ account: v.text, done: z.enum(["made", "changed", "removed"]) }),
    z.strictObject({ accounts: v.count }),
  ]),
  ls: z.union([
    z.strictObject({
      ...{ users: v.count, shared: v.count, mailboxes: v.count, messages: v.count },
      bytes: v.bytes,
    }),
    z.strictObject({
      ...{ mailboxes: v.count, messages: v.count, unseen: v.count, bytes: v.bytes },
      ...{ expunged: v.count, unreadable: v.count },
    }),
    z.strictObject({ messages: v.count }),
  ]),
  dlist: z.union([
    z.strictObject({
      commands: v.count,
      owners: v
        .list(z.strictObject({ ...v.owner, missing: v.list(v.mailboxObject) }))
        .meta({ description: "who is complete, and which mailboxes could not be put into it" }),
      damagedAt: v.bytes.nullable(),
    }),
    z.strictObject({ lines: v.count, broken: v.count }),
  ]),
  "dlist talk": z.strictObject({ commands: v.count }),
  "store init": z.strictObject(settings),
  "store info": z.union([
    z.strictObject({
      ...settings,
      ...{ owners: v.count, mailboxes: v.count, pending: v.count, failed: v.count },
    }),
    z.strictObject({ ...v.owner, mailboxes: v.count, deleted: v.count }),
  ]),
  "store rename": z.strictObject({ renamed: v.count }),
  "store delete": z.strictObject({ deleted: v.count }),
  "store undelete": z.strictObject({ undeleted: v.count }),
  "store gc": z.strictObject({
    ...{ unlinked: v.count, poolFiles: v.count, poolBytes: v.bytes },
    ...{ trash: v.count, leftovers: v.count, failed: v.count },
  }),
  "store reconstruct": z.strictObject({ changed: v.count, left: v.count }),
  replicate: replicated,
  "backup run": replicated.extend({
    gaps: v.count.meta({
      description: "mailboxes to which mail came that was gone before the run",
    }),
    notDue: v.count.meta({ description: "users left out by --if-older" }),
  }),
  "backup restore": replicated,
  "backup list": z.strictObject({
    ...{ archives: v.count, runs: v.count, messages: v.count, bytes: v.bytes, failed: v.count },
  }),
  "backup verify": checked.extend({
    sample: z
      .strictObject({
        ...{ percent: v.count, seed: v.text, members: v.count, ofMembers: v.count },
        ...{ bytes: v.bytes, ofBytes: v.bytes },
      })
      .optional()
      .meta({ description: "the part of the archives that was read, where it was not all" }),
  }),
  "backup compact": z.strictObject({
    ...{ archives: v.count, compacted: v.count, messages: v.count, bytes: v.bytes },
    ...{ damaged: v.count, failed: v.count, dryRun: v.bool },
  }),
  "backup rebuild": z.strictObject({ rebuilt: v.count, failed: v.count }),
  diff: z.strictObject({
    ...{ users: v.count, mailboxes: v.count, messages: v.count },
    ...{ differences: v.count, failures: v.count, notCompared: compared },
  }),
} as const;

export type Counted = keyof typeof SUMMARIES;

/** What the command `Name` counts. */
export type Counts<Name extends Counted = Counted> = z.infer<(typeof SUMMARIES)[Name]>;

/** The last line, as a command gives it. */
export type Summary = { readonly command?: string | undefined; readonly exit: number } & (
  | Counts
  | Readonly<Record<never, never>>
);

const ended = { type: z.literal("summary"), exit: v.count };

/** A command that was refused before it could count anything has no counts. */
const bare = z.strictObject({ ...ended, command: v.text.optional() });

export const summary = z
  .union([bare, ...Object.entries(SUMMARIES).flatMap(([command, schema]) => of(command, schema))])
  .meta({ description: JSON_LINES.summary });

function of(command: string, schema: (typeof SUMMARIES)[Counted]): z.ZodObject[] {
  const forms = "options" in schema ? schema.options : [schema];
  return forms.map(({ shape }) =>
    z.strictObject({ ...ended, command: z.literal(command), ...shape }),
  );
}
