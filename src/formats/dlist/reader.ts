/**
 * Reads the replication protocol, from either side: lines of words, of text and of dlist, in chunks
 * of any size. A line of dlist cannot be split off by its line end, for it may hold line breaks and
 * literals. So the reader splits and parses in one pass, gives out message files as they arrive,
 * and after an error drops all that belongs to the broken command, literals and files included
 * (sync-protocol.md 2.4).
 *
 * `feed` is a generator: its consumer may wait between two events, and may stop to give the rest of
 * the chunk (`rest`) to another layer, as STARTTLS and COMPRESS demand.
 */
import { concat, fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { DlistError } from "./dlist_error.ts";
import { announcedBytes, tailOf } from "./heads.ts";
import { type DlistLimits, DlistParser } from "./parser.ts";
import type { ParserEvent } from "./parser_events.ts";
import type { DlistValue } from "./value.ts";

/**
 * What comes next on a line after the words read so far: one more word, text up to the line end, a
 * dlist line (`name value`), or a dlist value whose name is the last word.
 */
export type Expectation = "word" | "text" | "line" | "value";

export interface ReaderOptions {
  readonly limits: DlistLimits;
  /** Called before each element of a line with the words read so far, at first with none. */
  readonly expect: (words: readonly string[]) => Expectation;
  /** Keys of the outermost kvlist whose items are given out as events, such as RECORD. */
  readonly streamItemsOf?: ReadonlySet<string>;
}

/** A line that has been read whole, or that cannot be read. `words` are latin1, as sent. */
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

/** A line, or a part of the line that is being read and is given out before its end. */
export type ReaderEvent =
  | LineEvent
  | Extract<ParserEvent, { kind: "item" | "fileStart" | "fileData" | "fileEnd" }>;

type State = "words" | "text" | "value" | "lineEnd" | "skip" | "eat";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** No command word is longer; a line whose first word is longer is taken as plain text. */
const WORD_BYTES = 128;

const NOTHING: Uint8Array = new Uint8Array();

/** Reads one direction of a connection. */
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
  /** While a broken line is dropped: its end so far, and how much of a literal is to drop. */
  #tail = "";
  #skip = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#limits = options.limits;
  }

  /** Sets the limits from the next line on: a peer that has signed in is allowed more. */
  useLimits(limits: DlistLimits): void {
    this.#limits = limits;
  }

  /** The words of the current line. */
  get words(): readonly string[] {
    return this.#words;
  }

  /**
   * What is wrong with the line that is being dropped. A reader that need not stay in step with its
   * peer does not wait for the end of such a line, which may never come.
   */
  get flaw(): FormatError | undefined {
    return this.#result?.kind === "malformed" ? this.#result.error : undefined;
  }

  /** True between two lines, when nothing of the next one has arrived. */
  get isBetweenLines(): boolean {
    return this.#state === "words" && this.#words.length === 0 && this.#lineBytes === 0;
  }

  /** Reads a chunk and yields what it completes. The chunk must not be written to afterwards. */
  *feed(chunk: Uint8Array): Generator<ReaderEvent, void, void> {
    this.#chunk = chunk;
    this.#at = 0;
    for (;;) {
      const event = this.#next();
      if (event === undefined) {
        // Lets go of the chunk, so that a client that stays silent does not keep it in memory.
        this.#chunk = NOTHING;
        this.#at = 0;
        return;
      }
      yield event;
    }
  }

  /** About how many bytes the current line keeps in memory. */
  get heldBytes(): number {
    return this.#lineBytes + (this.#parser?.heldBytes ?? 0);
  }

  /**
   * Gives up the current line: the rest of it is dropped, and it is reported as malformed. Returns
   * false and does nothing where that is not possible at the moment: between two lines, or within
   * the size of a literal.
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

  /** The part of the last chunk that has not been read, which the reader forgets. */
  rest(): Uint8Array {
    const rest = this.#chunk.subarray(this.#at);
    this.#at = this.#chunk.length;
    return rest;
  }

  /** The peer sends no more: the unfinished line, if there is one, as malformed. */
  end(): LineEvent | undefined {
    if (this.isBetweenLines) return undefined;
    if (this.#result?.kind === "malformed") return this.#result;
    const error = new FormatError(this.#parser?.offset ?? this.#lineBytes, "the rest of the line");
    return { kind: "malformed", words: this.#words, error };
  }

  #next(): ReaderEvent | undefined {
    for (;;) {
      // The parser may have an event to give that needs no further byte.
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

  /** Reads a word up to its space. A line that ends before it is plain text. */
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

  /** Asks the consumer what comes next on the line; true if it is a word. */
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
    // A line of a single word is reported as that word.
    const isWord = this.#options.expect(this.#words) === "word" && text.length <= WORD_BYTES;
    const words = isWord && text.length > 0 ? [...this.#words, latin1(text)] : this.#words;
    const event: LineEvent = { kind: "text", words, text: isWord ? new Uint8Array() : text };
    return this.#finishLine(event, tailOf([line]));
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

  /** Reads the end of a line after its value: CRLF, or LF alone. */
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

  /** Begins to drop the rest of a line that cannot be read; it is reported at its end. */
  #fail(error: DlistError): LineEvent | undefined {
    this.#result = { kind: "malformed", words: this.#words, error };
    // A literal may be announced half in what was read and half in what is to come.
    const isAfterBody = error.skip > 0 || error.lineEnded;
    this.#tail = isAfterBody ? "" : (this.#parser?.tail ?? tailOf(this.#line));
    // What is dropped need not be kept, however long it takes to reach its end.
    this.#line = [];
    this.#lineBytes = 0;
    this.#parser = undefined;
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
    this.#tail = tailOf([fromLatin1(this.#tail), this.#chunk.subarray(this.#at, to)]);
    this.#at = end < 0 ? to : end + 1;
    return end < 0 ? undefined : this.#finishLine(this.#result, this.#tail);
  }

  /** Ends a line; the command goes on if it announced a literal, which is dropped. */
  #finishLine(event: LineEvent | undefined, tail: string): LineEvent | undefined {
    this.#result = event;
    this.#tail = "";
    const announced = announcedBytes(tail);
    if (announced === undefined) return this.#reset();
    this.#skip = announced;
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
