/** `GET FETCH %(…)`: one message, as a file literal; `NIL` if it is there and damaged. */

import { absent, mayTouchMailbox } from "../../accounts/scope.ts";
import { assert } from "../../core/assert.ts";
import { utf8 } from "../../core/bytes.ts";
import { printFileHead } from "../../formats/dlist/print.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { DONE, type Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";

export async function getFetch(
  command: Extract<GetCommand, { kind: "fetch" }>,
  context: CommandContext,
): Promise<Outcome> {
  const { mailbox, uniqueid, partition, uid, guid } = command;
  if (!mayTouchMailbox(context.scope, mailbox)) return absent(mailbox);
  const found = await context.place.message({ mailbox, uniqueid, partition, uid, guid });
  if (found.kind === "refused") {
    if (found.reason !== "damaged") return found;
    context.log.write("error", "Message is damaged and not served", {
      mailbox,
      uid,
      guid,
      why: found.text,
    });
    await context.send({ kind: "message", file: null });
    return DONE;
  }
  const { size } = found.value;
  await context.sendPieces(async (put) => {
    await put(utf8("MESSAGE "));
    await put(printFileHead({ kind: "file", partition, guid, size }, { from: "server" }));
    let sent = 0;
    for await (const chunk of found.value.chunks()) {
      sent += chunk.length;
      await put(chunk);
    }
    assert(sent === size, `message ${guid} has as many bytes as its place said`);
  });
  return DONE;
}
