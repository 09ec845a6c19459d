/** `GET FULLMAILBOX <name>`: one MAILBOX line with every record, sent as they are read, others being served in between. */
import { setImmediate as othersTurn } from "node:timers/promises";
import { absent, mayTouchMailbox } from "../../accounts/scope.ts";
import { utf8 } from "../../core/bytes.ts";
import { printValue } from "../../formats/dlist/print.ts";
import { printMailboxOpening, RECORDS_END } from "../../formats/sync/answer.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { printRecord } from "../../formats/sync/record_line.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import { firstDamage } from "../../places/first_damage.ts";
import type { MailboxReading } from "../../places/place.ts";
import type { CommandContext } from "../session/context.ts";

const SPACE = utf8(" ");
/** A millisecond's worth. */
const RECORDS_AT_A_TIME = 100;

export async function getFullmailbox(
  command: Extract<GetCommand, { kind: "fullmailbox" | "annotation" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { name } = command;
  if (!mayTouchMailbox(context.scope, name)) return absent(name);
  const found = await context.place.readMailbox(name);
  if (found.kind === "refused") return found;
  const reading = found.value;
  // An answer that has begun cannot become a NO, and the client would come again and again to a connection that breaks.
  const damage = reading.isSound ? undefined : await firstDamage(reading.records);
  if (damage !== undefined) return damage;
  const { keptBytes = 0 } = reading;
  // However slowly the client takes it, the mailbox as it was stays in memory until then.
  if (!context.held.take(keptBytes)) return refused("busy", "room in memory");
  try {
    await send(reading, context);
  } finally {
    context.held.give(keptBytes);
  }
  return DONE;
}

function send({ state, records }: MailboxReading, context: CommandContext): Promise<void> {
  return context.sendPieces(async (put) => {
    await put(printMailboxOpening(state));
    let count = 0;
    for await (const batch of records.batches()) {
      for (const record of batch) {
        if (count > 0) await put(SPACE);
        await put(printValue(printRecord(record), { from: "server" }));
        count++;
        if (count % RECORDS_AT_A_TIME === 0) await othersTurn();
      }
    }
    await put(utf8(RECORDS_END));
  });
}
