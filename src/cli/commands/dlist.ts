/** `bobbin dlist FILE` prints and checks a dump or a telemetry log. */
import { closeSync } from "node:fs";
import { latin1 } from "../../core/bytes.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { openRegular, readAt, readRegular } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { DlistReader, type ReaderEvent, type ReaderOptions } from "../../formats/dlist/reader.ts";
import { expectDumpLine } from "../../formats/sync/dump_line.ts";
import { expectAnswer, expectCommand } from "../../formats/sync/expectations.ts";
import { maskSecrets } from "../../formats/sync/masking.ts";
import { parseTelemetry, type TelemetryPiece } from "../../formats/sync/telemetry.ts";
import { externalName, ownerName } from "../../model/names.ts";
import { scanDump } from "../../places/dump/scan.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { addPlaceOptions } from "../open_place.ts";
import { formatTime, plural } from "../text.ts";
import { runTalk } from "./dlist_talk.ts";
import { dlistJson, dlistLines } from "./dlist_text.ts";

export const registerDlist: Register = (program, handle) => {
  const dlist = program
    .command("dlist")
    .summary("print and check dumps and logs of the protocol")
    .description(
      "Prints the dlist in a dump, and checks its sums, or in a telemetry log of Cyrus. Exit " +
        "code 1 says that something in it is damaged; what is printed stands before the damage.",
    )
    .argument("<file>", "a dump, or a telemetry log")
    .action(handle(runDlist));
  const talk = dlist
    .command("talk")
    .summary("speak the protocol by hand")
    .description(
      "Signs in to a sync server and sends what is typed, a command a line: GET USER fred. " +
        "{{text}} is sent as a literal. Within IMAP tags are added. Passwords are never shown.",
    )
    .argument("<place>", "sync://USER@HOST, syncs://… or imap://…");
  addPlaceOptions(talk).action(handle(runTalk));
};

const runDlist: Handler = async ([path = ""], _options, env) => {
  const file = String(path);
  const opened = openRegular(file);
  if (opened.state !== "open") {
    throw new AppError("not_found", `Cannot read ${file}: ${opened.state.replace("_", " ")}`);
  }
  try {
    const start = new Uint8Array(5);
    readAt(opened.fd, start, 0);
    if (latin1(start) === "DUMP ") return printDump(opened.fd, env);
  } finally {
    closeSync(opened.fd);
  }
  return printTelemetry(file, env);
};

/** Checks the sums first, then prints the lines that they confirm. */
function printDump(fd: number, env: CommandEnv): CommandResult {
  const { output } = env;
  let damage: { readonly offset: number; readonly why: string } | undefined;
  const owners: string[] = [];
  let commands = 0;
  for (const line of scanDump(fd, DEFAULT_LIMITS)) {
    if (line.kind === "command") commands += 1;
    if (line.kind === "complete") {
      const name = ownerName(line.owner);
      const lacks = line.missing.map((one) => externalName(one.name));
      owners.push(lacks.length === 0 ? name : `${name} (without ${lacks.join(", ")})`);
    }
    if (line.kind === "damage") damage = line;
  }
  const printer = new LinePrinter(env, { expect: expectDumpLine });
  const end = damage?.offset ?? Number.MAX_SAFE_INTEGER;
  for (let at = 0; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    const got = readAt(fd, chunk, at);
    if (got === 0) break;
    printer.take(chunk.subarray(0, got), "");
    at += got;
  }
  const summary = { commands, owners, damagedAt: damage?.offset ?? null };
  if (damage === undefined) {
    output.talk(
      `Sound: ${plural(commands, "command")}, ` +
        `complete: ${escapeText(owners.join(", ")) || "no one"}`,
    );
    return { exit: EXIT.ok, summary };
  }
  const { offset, why } = damage;
  output.object({ type: "finding", severity: "error", field: "dump", offset, found: why });
  output.line(`Damaged at byte ${offset}: ${escapeText(why)}`);
  output.talk(`Complete before it: ${escapeText(owners.join(", ")) || "no one"}`);
  return { exit: EXIT.damage, summary };
}

const CHUNK_BYTES = 256 * 1024;
const LOG_BYTES = 1024 ** 3;

function printTelemetry(path: string, env: CommandEnv): CommandResult {
  const read = readRegular(path, LOG_BYTES);
  if (read.state !== "read") {
    throw new AppError("io", `Cannot read ${path}: ${read.state.replace("_", " ")}`);
  }
  const pieces = parseTelemetry(read.bytes);
  if (pieces === undefined) {
    throw new AppError("bad_data", `${path} is neither a dump nor a telemetry log of Cyrus`);
  }
  const sides = {
    client: new LinePrinter(env, { expect: expectCommand }),
    server: new LinePrinter(env, { expect: expectAnswer }),
  };
  for (const piece of pieces) sides[piece.side].take(piece.bytes, markOf(piece));
  const broken = sides.client.end() + sides.server.end();
  const lines = sides.client.lines + sides.server.lines;
  return { exit: broken > 0 ? EXIT.damage : EXIT.ok, summary: { lines, broken } };
}

function markOf({ side, time }: TelemetryPiece): string {
  return `${formatTime(time)} ${side === "client" ? "C" : "S"} `;
}

/** Prints the lines of one direction of a connection, each when it is complete. */
class LinePrinter {
  lines = 0;
  #broken = 0;
  readonly #env: CommandEnv;
  readonly #reader: DlistReader;

  constructor(env: CommandEnv, { expect }: Pick<ReaderOptions, "expect">) {
    this.#env = env;
    this.#reader = new DlistReader({ limits: DEFAULT_LIMITS, expect });
  }

  /** Takes bytes; `mark` is printed before each line that they complete. */
  take(bytes: Uint8Array, mark: string): void {
    for (const event of this.#reader.feed(bytes)) this.#print(event, mark);
  }

  /** Reports an unfinished last line. Returns the number of lines that could not be read. */
  end(): number {
    const left = this.#reader.end();
    if (left !== undefined) this.#print(left, "");
    return this.#broken;
  }

  #print(event: ReaderEvent, mark: string): void {
    const { output } = this.#env;
    if (event.kind === "text") {
      const text = maskSecrets([...event.words, latin1(event.text)].join(" ").trimEnd());
      output.line(`${mark}${escapeText(text)}`);
      output.object({ type: "line", mark: mark.trim(), text });
    } else if (event.kind === "malformed") {
      this.#broken += 1;
      const words = event.words.join(" ");
      output.line(`${mark}${escapeText(words)} cannot be read: ${event.error.message}`);
      output.object({ type: "finding", mark: mark.trim(), words, found: event.error.message });
    } else if (event.kind === "dlist") {
      const head = [...event.words, ...(event.words.at(-1) === event.name ? [] : [event.name])];
      const [first = "", ...others] = dlistLines(escapeText(head.join(" ")), event.value);
      output.line(`${mark}${first}`);
      for (const line of others) output.line(line);
      output.object({
        ...{ type: "line", mark: mark.trim(), words: event.words, name: event.name },
        value: dlistJson(event.value),
      });
    } else {
      return;
    }
    this.lines += 1;
  }
}
