/** APPLY commands as bytes that servers of every version accept (sync-protocol.md 2.3, 4). */
import { concat, utf8 } from "../../core/bytes.ts";
import type {
  ApplyMailbox,
  ApplySieve,
  ApplyUnannotation,
  RestoreMailbox,
} from "../../model/apply.ts";
import { isIntermediate } from "../../model/mailbox.ts";
import type { VirtualOrder } from "../../model/record.ts";
import { printLine, printValue } from "../dlist/print.ts";
import { dlistKvlist, NIL } from "../dlist/value.ts";
import { printApply } from "./apply_command.ts";
import { printRecord } from "./record_line.ts";
import { annotationAddress } from "./user_lines.ts";

const CLIENT = { from: "client" } as const;
const RECORDS_END = utf8("))");
const SPACE = utf8(" ");

/** `SIEVE %(…)` with its script as a literal, as 2.4 stores an empty script otherwise. */
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

/** `ANNOTATION %(… VALUE NIL)`, by which 2.4 removes an annotation. */
export function printRemoval(command: ApplyUnannotation): Uint8Array {
  const value = dlistKvlist([...annotationAddress(command), ["VALUE", NIL]]);
  return printLine("ANNOTATION", value, CLIENT);
}

/**
 * Gives `MAILBOX %(… RECORD (…))` to `put` in pieces, so that a mailbox of a million messages is
 * never held as text. Where `put` returns a promise, it is awaited.
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
