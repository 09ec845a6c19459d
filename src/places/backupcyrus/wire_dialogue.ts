/**
 * One connection to a server of backupcyrusd's protocol (backup-format.md 10). Requests are
 * answered in their order; the next may be sent before the answer to the last is there. After an
 * error nobody could tell where the next answer begins: the connection is over.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import { AppError, FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { type FileLine, parseFileLine, parseWords, printWords } from "../../formats/backup/wire.ts";
import type { Connection } from "../../net/connection.ts";
import { LineReader } from "../../net/line_reader.ts";

const { wireLineBytes, answerBytes } = DEFAULT_LIMITS;
/** What a line of an answer costs in memory beside its bytes. */
const LINE_COST = 100;
/** Bytes that a server must send for each millisecond that its answer takes longer. */
const ANSWER_BYTES_PER_MS = 4;

/** Takes the files out of an answer while they come. */
export interface FileTaker {
  /** The most bytes that the next file of this name may have. */
  limitOf(name: string): number;
  start(file: FileLine): void;
  data(bytes: Uint8Array): void;
  /** All of the file has come; `sha1` is what the server has computed of it, in hex. */
  end(sha1: string): void;
}

export interface WireAnswer {
  /** The words of `USER`, `FOLDER` and `STAT` lines. */
  readonly lines: readonly (readonly [string, ...string[]])[];
  /** What follows `DONE VERB`: of FMETA and FDATA uniqueid and jmapid. */
  readonly done: readonly string[];
  /** Why there is no answer: the line of `NO`. */
  readonly refusal?: string;
}

export interface WireOptions {
  /** What error messages call the server. */
  readonly where: string;
  /** The longest silence of the server while something is awaited of it. */
  readonly silenceMs: number;
  /** What the connection has already given. */
  readonly rest?: Uint8Array;
}

/** What is expected where no files were asked for. */
const NO_FILES: FileTaker = {
  limitOf: () => -1,
  start: () => undefined,
  data: () => undefined,
  end: () => undefined,
};

export class WireDialogue {
  readonly connection: Connection;
  readonly #options: WireOptions;
  readonly #reader: LineReader;
  #turn: Promise<void> = Promise.resolve();
  /** The request at which the connection failed. */
  failedAt: readonly string[] | undefined;

  constructor(connection: Connection, options: WireOptions) {
    this.connection = connection;
    this.#options = options;
    const { rest } = options;
    this.#reader = new LineReader(connection, { lineBytes: wireLineBytes, ...(rest && { rest }) });
  }

  /**
   * Sends a request and reads the answer to it. Throws AppError: unreachable when the server has
   * gone, protocol for an answer that nobody can understand.
   */
  async ask(words: readonly [string, ...string[]], files = NO_FILES): Promise<WireAnswer> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      await this.connection.write(fromLatin1(`${printWords(...words)}\n`));
      await this.connection.flush();
      await before;
      if (this.failedAt !== undefined) throw this.#gone();
      return await this.#answer(words[0], files);
    } catch (error) {
      this.failedAt ??= words;
      this.connection.destroy();
      throw error;
    } finally {
      resolve();
    }
  }

  async #answer(verb: string, files: FileTaker): Promise<WireAnswer> {
    const left = this.#patience();
    const first = await this.#line(left);
    const [, refusal] = /^NO (.*)$/s.exec(first) ?? [];
    if (refusal !== undefined) return { lines: [], done: [], refusal };
    if (first.startsWith("* ")) {
      throw new AppError("refused", `${this.#options.where} wants a sign-in first`, {
        hint: "Name the account that signs in: backupcyrus://USER@HOST:PORT",
      });
    }
    if (first !== "OK") throw this.#protocol(`"${first.slice(0, 100)}"`);
    const lines: [string, ...string[]][] = [];
    for (let bytes = 0; ; ) {
      const line = await this.#line(left);
      // Lines that nothing is kept of count too: a server may send them for ever.
      bytes += line.length + LINE_COST;
      if (bytes > answerBytes) throw this.#protocol("an answer of too many lines");
      if (line.startsWith("NO ")) continue; // the file that this line stands for stays untaken
      const words = this.#parsed(() => parseWords(line));
      const [kind, ...rest] = words;
      if (kind === "DONE" && rest[0] === verb) return { lines, done: rest.slice(1) };
      if (kind === "DATA") await this.#file(rest, files, left);
      else if (/^(USER|FOLDER|STAT)$/.test(kind)) lines.push(words);
      else throw this.#protocol(`"${line.slice(0, 100)}"`);
    }
  }

  async #file(words: readonly string[], files: FileTaker, left: () => number): Promise<void> {
    const file = this.#parsed(() => parseFileLine(words));
    const { name, size } = file;
    const limit = files.limitOf(name);
    if (limit < 0) throw this.#protocol(`a file ${name} that was not asked for`);
    if (!(size >= 0 && size <= limit)) {
      throw this.#protocol(`a file ${name} of ${size} bytes, over ${limit}`);
    }
    files.start(file);
    for (let missing = size; missing > 0; ) {
      const got = this.#got(await this.#reader.bytes(missing, left));
      missing -= got.length;
      files.data(got);
    }
    const [done, named, sha1 = ""] = this.#words(await this.#line(left));
    if (done !== "DONE" || named !== name || !/^[0-9a-f]{40}$/.test(sha1)) {
      throw this.#protocol(`a file ${name} that is not of its size, or has no end`);
    }
    files.end(sha1);
  }

  /** Milliseconds that are left for an answer: it may take its time, as long as it goes on. */
  #patience(): () => number {
    const { silenceMs } = this.#options;
    const untilMs = performance.now() + silenceMs;
    const before = this.connection.bytesIn;
    return () => {
      const more = (this.connection.bytesIn - before) / ANSWER_BYTES_PER_MS;
      return Math.min(silenceMs, Math.max(1, untilMs + more - performance.now()));
    };
  }

  async #line(left: () => number): Promise<string> {
    const got = await this.#reader.line(left);
    if (got === "tooLong") throw this.#protocol("a line without end");
    return latin1(this.#got(got));
  }

  #words(line: string): readonly string[] {
    return this.#parsed(() => parseWords(line));
  }

  #got(got: Uint8Array | "end" | "timeout"): Uint8Array {
    if (got === "end") throw this.#gone();
    if (got !== "timeout") return got;
    const { where, silenceMs } = this.#options;
    const text = `${where} has not gone on with its answer in ${Math.round(silenceMs / 1000)} s`;
    throw new AppError("unreachable", text);
  }

  #parsed<Value>(parse: () => Value): Value {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw this.#protocol(`an answer that cannot be read (${error.message})`, error);
    }
  }

  #protocol(what: string, cause?: Error): AppError {
    return new AppError("protocol", `${this.#options.where} has sent ${what}`, { cause });
  }

  #gone(): AppError {
    const { loss } = this.connection;
    const cause = loss instanceof Error ? loss : undefined;
    const why = cause === undefined ? "" : `: ${cause.message}`;
    const text = `${this.#options.where} has closed the connection${why}`;
    return new AppError("unreachable", text, { cause });
  }
}
