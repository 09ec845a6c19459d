/**
 * Plays the client's side of a transcript to a server, and lays its answers beside those of Cyrus.
 */
import { latin1 } from "../../src/core/bytes.ts";
import type { DlistValue } from "../../src/formats/dlist/value.ts";
import { parseAnswer } from "../../src/formats/sync/answer.ts";
import { recordsOf } from "../../src/model/mailbox.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import {
  type Capture,
  type CaptureConnection,
  type CapturedLine,
  linesOfSide,
} from "./captures.ts";
import { Csync } from "./csync.ts";
import { parseLine } from "./dlist_line.ts";

/**
 * What was done to the replica itself before a transcript was made (a flag set, a message appended
 * by an IMAP client): no command of the transcript does it. Its FULLMAILBOX answers show what came
 * of it, and messages stand somewhere in the transcripts of the same set.
 */
export async function catchUp(
  capture: Capture,
  place: WritablePlace,
  messages: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const done = new Set<string>();
  const session = await place.openSession();
  for (const connection of capture.connections) {
    for (const { bytes, line } of linesOfSide(connection, "S")) {
      if (line.kind !== "dlist" || line.name !== "MAILBOX") continue;
      const answer = parseAnswer("MAILBOX", parseLine(bytes.subarray(2)).value);
      if (answer?.kind !== "mailbox" || answer.records === undefined) continue;
      if (done.has(answer.state.name)) continue;
      done.add(answer.state.name);
      for (const { guid } of answer.records) {
        const message = messages.get(guid);
        if (message === undefined) continue;
        const writer = session.stage({ partition: "default", guid, size: message.length });
        await writer.write(message);
        await writer.end();
      }
      await session.flush();
      const state = { ...answer.state, syncCrc: 0, syncCrcAnnot: 0 };
      const records = recordsOf(answer.records);
      const outcome = await session.apply({ kind: "mailbox", state, records }, { force: true });
      if (outcome.kind === "refused") throw new Error(`${capture.name}: ${outcome.text}`);
    }
  }
  await session.close();
}

/** Every message that either side sends in these transcripts, by GUID. */
export function messagesIn(captures: readonly Capture[]): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const take = (value: DlistValue): void => {
    if (value.kind === "file" && value.content !== undefined) found.set(value.guid, value.content);
    if (value.kind === "list") value.items.forEach(take);
  };
  for (const capture of captures) {
    for (const connection of capture.connections) {
      for (const side of ["C", "S"] as const) {
        for (const { bytes, line } of linesOfSide(connection, side)) {
          if (line.kind !== "dlist" || line.name !== "MESSAGE") continue;
          const start = side === "S" ? 2 : line.words.join(" ").length + 1;
          take(parseLine(bytes.subarray(start)).value);
        }
      }
    }
  }
  return found;
}

/** One command, what Cyrus answered and what we did. */
export interface Exchange {
  /** `captures/50-raw-apply #3.2`: connection and command. */
  readonly where: string;
  /** Without the literal bytes of messages. */
  readonly command: string;
  readonly expected: Answered;
  readonly got: Answered;
}

export interface Answered {
  /** OK, NO with its token, BAD; `closed` if the connection was. */
  readonly status: string;
  /** Data lines in comparable form, sorted. */
  readonly data: readonly string[];
}

/** Transcripts that go on from each other's state, in order. */
export function chainsOf(captures: readonly Capture[]): Capture[][] {
  const chains = new Map<string, Capture[]>();
  for (const capture of captures) {
    const pair = /\/(.*-to-.*)-\d\d-/.exec(capture.name)?.[1];
    const alone = /\/(5[2-6]-.*)$/.exec(capture.name)?.[1];
    const name = pair ?? alone ?? "main";
    chains.set(name, [...(chains.get(name) ?? []), capture]);
  }
  return [...chains.values()];
}

/** True where we answered as Cyrus did. */
export function isSame({ expected, got }: Exchange): boolean {
  return JSON.stringify(expected) === JSON.stringify(got);
}

/** Plays every connection of a capture, one after the other. */
export async function replay(capture: Capture, port: number): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  for (const connection of capture.connections) {
    exchanges.push(...(await replayConnection(capture, connection, port)));
  }
  return exchanges;
}

const ADMIN = Buffer.from("\0admin\0labpass").toString("base64");

interface Command {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly expected: Answered;
}

async function replayConnection(
  capture: Capture,
  connection: CaptureConnection,
  port: number,
): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  const { client } = await Csync.open(port);
  for (const [index, command] of commandsOf(connection).entries()) {
    const where = `${capture.name} #${connection.id}.${index + 1}`;
    client.send(command.bytes);
    const reply = await client.reply();
    const got = { status: tokenOf(reply.status), data: reply.data.map(comparable).sort() };
    exchanges.push({ where, command: command.text, expected: command.expected, got });
    if (reply.status === "closed") break;
  }
  client.close();
  return exchanges;
}

/** The commands of the csync dialogue, those of the IMAP flavour put into it. */
function commandsOf(connection: CaptureConnection): Command[] {
  const answers = answersOf(linesOfSide(connection, "S"));
  const commands: Command[] = [];
  for (const { bytes, line } of linesOfSide(connection, "C")) {
    const whole = latin1(bytes);
    const plain = whole
      .replace(/^[A-Za-z]+\d+ SYNC(GET|APPLY|RESTART|RESTORE)/, "$1")
      .replace(/^[A-Za-z]+\d+ (AUTHENTICATE|NOOP)/, "$1")
      .replace(/^[A-Za-z]+\d+ LOGIN admin labpass/, `AUTHENTICATE PLAIN ${ADMIN}`);
    const expected = answers.shift() ?? { status: "closed", data: [] };
    // What only IMAP knows is no command here.
    if (/^[A-Za-z]+\d+ |^az LOGOUT/.test(plain)) continue;
    const isCut = line.kind === "malformed" && !whole.endsWith("\n");
    if (isCut) break;
    commands.push({ bytes: Buffer.from(plain, "latin1"), text: plain.slice(0, 400), expected });
  }
  return commands;
}

/** The answers after the banner: data lines up to a status each. */
function answersOf(lines: readonly CapturedLine[]): Answered[] {
  const answers: Answered[] = [];
  let data: string[] = [];
  let inBanner = true;
  for (const { bytes } of lines) {
    const text = latin1(bytes).replace(/\r\n$/, "");
    if (inBanner) {
      inBanner = !/^\* OK /.test(text);
    } else if (/^\* (OK|BYE) /.test(text)) {
      // An IMAP server talks of its own accord.
    } else if (text.startsWith("* ") && !text.startsWith("* Fatal")) {
      data.push(comparable(text.slice(2)));
    } else {
      answers.push({ status: tokenOf(text), data: data.sort() });
      data = [];
    }
  }
  return answers;
}

/** `OK`, `NO IMAP_SYNC_CHECKSUM`, `NO`, `BAD`: what a client acts on. */
function tokenOf(status: string): string {
  const plain = status.replace(/^[A-Za-z]+\d+ (?=OK|NO|BAD)/, "");
  if (plain.startsWith("* Fatal")) return "closed";
  return /^NO (IMAP_\w+)/.exec(plain)?.[0] ?? plain.split(" ", 1)[0] ?? "";
}

/**
 * What differs between any two servers: versions, times of their own, modseqs they assign
 * themselves, and what a version does not know.
 */
const OWN_KEYS = new Set(["JMAPID", "VERSION", "USERFLAGS", "QUOTAROOT", "LAST_UPDATE"]);

/** A data line as text in which the order of keys and what is the server's own do not count. */
function comparable(text: string): string {
  let entry: { name: string; value: DlistValue };
  try {
    entry = parseLine(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
  return `${entry.name} ${JSON.stringify(plain(entry.value, entry.name))}`;
}

function plain(value: DlistValue, key: string): unknown {
  switch (value.kind) {
    case "nil":
      return null;
    case "string":
    case "flag":
      return latin1(value.bytes);
    case "atom":
      return value.text;
    case "list": {
      const items = value.items.map((item) => plain(item, key));
      // Annotations and flags are sets.
      return key === "ANNOTATIONS" || key === "FLAGS"
        ? items.map((item) => JSON.stringify(item)).sort()
        : items;
    }
    case "kvlist": {
      const pairs = value.entries
        .filter((entry) => !OWN_KEYS.has(entry.name))
        .filter(
          (entry) => !(key === "QUOTA" && (entry.name === "MODSEQ" || entry.name.startsWith("X-"))),
        )
        .filter((entry) => !(key === "ANNOTATIONS" && entry.name === "MODSEQ"))
        .map((entry) => [entry.name, plain(entry.value, entry.name)] as const);
      return Object.fromEntries(pairs.sort(([left], [right]) => (left < right ? -1 : 1)));
    }
    case "file":
      return `file ${value.guid} ${value.size}`;
  }
}
