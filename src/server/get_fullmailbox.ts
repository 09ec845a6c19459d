/** `GET FULLMAILBOX <name>`: one MAILBOX line with every record, sent as they are read. */
import { utf8 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { printValue } from "../formats/dlist/print.ts";
import { printMailboxOpening, RECORDS_END } from "../formats/sync/answer.ts";
import type { GetCommand } from "../formats/sync/get_command.ts";
import { printRecord } from "../formats/sync/record_line.ts";
import type { RecordSource } from "../model/mailbox.ts";
import { DONE, type Outcome, type Refusal, refused } from "../model/outcome.ts";
import type { CommandContext } from "./context.ts";
import { absent, mayTouchMailbox } from "./scope.ts";

const SPACE = utf8(" ");

export async function getFullmailbox(
  command: Extract<GetCommand, { kind: "fullmailbox" | "annotation" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { name } = command;
  if (!mayTouchMailbox(context.scope, name)) return absent(name);
  const found = await context.place.readMailbox(name);
  if (found.kind === "refused") return found;
  const { state, records } = found.value;
  const damage = await firstDamage(records);
  if (damage !== undefined) return damage;
  await context.sendPieces(async (put) => {
    await put(printMailboxOpening(state));
    let isFirst = true;
    for await (const batch of records.batches()) {
      for (const record of batch) {
        if (!isFirst) await put(SPACE);
        isFirst = false;
        await put(printValue(printRecord(record), { from: "server" }));
      }
    }
    await put(utf8(RECORDS_END));
  });
  return DONE;
}

/**
 * Goes through the records once before the first is sent: an answer that has begun cannot become a NO, and the
 * client would come again and again to a connection that breaks.
 */
async function firstDamage(records: RecordSource): Promise<Refusal | undefined> {
  try {
    for await (const _ of records.batches());
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") {
      return refused("damaged", error.message);
    }
    throw error;
  }
}
