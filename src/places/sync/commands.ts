/** Commands as bytes, in the forms that servers of every version take (sync-protocol.md 2.3, 4.2, 4.3). */
import { concat, utf8 } from "../../core/bytes.ts";
import { printLine, printValue } from "../../formats/dlist/print.ts";
import { type DlistEntry, type DlistValue, dlistKvlist } from "../../formats/dlist/value.ts";
import { printApply } from "../../formats/sync/apply_command.ts";
import { printRecord } from "../../formats/sync/record_line.ts";
import type { ApplyMailbox, ApplySieve, RestoreMailbox } from "../../model/apply.ts";
import { isIntermediate } from "../../model/mailbox.ts";
import type { MailRecord, VirtualOrder } from "../../model/record.ts";

const CLIENT = { from: "client" } as const;
const RECORDS_END = utf8("))");
const SPACE = utf8(" ");

/** `SIEVE %(…)` with its script as a literal: 2.4 stores an empty one otherwise. */
export function printSieve(command: ApplySieve): Uint8Array {
  const { name, value } = printApply({ ...command, content: new Uint8Array() });
  const entries = value.kind === "kvlist" ? value.entries : [];
  const others = entries.filter((entry) => entry.name !== "CONTENT");
  const opening = printLine(
    name,
    dlistKvlist(others.map((one) => [one.name, one.value] as const)),
    CLIENT,
  ).subarray(0, -1);
  const head = utf8(` CONTENT {${command.content.length}+}\r\n`);
  return concat([opening, head, command.content, utf8(")")]);
}

/**
 * `MAILBOX %(… RECORD (…))` in pieces, so that a mailbox of a million messages is never held as text. `put`'s
 * promise, if there is one, is waited for.
 */
export async function putMailbox(
  command: ApplyMailbox | RestoreMailbox,
  put: (bytes: Uint8Array) => Promise<void> | undefined,
  order: VirtualOrder = "3.2",
): Promise<void> {
  const { name, value } = printApply(command);
  const opening = printLine(name, value, CLIENT);
  if (command.kind === "mailbox" && isIntermediate(command.state)) {
    await put(opening); // it has no records
    return;
  }
  await put(opening.subarray(0, -RECORDS_END.length));
  let isFirst = true;
  for await (const batch of command.records.batches()) {
    const parts: Uint8Array[] = [];
    for (const record of batch) {
      if (!isFirst) parts.push(SPACE);
      parts.push(printValue(printRecord(record, order), CLIENT));
      isFirst = false;
    }
    await put(concat(parts));
  }
  await put(RECORDS_END);
}

/** Bytes of the longest string in an entry. */
export function longestString({ value }: DlistEntry): number {
  return longest(value);
}

function longest(value: DlistValue): number {
  switch (value.kind) {
    case "string":
    case "flag":
      return value.bytes.length;
    case "list":
      return value.items.reduce((most, item) => Math.max(most, longest(item)), 0);
    case "kvlist":
      return value.entries.reduce((most, entry) => Math.max(most, longest(entry.value)), 0);
    default:
      return 0;
  }
}

/** A flag is printed as it stands: nothing in it may end the atom. */
const FLAG = /^\\?[^\s(){}%*"\\\x00-\x1f\x7f]+$/;

export interface RecordLimits {
  /** Bytes of a literal. */
  readonly literalBytes: number;
  /** Cyrus ends its process over a new message of no bytes, without GUID or of unknown date. */
  readonly isCyrus: boolean;
}

/** Why a record cannot be sent, or undefined. */
export function objectionTo(record: MailRecord, limits: RecordLimits): string | undefined {
  const flag = record.flags.find((one) => !FLAG.test(one));
  if (flag !== undefined) return `the flag ${flag} cannot be sent`;
  const { literalBytes, isCyrus } = limits;
  const long = record.annotations.find((one) => one.value.length > literalBytes);
  if (long !== undefined) {
    return `annotation ${long.entry} has ${long.value.length} bytes, more than the server takes`;
  }
  if (!isCyrus || record.expunged) return undefined;
  if (/^0+$/.test(record.guid)) return "it has no GUID";
  if (record.size === 0) return "it has no bytes";
  return record.internaldate === 0 ? "it has no internaldate" : undefined;
}
