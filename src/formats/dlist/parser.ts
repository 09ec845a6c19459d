/**
 * The one parser of dlist (sync-protocol.md 2.1): a state machine that takes bytes in pieces and
 * stops wherever something is complete. `parse.ts` feeds it from memory, `reader.ts` from a peer.
 *
 * It accepts what Cyrus accepts: any white space between the items of a list, CR and LF too (Cyrus
 * 2.4 prints a list over several lines), both forms of literals, escapes in quoted strings.
 */
import { assert } from "../../core/assert.ts";
import { concat, latin1 } from "../../core/bytes.ts";
import type { Limits } from "../../core/limits.ts";
import { isGuid } from "../../model/guid.ts";
import { DlistError } from "./dlist_error.ts";
import { announcedBytes, parseFileHead, parseLiteralHead, tailOf } from "./heads.ts";
import type { FileStartEvent, ParserEvent } from "./parser_events.ts";
import { type DlistEntry, type DlistValue, NIL, PAIR_WEIGHT, VALUE_WEIGHT } from "./value.ts";

export type DlistLimits = Pick<
  Limits,
  "atomBytes" | "literalBytes" | "messageBytes" | "nesting" | "listItems" | "lineBytes"
>;

export interface ParserOptions {
  readonly limits: DlistLimits;
  /** What is parsed: one value, or `name SP value`. */
  readonly start: "value" | "line";
  /** Give out the bytes of a file instead of holding them in the value. */
  readonly streamFiles?: boolean;
  /** Keys of the outermost kvlist whose list items are given out one by one and not kept. */
  readonly streamItemsOf?: ReadonlySet<string>;
}

type State =
  | ("lineStart" | "beforeValue" | "beforeName" | "percent" | "done")
  | ("atom" | "quoted" | "escape" | "literalHead" | "literal" | "fileHead" | "file" | "fileEnded");

interface Frame {
  readonly items: DlistValue[];
  /** The pairs so far; undefined where this is a list and not a kvlist. */
  readonly entries: DlistEntry[] | undefined;
  /** In a kvlist, the name that has been read and whose value has not. */
  name: string | undefined;
  /** The key of this list, if its items are given out one by one. */
  readonly streamKey: string | undefined;
  count: number;
}

const MORE: ParserEvent = { kind: "more" };
const FILE_END: ParserEvent = { kind: "fileEnd" };

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PERCENT = 0x25;
const OPEN = 0x28;
const CLOSE = 0x29;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const ENDS_ATOM = new Uint8Array(256);
for (const byte of [9, LF, 11, 12, CR, SPACE, QUOTE, OPEN, CLOSE]) ENDS_ATOM[byte] = 1;

const BODIES: ReadonlySet<State> = new Set(["literal", "file", "fileEnded"]);

const LITERAL_HEAD_BYTES = 32;
const FILE_HEAD_BYTES = 2048;

/** Parses one value. After an error or the event `done` the parser must not be used any more. */
export class DlistParser {
  /** Position in the chunk that was given last of the next byte to read. */
  at = 0;
  readonly #options: ParserOptions;
  readonly #limits: DlistLimits;
  readonly #frames: Frame[] = [];
  #chunk: Uint8Array = new Uint8Array();
  /** Offset of the chunk's first byte in the whole input. */
  #base = 0;
  #state: State;
  #isName: boolean;
  #isFlag = false;
  /** The parts of the unfinished token that came in earlier chunks. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #remaining = 0;
  #held = 0;
  /** True once something was given out: later values must not keep its chunk in memory. */
  #hasStreamed = false;
  #file: FileStartEvent | undefined;
  #name = "";

  constructor(options: ParserOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#isName = options.start === "line";
    this.#state = this.#isName ? "lineStart" : "beforeValue";
  }

  /** Bytes read since the start of this value. */
  get offset(): number {
    return this.#base + this.at;
  }

  /** About how many bytes this value keeps in memory. */
  get heldBytes(): number {
    return this.#held + this.#pieceBytes;
  }

  /** The end of the token that is being read, in latin1: it may announce a literal. */
  get tail(): string {
    return tailOf(this.#pieces);
  }

  /** True while the size of a literal or file is being read: its length is not known yet. */
  get isInHead(): boolean {
    return this.#state === "literalHead" || this.#state === "fileHead";
  }

  /** Bytes of the current literal or file that have not arrived yet. */
  get bodyLeft(): number {
    return this.#remaining;
  }

  /**
   * Reads `chunk` from `at` on until something is complete or the chunk is used up; the next call
   * goes on at the parser's own `at`. Throws DlistError and leaves the wrong byte unread.
   */
  take(chunk: Uint8Array, at: number): ParserEvent {
    this.#base = this.offset - at;
    this.#chunk = chunk;
    this.at = at;
    for (;;) {
      // A body of no bytes, or one that has been read, is complete without a further byte.
      const atRest = this.#remaining > 0 || !BODIES.has(this.#state);
      if (this.at >= chunk.length && atRest) return MORE;
      const event = this.#step();
      if (event !== undefined) return event;
    }
  }

  /** Ends the input, which completes an atom. Throws DlistError if the value is not complete. */
  finish(): ParserEvent {
    if (this.#state !== "atom" || this.#isName || this.#frames.length > 0) {
      throw this.#error("the rest of the value");
    }
    return this.#endAtom(this.at) ?? MORE;
  }

  #step(): ParserEvent | undefined {
    switch (this.#state) {
      case "lineStart":
        return this.#startString(this.#chunk[this.at] ?? 0);
      case "beforeValue":
        return this.#beforeValue();
      case "beforeName":
        return this.#beforeName();
      case "atom":
        return this.#atom();
      case "quoted":
        return this.#quoted();
      case "escape":
        return this.#escape();
      case "percent":
        return this.#percent();
      case "literalHead":
        return this.#literalHead();
      case "literal":
        return this.#body();
      case "fileHead":
        return this.#fileHead();
      case "file":
        return this.#options.streamFiles === true ? this.#streamFile() : this.#body();
      case "fileEnded":
        return this.#endFile(undefined);
      case "done":
        throw this.#error("nothing after the value");
    }
  }

  #error(expected: string, rest?: { skip?: number; lineEnded?: boolean }): DlistError {
    return new DlistError(this.offset, expected, rest);
  }

  /** Moves to the next byte that is not white space; returns it, or -1 at the end of the chunk. */
  #skipSpace(): number {
    const chunk = this.#chunk;
    const from = this.at;
    for (; this.at < chunk.length; this.at++) {
      const byte = chunk[this.at] ?? 0;
      if (byte !== SPACE && (byte < 9 || byte > CR)) break;
    }
    // A value shares memory with its chunk, so it keeps this white space too.
    if (this.at - from > 1) this.#hold(this.at - from);
    return this.at < chunk.length ? (chunk[this.at] ?? 0) : -1;
  }

  #beforeValue(): ParserEvent | undefined {
    const byte = this.#skipSpace();
    this.#isName = false;
    this.#isFlag = byte === BACKSLASH;
    switch (byte) {
      case -1:
        return undefined;
      case OPEN:
        this.at++;
        return this.#open("list");
      case CLOSE:
        if (this.#frames.at(-1)?.entries !== undefined) throw this.#error("a value after its name");
        return this.#close();
      case PERCENT:
        this.at++;
        this.#state = "percent";
        return undefined;
      default:
        return this.#startString(byte);
    }
  }

  #beforeName(): ParserEvent | undefined {
    const byte = this.#skipSpace();
    this.#isName = true;
    this.#isFlag = false;
    if (byte === -1) return undefined;
    if (byte === CLOSE) return this.#close();
    return this.#startString(byte);
  }

  #startString(byte: number): undefined {
    if (byte === QUOTE) {
      this.at++;
      this.#state = "quoted";
    } else {
      this.#state = byte === BRACE ? "literalHead" : "atom";
    }
  }

  #percent(): ParserEvent | undefined {
    const byte = this.#chunk[this.at];
    if (byte === OPEN) {
      this.at++;
      return this.#open("kvlist");
    }
    if (byte !== BRACE) throw this.#error('"(" or "{" after "%"');
    this.#state = "fileHead";
    return undefined;
  }

  #open(kind: "list" | "kvlist"): undefined {
    if (this.#frames.length >= this.#limits.nesting) throw this.#error("no deeper nesting");
    const parent = this.#frames.length === 1 ? this.#frames[0] : undefined;
    const key = kind === "list" ? parent?.name : undefined;
    const streamKey = key !== undefined && this.#options.streamItemsOf?.has(key) ? key : undefined;
    const entries = kind === "kvlist" ? [] : undefined;
    this.#frames.push({ items: [], entries, name: undefined, streamKey, count: 0 });
    this.#state = kind === "kvlist" ? "beforeName" : "beforeValue";
  }

  #close(): ParserEvent | undefined {
    const frame = this.#frames.pop();
    if (frame === undefined) throw this.#error("a value");
    this.at++;
    if (frame.entries !== undefined) return this.#value({ kind: "kvlist", entries: frame.entries });
    return this.#value({ kind: "list", items: frame.items });
  }

  /** Puts a complete value into the list around it; the outermost one is the result. */
  #value(value: DlistValue): ParserEvent | undefined {
    const frame = this.#frames.at(-1);
    if (frame === undefined) {
      this.#state = "done";
      return { kind: "done", name: this.#name, value };
    }
    frame.count++;
    if (frame.count > this.#limits.listItems) throw this.#error("fewer items in a list");
    this.#hold(frame.entries === undefined ? VALUE_WEIGHT : PAIR_WEIGHT);
    if (frame.entries !== undefined) {
      frame.entries.push({ name: frame.name ?? "", value });
      frame.name = undefined;
      this.#state = "beforeName";
      return undefined;
    }
    this.#state = "beforeValue";
    if (frame.streamKey === undefined) {
      frame.items.push(value);
      return undefined;
    }
    this.#held = 0;
    this.#hasStreamed = true;
    return { kind: "item", name: this.#name, key: frame.streamKey, value };
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    if (this.#held > this.#limits.lineBytes) throw this.#error("a shorter line");
  }

  /** Keeps this chunk's part of a token that goes on in the next chunk. */
  #keep(from: number, to: number, limit: number): void {
    this.#pieceBytes += to - from;
    if (this.#pieceBytes > limit) throw this.#error(`a string of at most ${limit} bytes`);
    if (to > from) this.#pieces.push(this.#chunk.subarray(from, to));
  }

  #token(from: number, to: number, limit: number): Uint8Array {
    if (this.#pieces.length === 0 && to - from <= limit) {
      const bytes = this.#chunk.subarray(from, to);
      return this.#hasStreamed && this.#frames.length <= 1 ? bytes.slice() : bytes;
    }
    this.#keep(from, to, limit);
    const whole = concat(this.#pieces);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return whole;
  }

  #string(bytes: Uint8Array): ParserEvent | undefined {
    this.#hold(bytes.length);
    if (!this.#isName) return this.#value({ kind: "string", bytes });
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#name = latin1(bytes);
    else frame.name = latin1(bytes);
    this.#state = "beforeValue";
    return undefined;
  }

  #atom(): ParserEvent | undefined {
    const chunk = this.#chunk;
    const from = this.at;
    let to = from;
    while (to < chunk.length && ENDS_ATOM[chunk[to] ?? 0] === 0) to++;
    if (to < chunk.length) return this.#endAtom(to);
    this.#keep(from, to, this.#limits.atomBytes);
    this.at = to;
    return undefined;
  }

  #endAtom(to: number): ParserEvent | undefined {
    const bytes = this.#token(this.at, to, this.#limits.atomBytes);
    if (bytes.length === 0) throw this.#error(this.#isName ? "a name" : "a value");
    this.#refuseAnnouncement(bytes, to);
    this.at = to;
    if (this.#isName) return this.#string(bytes);
    if (this.#isFlag) {
      this.#hold(bytes.length);
      return this.#value({ kind: "flag", bytes });
    }
    // The letters N, I, L.
    const isNil = bytes.length === 3 && bytes[0] === 0x4e && bytes[1] === 0x49 && bytes[2] === 0x4c;
    return isNil ? this.#value(NIL) : this.#string(bytes);
  }

  /** An atom may hold braces, but not so that the end of its line announces a literal. */
  #refuseAnnouncement(atom: Uint8Array, to: number): void {
    const ender = this.#chunk[to];
    if (atom.at(-1) !== CLOSE_BRACE || (ender !== CR && ender !== LF)) return;
    if (announcedBytes(tailOf([atom])) === undefined) return;
    this.#pieces = [atom];
    this.at = to;
    throw this.#error("no literal within an atom");
  }

  #quoted(): ParserEvent | undefined {
    const chunk = this.#chunk;
    const from = this.at;
    for (let to = from; to < chunk.length; to++) {
      const byte = chunk[to];
      if (byte === QUOTE) {
        const bytes = this.#token(from, to, this.#limits.atomBytes);
        this.at = to + 1;
        return this.#string(bytes);
      }
      if (byte === BACKSLASH) {
        this.#keep(from, to, this.#limits.atomBytes);
        this.at = to + 1;
        this.#state = "escape";
        return undefined;
      }
      if (byte === CR || byte === LF) {
        this.#keep(from, to, this.#limits.atomBytes);
        this.at = to;
        throw this.#error("the end of a quoted string before that of the line");
      }
    }
    this.#keep(from, chunk.length, this.#limits.atomBytes);
    this.at = chunk.length;
    return undefined;
  }

  #escape(): undefined {
    const byte = this.#chunk[this.at];
    if (byte === CR || byte === LF) throw this.#error("a character after the backslash");
    this.#keep(this.at, this.at + 1, this.#limits.atomBytes);
    this.at++;
    this.#state = "quoted";
  }

  /** The text of a head up to its LF once that has arrived. Throws DlistError past `limit`. */
  #head(limit: number): string | undefined {
    const end = this.#chunk.indexOf(LF, this.at);
    const to = end < 0 ? this.#chunk.length : end + 1;
    if (end < 0) {
      this.#keep(this.at, to, limit);
      this.at = to;
      return undefined;
    }
    const head = latin1(this.#token(this.at, to, limit));
    this.at = to;
    return head;
  }

  #literalHead(): undefined {
    const head = this.#head(LITERAL_HEAD_BYTES);
    if (head === undefined) return;
    const size = parseLiteralHead(head);
    if (size === undefined) throw this.#badHead(head, "{size} of a literal");
    this.#remaining = size;
    this.#checkHeldBody();
    this.#state = "literal";
  }

  /** The line has ended with its head, but for what that announces all the same. */
  #badHead(head: string, expected: string): DlistError {
    const skip = announcedBytes(head);
    return this.#error(expected, skip === undefined ? { lineEnded: true } : { skip });
  }

  #fileHead(): ParserEvent | undefined {
    const head = this.#head(FILE_HEAD_BYTES);
    if (head === undefined) return undefined;
    const file = parseFileHead(head);
    if (file === undefined) throw this.#badHead(head, "{partition guid size} of a file");
    const { partition, guid, size } = file;
    if (!isGuid(guid)) throw this.#error("a GUID of 40 hex digits", { skip: size });
    if (size > this.#limits.messageBytes) throw this.#error("a smaller file", { skip: size });
    this.#remaining = size;
    const name = this.#name;
    this.#file = { kind: "fileStart", name, partition, guid, size };
    this.#state = "file";
    this.#hold(head.length);
    this.#hasStreamed = true;
    if (this.#options.streamFiles === true) return this.#file;
    this.#checkHeldBody();
    return undefined;
  }

  #checkHeldBody(): void {
    const size = this.#remaining;
    const tooMuch = size > this.#limits.literalBytes || this.#held + size > this.#limits.lineBytes;
    if (tooMuch) throw this.#error("a smaller literal", { skip: size });
  }

  /** Reads bytes of a literal, or of a file that is kept in its value. */
  #body(): ParserEvent | undefined {
    const from = this.at;
    const to = Math.min(this.#chunk.length, from + this.#remaining);
    this.#remaining -= to - from;
    this.at = to;
    if (this.#remaining > 0) {
      this.#keep(from, to, Number.MAX_SAFE_INTEGER);
      return undefined;
    }
    const bytes = this.#token(from, to, Number.MAX_SAFE_INTEGER);
    if (this.#state === "literal") return this.#string(bytes);
    this.#hold(bytes.length);
    return this.#endFile(bytes);
  }

  #streamFile(): ParserEvent | undefined {
    if (this.#remaining === 0) {
      this.#state = "fileEnded";
      return FILE_END;
    }
    const from = this.at;
    this.at = Math.min(this.#chunk.length, from + this.#remaining);
    this.#remaining -= this.at - from;
    return { kind: "fileData", bytes: this.#chunk.subarray(from, this.at) };
  }

  #endFile(content: Uint8Array | undefined): ParserEvent | undefined {
    assert(this.#file !== undefined, "a file's end follows its head");
    const { partition, guid, size } = this.#file;
    const value: DlistValue = { kind: "file", partition, guid, size };
    return this.#value(content === undefined ? value : { ...value, content });
  }
}
