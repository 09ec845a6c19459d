/**
 * Reads the wire of the replication protocol, from either side: lines of words, of text and of dlist,
 * in chunks of any size. A dlist cannot be framed by lines (it may hold line breaks and literals), so
 * the reader frames and parses in one pass, hands message files out as they come, and after an
 * error eats what belongs to the broken command, literals and files included (sync-protocol.md 2.4).
 *
 * `feed` is a generator: whoever consumes it may wait between two events, and may stop to hand the
 * rest of the chunk (`rest`) to another layer, as STARTTLS and COMPRESS demand.
 */
import { concat, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { DlistError } from "./dlist_error.ts";
import { type DlistLimits, DlistParser, type ParserEvent } from "./parser.ts";
import type { DlistValue } from "./value.ts";

/**
 * What follows on a line after the words read so far: one more word, text up to the line's end, a dlist
 * line (`name value`), or a dlist value that the last word has named.
 */
export type Expectation = "word" | "text" | "line" | "value";

export interface ReaderOptions {
  readonly limits: DlistLimits;
  /** Asked before each element of a line, first with no words. */
  readonly expect: (words: readonly string[]) => Expectation;
  /** Keys of the outermost kvlist whose items come as events, e.g. RECORD. */
  readonly streamItemsOf?: ReadonlySet<string>;
}

/** A line has been read whole, or could not be. `words` are latin1, as sent. */
export type LineEvent =
  | { readonly kind: "text"; readonly words: readonly string[]; readonly text: Uint8Array }
  | {
      readonly kind: "dlist";
      readonly words: readonly string[];
      readonly name: string;
      readonly value: DlistValue;
    }
  | {
      readonly kind: "malformed";
      readonly words: readonly string[];
      readonly error: FormatError;
    };

/** Lines, and before them what is streamed out of them. */
export type ReaderEvent =
  | LineEvent
  | Extract<ParserEvent, { kind: "item" | "fileStart" | "fileData" | "fileEnd" }>;

type State = "words" | "text" | "value" | "lineEnd" | "skip" | "eat";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** Longer than any command; a longer first word makes the line plain text. */
const WORD_BYTES = 128;
/** Enough of a line's end to hold the size of a literal or file. */
const TAIL_BYTES = 32;
const ENDS_WITH_LITERAL = /[ {](\d{1,10})\+?\}\r?$/;

const NOTHING: Uint8Array = new Uint8Array();

/** One direction of a connection. */
export class DlistReader {
  readonly #options: ReaderOptions;
  #limits: DlistLimits;
  #chunk = NOTHING;
  #at = 0;
  #state: State = "words";
  #words: string[] = [];
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #parser: DlistParser | undefined;
  #result: LineEvent | undefined;
  /** While eating: the end of the line so far, and bytes of a literal still to skip. */
  #tail = "";
  #skip = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#limits = options.limits;
  }

  /** From the next line on: a peer who has proved who he is may be given more. */
  useLimits(limits: DlistLimits): void {
    this.#limits = limits;
  }

  /** The words of the line that is being read. */
  get words(): readonly string[] {
    return this.#words;
  }

  /** True between two lines: nothing of the next one has come. */
  get isBetweenLines(): boolean {
    return this.#state === "words" && this.#words.length === 0 && this.#lineBytes === 0;
  }

  /** Takes a chunk; yields what it completes. The chunk must not be written to afterwards. */
  *feed(chunk: Uint8Array): Generator<ReaderEvent, void, void> {
    this.#chunk = chunk;
    this.#at = 0;
    for (;;) {
      const event = this.#next();
      if (event === undefined) {
        // A client that is silent from here on does not keep what it sent last in memory.
        this.#chunk = NOTHING;
        this.#at = 0;
        return;
      }
      yield event;
    }
  }

  /** Bytes that the line that is being read keeps in memory, roughly. */
  get heldBytes(): number {
    return this.#lineBytes + (this.#parser?.heldBytes ?? 0);
  }

  /**
   * Gives up the line that is being read: what is left of it is eaten, and it is reported as malformed. Where that
   * is not possible just now (between two lines, or within the size of a literal) it is false, and nothing is done.
   */
  giveUp(why: string): boolean {
    const parser = this.#parser;
    if (this.#state === "value" && parser !== undefined && !parser.isInHead) {
      this.#fail(new DlistError(parser.offset, why, { skip: parser.bodyLeft }));
    } else if (this.#state === "text") {
      this.#fail(new DlistError(this.#lineBytes, why));
    } else {
      return false;
    }
    return true;
  }

  /** What of the last chunk has not been read, and forgets it. */
  rest(): Uint8Array {
    const rest = this.#chunk.subarray(this.#at);
    this.#at = this.#chunk.length;
    return rest;
  }

  /** Says that the peer sends no more: the unfinished line, if there is one, as malformed. */
  end(): LineEvent | undefined {
    if (this.isBetweenLines) return undefined;
    if (this.#result?.kind === "malformed") return this.#result;
    const error = new FormatError(this.#parser?.offset ?? this.#lineBytes, "the rest of the line");
    return { kind: "malformed", words: this.#words, error };
  }

  #next(): ReaderEvent | undefined {
    for (;;) {
      // The parser may owe an event that needs no further byte.
      if (this.#at >= this.#chunk.length && this.#state !== "value") return undefined;
      const event = this.#step();
      if (event === "more") return undefined;
      if (event !== undefined) return event;
    }
  }

  #step(): ReaderEvent | "more" | undefined {
    switch (this.#state) {
      case "words":
        return this.#readWord();
      case "text":
        return this.#readText();
      case "value":
        return this.#readValue();
      case "lineEnd":
        return this.#readLineEnd();
      case "skip":
        return this.#skipLiteral();
      case "eat":
        return this.#eatLine();
    }
  }

  /** Reads a word up to its SP; a line that ends first is text without more. */
  #readWord(): undefined {
    if (this.#lineBytes === 0 && !this.#begin()) return;
    const limit = Math.min(this.#chunk.length, this.#at + WORD_BYTES + 1 - this.#lineBytes);
    let to = this.#at;
    while (to < limit && this.#chunk[to] !== SPACE && this.#chunk[to] !== LF) to++;
    const ender = to < limit ? this.#chunk[to] : undefined;
    if (ender === SPACE) {
      this.#words.push(latin1(concat([...this.#line, this.#chunk.subarray(this.#at, to)])));
      this.#line = [];
      this.#lineBytes = 0;
      this.#at = to + 1;
      this.#begin();
      return;
    }
    if (ender === LF || this.#lineBytes + to - this.#at > WORD_BYTES) {
      this.#state = "text";
      return;
    }
    this.#line.push(this.#chunk.subarray(this.#at, to));
    this.#lineBytes += to - this.#at;
    this.#at = to;
  }

  /** Asks what comes next on the line; true if it is a word. */
  #begin(): boolean {
    const expected = this.#options.expect(this.#words);
    if (expected === "word") return true;
    if (expected === "text") {
      this.#state = "text";
      return false;
    }
    const { streamItemsOf } = this.#options;
    this.#parser = new DlistParser({
      limits: this.#limits,
      start: expected,
      streamFiles: true,
      ...(streamItemsOf === undefined ? {} : { streamItemsOf }),
    });
    this.#state = "value";
    return false;
  }

  #readText(): LineEvent | undefined {
    const end = this.#chunk.indexOf(LF, this.#at);
    const to = end < 0 ? this.#chunk.length : end;
    this.#lineBytes += to - this.#at;
    if (this.#lineBytes > this.#limits.atomBytes) {
      return this.#fail(new DlistError(this.#lineBytes, "a shorter line"));
    }
    this.#line.push(this.#chunk.subarray(this.#at, to));
    this.#at = to;
    if (end < 0) return undefined;
    this.#at = end + 1;
    const line = concat(this.#line);
    const text = line.at(-1) === CR ? line.subarray(0, -1) : line;
    // A lone word is a word, wherever its line ends.
    const isWord = this.#options.expect(this.#words) === "word" && text.length <= WORD_BYTES;
    const words = isWord && text.length > 0 ? [...this.#words, latin1(text)] : this.#words;
    const event: LineEvent = { kind: "text", words, text: isWord ? new Uint8Array() : text };
    return this.#finishLine(event, latin1(line.subarray(-TAIL_BYTES)));
  }

  #readValue(): ReaderEvent | "more" | undefined {
    const parser = this.#parser;
    if (parser === undefined) return undefined;
    let event: ParserEvent;
    try {
      event = parser.take(this.#chunk, this.#at);
      this.#at = parser.at;
    } catch (error) {
      if (!(error instanceof DlistError)) throw error;
      this.#at = parser.at;
      return this.#fail(error);
    }
    if (event.kind === "more") return "more";
    if (event.kind !== "done") return event;
    const last = this.#words.at(-1) ?? "";
    const name = this.#options.expect(this.#words) === "value" ? last : event.name;
    this.#result = { kind: "dlist", words: this.#words, name, value: event.value };
    this.#state = "lineEnd";
    return undefined;
  }

  /** After the value of a line only its end may come, as CRLF or as bare LF. */
  #readLineEnd(): LineEvent | undefined {
    const byte = this.#chunk[this.#at];
    if (byte === CR && this.#tail === "") {
      this.#tail = "\r";
      this.#at++;
      return undefined;
    }
    if (byte !== LF) {
      return this.#fail(new DlistError(this.#parser?.offset ?? 0, "the end of the line"));
    }
    this.#at++;
    return this.#reset();
  }

  /** A line that cannot be read: what is left of it is eaten, then it is reported. */
  #fail(error: DlistError): LineEvent | undefined {
    this.#result = { kind: "malformed", words: this.#words, error };
    // What is eaten need not be kept, however long it takes to its end.
    this.#line = [];
    this.#lineBytes = 0;
    this.#parser = undefined;
    this.#tail = "";
    this.#skip = error.skip;
    if (error.lineEnded) return this.#reset();
    this.#state = this.#skip > 0 ? "skip" : "eat";
    return undefined;
  }

  #skipLiteral(): undefined {
    const count = Math.min(this.#skip, this.#chunk.length - this.#at);
    this.#at += count;
    this.#skip -= count;
    if (this.#skip === 0) this.#state = "eat";
  }

  #eatLine(): LineEvent | undefined {
    const end = this.#chunk.indexOf(LF, this.#at);
    const to = end < 0 ? this.#chunk.length : end;
    const from = Math.max(this.#at, to - TAIL_BYTES);
    this.#tail = (this.#tail + latin1(this.#chunk.subarray(from, to))).slice(-TAIL_BYTES);
    this.#at = end < 0 ? to : end + 1;
    return end < 0 ? undefined : this.#finishLine(this.#result, this.#tail);
  }

  /** At a line's end: the line goes on if a literal was announced, else it is over. */
  #finishLine(event: LineEvent | undefined, tail: string): LineEvent | undefined {
    this.#result = event;
    this.#tail = "";
    const digits = ENDS_WITH_LITERAL.exec(tail)?.[1];
    if (digits === undefined) return this.#reset();
    this.#skip = Number(digits);
    this.#state = this.#skip > 0 ? "skip" : "eat";
    return undefined;
  }

  #reset(): LineEvent | undefined {
    const event = this.#result;
    this.#state = "words";
    this.#words = [];
    this.#line = [];
    this.#lineBytes = 0;
    this.#parser = undefined;
    this.#result = undefined;
    this.#tail = "";
    return event;
  }
}
