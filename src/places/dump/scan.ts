/**
 * Reads a dump line by line, and gives out a command only once the checksum behind it is right
 * (formats/sync/dump_line.ts).
 */
import { createHash, type Hash } from "node:crypto";
import { concat, equalBytes, utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { readAt } from "../../core/files.ts";
import type { Limits } from "../../core/limits.ts";
import { DlistReader, type LineEvent, type ReaderEvent } from "../../formats/dlist/reader.ts";
import type { DlistValue } from "../../formats/dlist/value.ts";
import { type ApplyRequest, parseApply } from "../../formats/sync/apply_command.ts";
import {
  expectDumpLine,
  type MissingInDump,
  parseDumpCheck,
  parseDumpHeader,
  printDumpCheck,
} from "../../formats/sync/dump_line.ts";
import { parseRecord } from "../../formats/sync/record_line.ts";
import type { Guid } from "../../model/guid.ts";
import type { Owner } from "../../model/names.ts";

/** Part of the file: from byte `start` up to, but without, byte `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A message in the file. */
export interface DumpedFile extends Range {
  readonly guid: Guid;
}

export type ScannedLine =
  /** A command that is well-formed. Its records and messages are left in the file. */
  | ({
      readonly kind: "command";
      /** Without its records; each of them could be parsed. */
      readonly command: ApplyRequest;
      readonly files: readonly DumpedFile[];
    } & Range)
  /** All commands of this owner have come, except for what is missing. */
  | {
      readonly kind: "complete";
      readonly owner: Owner;
      readonly missing: readonly MissingInDump[];
      readonly end: number;
    }
  /** The dump is complete. Only damage behind it can follow. */
  | { readonly kind: "end"; readonly commands: number }
  /** Nothing from `offset` on is believed. Always the last. */
  | { readonly kind: "damage"; readonly offset: number; readonly why: string };

const CHUNK_BYTES = 256 * 1024;
/** No CHECK is longer: it lists at most MOST_MISSING mailboxes, each with its uniqueid. */
const CHECK_BYTES = 128 * 1024;
const CRLF = utf8("\r\n");
const EMPTY = new Uint8Array();
const STREAMED: ReadonlySet<string> = new Set(["RECORD"]);

/** Reads the dump in `fd` from its first byte on. */
export function* scanDump(fd: number, limits: Limits): Generator<ScannedLine, void, void> {
  const scan = new Scan(limits);
  for (;;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const got = readAt(fd, chunk, scan.offset);
    if (got === 0) break;
    for (const line of scan.take(chunk.subarray(0, got))) {
      yield line;
      if (line.kind === "damage") return;
    }
  }
  if (!scan.isEnded || !scan.isBetweenLines) {
    yield { kind: "damage", offset: scan.lineStart, why: "the dump is cut off: it has no END" };
  }
}

/** Reads one command as `scanDump` will, while it is being written. */
export class CommandCheck {
  readonly #reader: DlistReader;
  #flaw: FormatError | undefined;
  #isWhole = false;

  constructor(limits: Limits) {
    this.#reader = newReader(limits);
  }

  take(bytes: Uint8Array): void {
    for (const event of this.#reader.feed(bytes)) {
      if (event.kind === "item") this.#flaw ??= flawOf(() => parseRecord(event.value));
      if (event.kind === "malformed") this.#flaw ??= event.error;
      if (event.kind !== "dlist") continue;
      this.#flaw ??= flawOf(() => parseApply(event.name, event.value, { records: [] }));
      this.#isWhole = true;
    }
  }

  /** Throws FormatError where what was taken is not one command that can be read. */
  end(): void {
    if (this.#flaw !== undefined) throw this.#flaw;
    if (!this.#isWhole) throw new FormatError(0, "one whole command");
  }
}

class Scan {
  /** Bytes read up to now. */
  offset = 0;
  /** Where the line begins that is being read. */
  lineStart = 0;
  isEnded = false;
  readonly #reader: DlistReader;
  #hash: Hash = createHash("sha256");
  /** The hash of all bytes before the line that is being read. */
  #before: Hash = createHash("sha256");
  #raw: Uint8Array[] = [];
  #files: DumpedFile[] = [];
  /** What is wrong with a record of the line that is being read. */
  #flaw: FormatError | undefined;
  #hasHeader = false;
  #commands = 0;
  /** A command that waits for its CHECK. */
  #pending: Extract<ScannedLine, { kind: "command" }> | undefined;

  constructor(limits: Limits) {
    this.#reader = newReader(limits);
  }

  get isBetweenLines(): boolean {
    return this.#reader.isBetweenLines;
  }

  *take(chunk: Uint8Array): Generator<ScannedLine, void, void> {
    for (let rest = chunk; rest.length > 0; ) {
      const event = firstEvent(this.#reader, rest);
      const left = event === undefined ? EMPTY : this.#reader.rest();
      const used = rest.subarray(0, rest.length - left.length);
      this.#hash.update(used);
      this.offset += used.length;
      if (this.offset - this.lineStart <= CHECK_BYTES) this.#raw.push(used);
      rest = left;
      if (event === undefined) return;
      const found = this.#event(event);
      if (found !== undefined) yield found;
      if (found?.kind === "damage") return;
    }
  }

  #event(event: ReaderEvent): ScannedLine | undefined {
    if (event.kind === "fileStart") {
      const start = this.offset;
      this.#files.push({ guid: event.guid, start, end: start + event.size });
    }
    if (event.kind === "item") this.#flaw ??= flawOf(() => parseRecord(event.value));
    if (event.kind !== "dlist" && event.kind !== "text" && event.kind !== "malformed") {
      return undefined;
    }
    const found = this.#line(event);
    this.lineStart = this.offset;
    this.#raw = [];
    this.#files = [];
    this.#flaw = undefined;
    this.#before = this.#hash.copy();
    return found;
  }

  #line(event: LineEvent): ScannedLine | undefined {
    if (this.isEnded) return this.#damage("something stands after the END");
    if (event.kind === "malformed") return this.#damage(event.error.message);
    if (event.kind === "text") return this.#damage("a line that belongs to no dump");
    try {
      return this.#hasHeader ? this.#dlist(event) : this.#header(event);
    } catch (error) {
      if (error instanceof FormatError) return this.#damage(error.message);
      throw error;
    }
  }

  #header({ words, value }: Extract<LineEvent, { kind: "dlist" }>): ScannedLine | undefined {
    if (words[0] !== "DUMP") return this.#damage("it does not begin with DUMP");
    parseDumpHeader(value);
    this.#hasHeader = true;
    return undefined;
  }

  #dlist(event: Extract<LineEvent, { kind: "dlist" }>): ScannedLine | undefined {
    const { words, name, value } = event;
    const [start, end, files] = [this.lineStart, this.offset, this.#files];
    if (words[0] === "APPLY") {
      if (this.#pending !== undefined) return this.#damage("a command without its CHECK");
      const command = parseApply(name, value, { records: [] });
      if (command === undefined) return this.#damage(`APPLY ${name} is not known`);
      if (this.#flaw !== undefined) throw this.#flaw;
      this.#commands += 1;
      this.#pending = { kind: "command", command, files, start, end };
      return undefined;
    }
    if (words[0] !== "CHECK" && words[0] !== "END") return this.#damage("a second DUMP");
    return this.#check(words[0], value);
  }

  /** A CHECK must be what this program would print itself, byte for byte. */
  #check(name: "CHECK" | "END", value: DlistValue): ScannedLine | undefined {
    const { owner, missing = [] } = parseDumpCheck(value);
    const sha256 = this.#before.digest("hex");
    const count = this.#commands;
    const whose = owner === undefined ? {} : { owner, missing };
    const ours = printDumpCheck({ count, sha256, ...whose }, name);
    if (!equalBytes(concat(this.#raw), concat([ours, CRLF]))) {
      return this.#damage("the sum does not fit the bytes before it");
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (name === "END") {
      if (pending !== undefined) return this.#damage("a command without its CHECK");
      this.isEnded = true;
      return { kind: "end", commands: count };
    }
    if (owner === undefined) return pending;
    if (pending !== undefined) return this.#damage("a command without its CHECK");
    return { kind: "complete", owner, missing, end: this.offset };
  }

  #damage(why: string): ScannedLine {
    return { kind: "damage", offset: this.#pending?.start ?? this.lineStart, why };
  }
}

function newReader(limits: Limits): DlistReader {
  return new DlistReader({ limits, expect: expectDumpLine, streamItemsOf: STREAMED });
}

function flawOf(parse: () => unknown): FormatError | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}

function firstEvent(reader: DlistReader, bytes: Uint8Array): ReaderEvent | undefined {
  for (const event of reader.feed(bytes)) return event;
  return undefined;
}
