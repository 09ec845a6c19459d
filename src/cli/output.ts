/**
 * The output of a command: data goes to stdout, messages go to stderr. With `--json` stdout holds
 * one JSON object a line, the last of which is always `{"type":"summary", …, "exit": n}`.
 */
import { writeSync } from "node:fs";
import { AppError, errnoOf } from "../core/errors.ts";
import { escapeText } from "../core/escape.ts";

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly progress: boolean;
}

/** What the command prints cannot be written any more: it ends, whatever it was about to do. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";

  /** Says why on stderr, unless the reader of a pipe has gone, who wants no more. */
  tell(): void {
    const errno = errnoOf(this.cause) ?? "";
    if (errno === "EPIPE") return;
    try {
      writeAll(STDERR, Buffer.from(`bobbin: Cannot write the output: ${errno}\n`));
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error; // else it is stderr that is closed
    }
  }
}

export interface Output extends OutputOptions {
  /** True if stdout may have colours. */
  readonly color: boolean;
  /** Prints a line of escaped data for people; dropped with `--json`. */
  line(text: string): void;
  /** Prints one JSON object; dropped without `--json`. */
  object(value: Readonly<Record<string, unknown>>): void;
  /** Writes raw bytes to stdout (for `cat`). */
  bytes(data: Uint8Array): void;
  /** Prints a message on stderr and escapes it; dropped with `--quiet`. */
  talk(text: string): void;
  /** Prints an error on stderr and escapes it, always; with `--json` also as an `error` object. */
  error(text: string, facts?: Readonly<Record<string, unknown>>): void;
  /** Writes out what is buffered. */
  flush(): void;
  /** `hide` is called before anything is written to the terminal, to remove a progress bar. */
  overlay(hide: (() => void) | undefined): void;
}

const STDOUT = 1;
const STDERR = 2;
const BUFFER_LIMIT = 64 * 1024;

/** The output of this process. */
export function processOutput(options: OutputOptions): Output {
  let buffered = "";
  let hide: (() => void) | undefined;
  const put = (fd: number, data: Uint8Array) => {
    if (fd === STDERR || process.stdout.isTTY === true) hide?.();
    writeAll(fd, data);
  };
  const flush = () => {
    const text = buffered;
    buffered = "";
    if (text !== "") put(STDOUT, Buffer.from(text));
  };
  const write = (text: string) => {
    buffered += `${text}\n`;
    if (buffered.length > BUFFER_LIMIT) flush();
  };
  return {
    ...options,
    color: !options.json && process.stdout.isTTY === true && !process.env["NO_COLOR"],
    line: (text) => {
      if (!options.json) write(text);
    },
    object: (value) => {
      if (options.json) write(JSON.stringify(value, jsonValue));
    },
    bytes: (data) => {
      flush();
      put(STDOUT, data);
    },
    talk: (text) => {
      if (!options.quiet) put(STDERR, Buffer.from(`${escapeText(text)}\n`));
    },
    error: (text, facts = {}) => {
      if (options.json) write(JSON.stringify({ type: "error", text, ...facts }, jsonValue));
      flush();
      put(STDERR, Buffer.from(`bobbin: ${escapeText(text)}\n`));
    },
    flush,
    overlay: (bar) => {
      hide = bar;
    },
  };
}

/** An output that prints its lines on stderr, where stdout belongs to a dump. */
export function aside(output: Output): Output {
  return { ...output, line: (text) => output.talk(text) };
}

/** Throws AppError (usage) with `--json` where a command prints `what`, which is no data. */
export function refuseJson({ json }: Output, what: string): void {
  if (json) throw new AppError("usage", `Cannot print ${what} as JSON lines: leave out --json`);
}

/** Keeps 64-bit values exact: they are numbers up to 2^53 - 1, else strings. */
export function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

/** Writes all of `data`; a pipe may be full for a while (EAGAIN). Throws OutputClosed. */
export function writeAll(fd: number, data: Uint8Array): void {
  let at = 0;
  while (at < data.length) {
    try {
      at += writeSync(fd, data, at);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      if (errno !== "EAGAIN") throw new OutputClosed("output closed", { cause: error });
      Bun.sleepSync(2);
    }
  }
}
