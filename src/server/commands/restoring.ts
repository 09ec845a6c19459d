/**
 * `RESTORE MAILBOX %(…)`: the append of the first backup system (sync-protocol.md 4.2), made of
 * what every place can do. In a mailbox that is there the records come behind all others, under new
 * UIDs. A new mailbox takes the identity that it is given only if all of it is given.
 */
import { randomUUID } from "node:crypto";
import { OWNER_RIGHTS } from "../../model/acl.ts";
import type { ApplyMailbox, RestoreMailbox } from "../../model/apply.ts";
import { type MailboxState, recordsOf } from "../../model/mailbox.ts";
import { useridOf } from "../../model/names.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { CommandContext } from "../session/context.ts";
import { mailboxRefusal, putMailbox } from "./writing.ts";

/** Attempts at looking and appending: somebody else may write in between. */
const ATTEMPTS = 5;

/** RESTORE MAILBOX: appends the staged messages to a mailbox, which is made if need be. */
export async function restoreMailbox(
  command: RestoreMailbox,
  context: CommandContext,
): Promise<Outcome> {
  const { name, state: given } = command;
  const refusal = mailboxRefusal({ ...given, name }, context);
  if (refusal !== undefined) return refusal;
  for (let attempt = 1; ; attempt++) {
    const found = await context.place.mailboxes([name]);
    if (found.kind === "refused") return found;
    const [state] = found.value;
    const mailbox = state === undefined ? newMailbox(command, context) : state;
    const append = await appendOf(command, mailbox, { isNew: state === undefined });
    const outcome = await putMailbox(append, context, { force: false });
    const isRace = outcome.kind === "refused" && /changed|checksum|moved/.test(outcome.reason);
    if (!isRace || attempt === ATTEMPTS) return outcome;
  }
}

/** The state of a mailbox that is to be made. */
function newMailbox(command: RestoreMailbox, context: CommandContext): MailboxState {
  const { name, state } = command;
  const { uniqueid, uidvalidity, highestmodseq } = state;
  const isWhole =
    uniqueid !== undefined && uidvalidity !== undefined && highestmodseq !== undefined;
  const identity = isWhole
    ? { uniqueid, uidvalidity, highestmodseq }
    : { uniqueid: randomUUID(), uidvalidity: context.now(), highestmodseq: 0n };
  const owner = useridOf(name);
  return {
    name,
    lastUid: 0,
    ...{ recentUid: 0, recentTime: 0, lastAppenddate: context.now(), pop3LastLogin: 0 },
    partition: state.partition ?? "default",
    acl: state.acl ?? (owner === undefined ? "" : `${owner}\t${OWNER_RIGHTS}\t`),
    options: state.options ?? "",
    annotations: state.annotations ?? [],
    ...(state.type === undefined ? {} : { type: state.type }),
    ...identity,
  };
}

/**
 * The command that puts the records behind all that `state` has. Its checksums are left open, since
 * the contents of the whole mailbox are not known here.
 */
async function appendOf(
  command: RestoreMailbox,
  state: MailboxState,
  { isNew }: { readonly isNew: boolean },
): Promise<ApplyMailbox> {
  const modseq = isNew && state.highestmodseq > 0n ? state.highestmodseq : state.highestmodseq + 1n;
  const records: MailRecord[] = [];
  let lastUid = state.lastUid;
  for await (const batch of command.records.batches()) {
    for (const record of batch) {
      lastUid = isNew ? Math.max(lastUid + 1, record.uid) : lastUid + 1;
      records.push({ ...record, uid: lastUid, modseq, createdmodseq: modseq });
    }
  }
  return {
    kind: "mailbox",
    state: { ...state, lastUid, highestmodseq: modseq, syncCrc: 0, syncCrcAnnot: 0 },
    records: recordsOf(records),
    ...(isNew ? {} : { since: { modseq: state.highestmodseq } }),
    ...(command.isLocal === undefined ? {} : { isLocal: command.isLocal }),
  };
}
