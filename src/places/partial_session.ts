/**
 * A session that takes a mailbox without the messages that cannot be had, where others refuse the
 * mailbox as a whole: for backups and restores, in which nearly all is better than nothing.
 */
import type { ApplyCommand, ApplyMailbox } from "../model/apply.ts";
import type { Guid } from "../model/guid.ts";
import { recordsWhere } from "../model/mailbox.ts";
import type { Outcome, Refusal } from "../model/outcome.ts";
import type { MailRecord } from "../model/record.ts";
import { basicRecordCrc, flagsCrc } from "../model/sync_crc.ts";
import type { ApplyOptions, PlaceSession } from "./place.ts";

export interface PartialOptions {
  /** The target has the message already, wherever, and needs none. */
  readonly isThere?: (guid: Guid) => boolean;
}

/**
 * `session` with `lacks`. A mailbox that lacks messages is applied without them, and the answer is
 * the refusal of the first: so it is told, and counts as not whole.
 */
export function takingTheRest(
  session: PlaceSession,
  { isThere = () => false }: PartialOptions = {},
): PlaceSession {
  const lacking = new Map<Guid, Refusal>();
  const apply = async (command: ApplyCommand, options?: ApplyOptions): Promise<Outcome> => {
    if (command.kind !== "mailbox" || lacking.size === 0) return session.apply(command, options);
    const isLost = ({ guid, expunged }: MailRecord): boolean =>
      !expunged && lacking.has(guid) && !isThere(guid);
    const lost: MailRecord[] = [];
    for await (const batch of command.records.batches()) {
      for (const record of batch) if (isLost(record)) lost.push(record);
    }
    const [first] = lost;
    if (first === undefined) return session.apply(command, options);
    const done = await session.apply(without(lost, command, isLost), options);
    return done.kind === "refused" ? done : lostText(lost.length, lacking.get(first.guid) ?? done);
  };
  return {
    reserve: (request) => session.reserve(request),
    stage: (message) => {
      lacking.delete(message.guid); // another mailbox had it
      return session.stage(message);
    },
    lacks: async (guid, _mailbox, refusal) => void lacking.set(guid, refusal),
    flush: () => session.flush(),
    apply,
    restart: () => {
      lacking.clear();
      return session.restart();
    },
    cut: () => session.cut?.(),
    close: () => session.close(),
  };
}

/** The mailbox as if these had never been in it. */
function without(
  lost: readonly MailRecord[],
  command: ApplyMailbox,
  isLost: (record: MailRecord) => boolean,
): ApplyMailbox {
  const { state, records } = command;
  const sum = lost.reduce((crc, one) => crc ^ basicRecordCrc(one, flagsCrc(one.flags)), 0);
  // 0 says that the sum is not known.
  const syncCrc = state.syncCrc ? (state.syncCrc ^ sum) >>> 0 : 0;
  return {
    ...command,
    state: { ...state, syncCrc, syncCrcAnnot: 0 },
    records: recordsWhere(records, (record) => !isLost(record)),
  };
}

function lostText(count: number, refusal: Outcome): Outcome {
  if (count === 1 || refusal.kind === "ok") return refusal;
  return { ...refusal, text: `${refusal.text}; so are ${count - 1} more of the mailbox` };
}
