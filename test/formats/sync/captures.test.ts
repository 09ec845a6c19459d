/** Every message of every transcript, read into values and printed again. */
import { describe, expect, test } from "bun:test";
import { latin1 } from "../../../src/core/bytes.ts";
import { printLine } from "../../../src/formats/dlist/print.ts";
import type { DlistEntry } from "../../../src/formats/dlist/value.ts";
import { type Answer, parseAnswer, printAnswer } from "../../../src/formats/sync/answer.ts";
import {
  type ApplyRequest,
  parseApply,
  printApply,
} from "../../../src/formats/sync/apply_command.ts";
import { type GetCommand, parseGet, printGet } from "../../../src/formats/sync/get_command.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { CAPTURE_SETS, capturesOf, linesOfSide, type Side } from "../../support/captures.ts";
import { parseLine } from "../../support/dlist_line.ts";

interface Message {
  readonly where: string;
  readonly side: Side;
  readonly verb: string;
  readonly entry: DlistEntry;
  readonly text: string;
}

/** The dlist lines of a set; those of the broken-input capture are for the server's tests. */
function messagesOf(set: (typeof CAPTURE_SETS)[number]): Message[] {
  const found: Message[] = [];
  for (const { name, connections } of capturesOf(set)) {
    if (name.includes("malformed")) continue;
    for (const connection of connections) {
      for (const side of ["C", "S"] as const) {
        for (const { bytes, line } of linesOfSide(connection, side)) {
          if (line.kind !== "dlist") continue;
          const start = side === "S" ? 2 : line.words.join(" ").length + 1;
          const text = latin1(bytes.subarray(start)).replace(/\r\n$/, "");
          const verb = (line.words.at(-1) ?? "").toUpperCase();
          const where = `${name} ${connection.id}${side}`;
          found.push({ where, side, verb, entry: parseLine(bytes.subarray(start)), text });
        }
      }
    }
  }
  return found;
}

type Value = Answer | ApplyRequest | GetCommand | undefined;

async function read(message: Message): Promise<Value> {
  const { name, value } = message.entry;
  if (message.side === "S") return parseAnswer(name, value);
  return message.verb.endsWith("GET") ? parseGet(name, value) : parseApply(name, value);
}

/** What a version prints may differ in two orders only. */
async function prints(message: Message, value: NonNullable<Value>): Promise<string[]> {
  const from = message.side === "C" ? "client" : "server";
  const found: string[] = [];
  for (const virtualOrder of ["3.2", "master"] as const) {
    for (const quotaNames of ["both", "old"] as const) {
      const options = { virtualOrder, quotaNames };
      let entry: DlistEntry;
      if (message.side === "S") entry = printAnswer(value as Answer, options);
      else if (message.verb.endsWith("GET")) entry = printGet(value as GetCommand);
      else {
        const records = await recordsIn(value as ApplyRequest);
        entry = printApply(value as ApplyRequest, { ...options, records });
      }
      found.push(latin1(printLine(entry.name, entry.value, { from })));
    }
  }
  return found;
}

async function recordsIn(request: ApplyRequest): Promise<MailRecord[]> {
  const records: MailRecord[] = [];
  if (request.kind !== "mailbox") return records;
  for await (const batch of request.records.batches()) records.push(...batch);
  return records;
}

/**
 * Typed by hand in the scripts that made the captures: other key orders, lower case, literals where
 * Cyrus makes none, missing or unknown keys. They must read back to the same value, not to the same
 * bytes.
 */
const TYPED = /50-raw-apply|39-unknown|41-get|43-restart|44-wrong-guid|42-get-fetch|34-uniqueid/;
/** No such commands, or no such arguments: the reader must say so. */
const REFUSED =
  /^(NONSENSE|SEEN u2|SEEN v1|SIEVE u1|SUB u1|RACL|MAILBOX %\(UNIQUEID abc\)|MAILBOX \(a)/;

describe("the messages of the protocol", () => {
  test.each([...CAPTURE_SETS])("read and print every message of %s", async (set) => {
    const wrong: string[] = [];
    let same = 0;
    for (const message of messagesOf(set)) {
      if (REFUSED.test(message.text)) continue;
      const value = await read(message);
      if (value === undefined) {
        wrong.push(`${message.where} not read: ${message.text}`);
        continue;
      }
      const texts = await prints(message, value);
      if (texts.includes(message.text)) same++;
      else if (!TYPED.test(message.where)) {
        wrong.push(`${message.where}\n  ${message.text}\n  ${texts[0]}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(same).toBeGreaterThan(600);
  });

  test.each([...CAPTURE_SETS])(
    "printing and reading again gives the same values: %s",
    async (set) => {
      for (const message of messagesOf(set)) {
        if (REFUSED.test(message.text)) continue;
        const value = await read(message);
        if (value === undefined) throw new Error(message.text);
        const [text = ""] = await prints(message, value);
        const again = await read({
          ...message,
          entry: parseLine(new Uint8Array(Buffer.from(text, "latin1"))),
        });
        expect(await comparable(again)).toEqual(await comparable(value));
      }
    },
  );
});

/** Record sources compare by what they hold. */
async function comparable(value: Value): Promise<unknown> {
  if (value?.kind !== "mailbox" || !("records" in value)) return value;
  if (Array.isArray(value.records)) return value;
  return { ...value, records: await recordsIn(value as ApplyRequest) };
}
