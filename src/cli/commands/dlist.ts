/** `bobbin dlist FILE` prints and checks a dump or a telemetry log. */
import { closeSync, fstatSync } from "node:fs";
import { breathe } from "../../core/breathe.ts";
import { latin1 } from "../../core/bytes.ts";
import { plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { readAt } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { DlistReader, type ReaderEvent, type ReaderOptions } from "../../formats/dlist/reader.ts";
import { expectDumpLine } from "../../formats/sync/dump_line.ts";
import { expectAnswer, expectCommand } from "../../formats/sync/expectations.ts";
import { maskSecrets } from "../../formats/sync/masking.ts";
import { parseTelemetry, type TelemetryPiece } from "../../formats/sync/telemetry.ts";
import { openDump } from "../../places/dump/read_dump.ts";
import { scanDump } from "../../places/dump/scan.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import type { Counts } from "../json/summaries.ts";
import { nameFacts, ownerFacts } from "../mailbox_names.ts";
import { addPlaceOptions } from "../open_place.ts";
import { formatTime } from "../text.ts";
import { runTalk } from "./dlist_talk.ts";
import { dlistJson, dlistLines } from "./dlist_text.ts";

export const registerDlist: Register = (program, handle) => {
  const dlist = program
    .command("dlist")
    .summary("print and check a dump, or a telemetry log of Cyrus")
    .description(
      "Prints a dump as text and checks its checksums, or prints a telemetry log of Cyrus. " +
        "Exit code 1 says that something in it is damaged; it is printed as far as the damage.",
    )
    .argument("<file>", "a dump, or a telemetry log; - is stdin")
    .action(handle(runDlist));
  const talk = dlist
    .command("talk")
    .summary("speak the protocol by hand")
    .description(
      "Signs in to a sync server and sends what you type, one command a line: GET USER fred. " +
        "{{text}} is sent as a literal. Within IMAP tags are added. Passwords are never shown.",
    )
    .argument("<place>", "sync://USER@HOST, syncs://… or imap://…");
  addPlaceOptions(talk).action(handle(runTalk));
};

const runDlist: Handler<"dlist"> = async ([path = ""], _options, env) => {
  const fd = await openDump(String(path));
  try {
    const start = new Uint8Array(5);
    readAt(fd, start, 0);
    if (latin1(start) === "DUMP ") return await printDump(fd, env);
    return await printTelemetry(fd, String(path), env);
  } finally {
    closeSync(fd);
  }
};

/** Checks the sums first, then prints the lines that they confirm. */
async function printDump(fd: number, env: DlistEnv): Promise<CommandResult<"dlist">> {
  const { output } = env;
  let damage: { readonly offset: number; readonly why: string } | undefined;
  const owners: CompleteOwner[] = [];
  let commands = 0;
  const counts = () => ({ commands, owners, damagedAt: damage?.offset ?? null });
  env.soFar(counts);
  for (const line of scanDump(fd, DEFAULT_LIMITS)) {
    await breathe();
    if (line.kind === "command") commands += 1;
    if (line.kind === "complete") {
      const missing = line.missing.map(({ name }) => nameFacts(name));
      owners.push({ ...ownerFacts(line.owner), missing });
    }
    if (line.kind === "damage") damage = line;
  }
  const printer = new LinePrinter(env, { expect: expectDumpLine });
  const end = damage?.offset ?? Number.MAX_SAFE_INTEGER;
  for (let at = 0; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    const got = readAt(fd, chunk, at);
    if (got === 0) break;
    printer.take(chunk.subarray(0, got));
    at += got;
    await breathe();
  }
  const complete = owners.map(nameOf).join(", ") || "no one";
  if (damage === undefined) {
    output.talk(`Sound: ${plural(commands, "command")}, complete: ${complete}`);
    return { exit: EXIT.ok, summary: counts() };
  }
  const { offset, why } = damage;
  output.object({ type: "damage", text: why, offset });
  output.line(`Damaged at byte ${offset}: ${escapeText(why)}`);
  output.talk(`Complete before it: ${complete}`);
  return { exit: EXIT.damage, summary: counts() };
}

type DlistEnv = CommandEnv<"dlist">;

/** An owner who is whole in a dump, but for mailboxes that could not be put into it. */
type CompleteOwner = Extract<Counts<"dlist">, { owners: unknown }>["owners"][number];

function nameOf({ user, toplevel, missing }: CompleteOwner): string {
  const lacks = missing.map(({ mailbox }) => mailbox).join(", ");
  return `${user ?? toplevel}${lacks === "" ? "" : ` (without ${lacks})`}`;
}

const CHUNK_BYTES = 256 * 1024;
const LOG_BYTES = 1024 ** 3;

async function printTelemetry(
  fd: number,
  path: string,
  env: DlistEnv,
): Promise<CommandResult<"dlist">> {
  const { size } = fstatSync(fd);
  if (size > LOG_BYTES) {
    throw new AppError("bad_data", `Cannot read ${path}: it is larger than a GiB`);
  }
  const bytes = new Uint8Array(size);
  const pieces = parseTelemetry(bytes.subarray(0, readAt(fd, bytes, 0)));
  if (pieces === undefined) {
    throw new AppError("bad_data", `${path} is neither a dump nor a telemetry log of Cyrus`);
  }
  const sides = {
    client: new LinePrinter(env, { expect: expectCommand }),
    server: new LinePrinter(env, { expect: expectAnswer }),
  };
  const counts = () => ({
    lines: sides.client.lines + sides.server.lines,
    broken: sides.client.broken + sides.server.broken,
  });
  env.soFar(counts);
  for (const piece of pieces) {
    sides[piece.side].take(piece.bytes, piece);
    await breathe();
  }
  for (const side of [sides.client, sides.server]) side.end();
  return { exit: counts().broken > 0 ? EXIT.damage : EXIT.ok, summary: counts() };
}

type Sent = Pick<TelemetryPiece, "side" | "time">;

/** Prints the lines of one direction of a connection, each when it is complete. */
class LinePrinter {
  lines = 0;
  /** Lines that could not be read. */
  broken = 0;
  readonly #env: CommandEnv;
  readonly #reader: DlistReader;

  constructor(env: CommandEnv, { expect }: Pick<ReaderOptions, "expect">) {
    this.#env = env;
    this.#reader = new DlistReader({ limits: DEFAULT_LIMITS, expect });
  }

  /** Takes bytes; when and by which side they were sent is told of each line they complete. */
  take(bytes: Uint8Array, sent?: Sent): void {
    for (const event of this.#reader.feed(bytes)) this.#print(event, sent);
  }

  /** Reports an unfinished last line. */
  end(): void {
    const left = this.#reader.end();
    if (left !== undefined) this.#print(left);
  }

  #print(event: ReaderEvent, sent?: Sent): void {
    const { output } = this.#env;
    const facts = sent && { time: formatTime(sent.time), side: sent.side };
    const mark = facts === undefined ? "" : `${facts.time} ${facts.side === "client" ? "C" : "S"} `;
    if (event.kind === "text") {
      const text = maskSecrets([...event.words, latin1(event.text)].join(" ").trimEnd());
      output.line(`${mark}${escapeText(text)}`);
      output.object({ type: "line", ...facts, text });
    } else if (event.kind === "malformed") {
      this.broken += 1;
      const words = event.words.join(" ");
      output.line(`${mark}${escapeText(words)} cannot be read: ${event.error.message}`);
      output.object({ type: "damage", ...facts, words, text: event.error.message });
    } else if (event.kind === "dlist") {
      const head = [...event.words, ...(event.words.at(-1) === event.name ? [] : [event.name])];
      const [first = "", ...others] = dlistLines(escapeText(head.join(" ")), event.value);
      output.line(`${mark}${first}`);
      for (const line of others) output.line(line);
      output.object({
        ...{ type: "line", ...facts, words: event.words, name: event.name },
        value: dlistJson(event.value),
      });
    } else {
      return;
    }
    this.lines += 1;
  }
}
