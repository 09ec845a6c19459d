/**
 * The transcripts of real Cyrus sessions in test/fixtures/captures*: `seconds #connection side
 * bytes`, with `\r \n \t \\ \xHH` as escapes. `captures` = 3.6.1, `captures-3.12` = 3.12.3,
 * `captures-master` = 3.13.7-300; `a-to-b-NN` has client a and server b.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { concat, fromLatin1 } from "../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { DlistReader, type LineEvent, type ReaderEvent } from "../../src/formats/dlist/reader.ts";
import { fixturePath, readOnlyFixture } from "./fixtures.ts";

export type Side = "C" | "S";

export interface CaptureStep {
  readonly side: Side;
  readonly bytes: Uint8Array;
}

export interface CaptureConnection {
  readonly id: number;
  readonly steps: readonly CaptureStep[];
}

export interface Capture {
  /** `captures/03-new-user-one-message` */
  readonly name: string;
  readonly title: string;
  readonly connections: readonly CaptureConnection[];
}

export type CaptureSet = "captures" | "captures-3.12" | "captures-master" | `captures-${number}`;

export const CAPTURE_SETS: readonly CaptureSet[] = ["captures", "captures-3.12", "captures-master"];

/** Those of other versions, which are archives. */
export const OTHER_SETS: readonly CaptureSet[] = [
  ...(["captures-2.4", "captures-2.5", "captures-3.0", "captures-3.2"] as const),
  ...(["captures-3.4", "captures-3.8", "captures-3.10"] as const),
];

/** All transcripts of one version, in order. */
export function capturesOf(set: CaptureSet): Capture[] {
  const folder = CAPTURE_SETS.includes(set)
    ? fixturePath(set)
    : join(readOnlyFixture(`captures-versions/${set}`), set);
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, text: readFileSync(join(folder, file), "latin1") }))
    .map(({ file, text }) => readCapture(`${set}/${basename(file, ".txt")}`, text));
}

/** A transcript from its text. */
export function readCapture(name: string, whole: string): Capture {
  const lines = whole.split("\n");
  const connections = new Map<number, { id: number; steps: CaptureStep[] }>();
  let script = 1;
  for (const line of lines) {
    // A script to a server has no times, and says where a connection was closed.
    if (line === "# a new connection") script += 1;
    const [, number, side, said] = /^(?:[\d.]+ #(\d+) )?([CS]):? (.*)$/.exec(line) ?? [];
    if (said === undefined) continue;
    const id = Number(number ?? script);
    // A script is written by the line, and marks one that goes on after a literal.
    const text = number === undefined ? said.replace(/ \.\.\.$/, "") : said;
    const connection = connections.get(id) ?? { id, steps: [] };
    connections.set(id, connection);
    connection.steps.push({ side: side === "C" ? "C" : "S", bytes: unescaped(text) });
  }
  return { name, title: (lines[0] ?? "").slice(2), connections: [...connections.values()] };
}

const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "\\": "\\" };

function unescaped(text: string): Uint8Array {
  const plain = text.replace(/\\(?:x([0-9a-f]{2})|([rnt\\]))/g, (_, hex, letter) =>
    hex === undefined ? (ESCAPES[letter] ?? "") : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return fromLatin1(plain);
}

/** Everything one side said on a connection, in one piece. */
export function bytesOfSide(connection: CaptureConnection, side: Side): Uint8Array {
  return concat(connection.steps.filter((step) => step.side === side).map((step) => step.bytes));
}

/**
 * What a csync or IMAP server expects of its client's lines: dlist after GET, APPLY and RESTORE.
 */
export function expectCommand(words: readonly string[]): "word" | "line" | "text" {
  const tagged = /^[A-Z]\d+$/.test(words[0] ?? "");
  const verb = words[tagged ? 1 : 0];
  if (verb === undefined) return "word";
  return /^(SYNC)?(GET|APPLY|RESTORE)$/i.test(verb) ? "line" : "text";
}

const DATA_LINE =
  /^(MAILBOX|RECORD|SEEN|LSUB|SIEVE|QUOTA|ANNOTATION|MISSING|MESSAGE|ENABLED|UNIQUEIDS|SUB)$/;

/** What a client expects of its server's lines: dlist after a star and a known name. */
export function expectAnswer(words: readonly string[]): "word" | "value" | "text" {
  if (words.length === 0) return "word";
  if (words[0] !== "*") return "text";
  if (words[1] === undefined) return "word";
  return DATA_LINE.test(words[1]) ? "value" : "text";
}

/** One line of a transcript with its bytes, as they stood there. */
export interface CapturedLine {
  readonly bytes: Uint8Array;
  readonly line: LineEvent;
}

/**
 * The lines of one side, framed by the reader; files stay out of the values but in the bytes. A
 * connection that went over to DEFLATE or TLS is read up to there.
 */
export function linesOfSide(connection: CaptureConnection, side: Side): CapturedLine[] {
  const expect = side === "C" ? expectCommand : expectAnswer;
  const reader = new DlistReader({ limits: DEFAULT_LIMITS, expect });
  const bytes = bytesOfSide(connection, side);
  const found: CapturedLine[] = [];
  for (let start = 0; start < bytes.length && !leavesPlainText(found.at(-1)); ) {
    const line = firstLine(reader, bytes.subarray(start));
    if (line === undefined) break;
    const end = bytes.length - reader.rest().length;
    found.push({ bytes: bytes.subarray(start, end), line });
    start = end;
  }
  return found;
}

function firstLine(reader: DlistReader, bytes: Uint8Array): LineEvent | undefined {
  for (const event of reader.feed(bytes)) if (isLine(event)) return event;
  return undefined;
}

function isLine(event: ReaderEvent): event is LineEvent {
  return event.kind === "text" || event.kind === "dlist" || event.kind === "malformed";
}

function leavesPlainText(last: CapturedLine | undefined): boolean {
  const text = Buffer.from(last?.bytes ?? []).toString("latin1");
  return /^(COMPRESS DEFLATE|OK DEFLATE active|STARTTLS|OK Begin TLS)/i.test(text);
}
