/**
 * The output of a command: data goes to stdout, messages go to stderr. With `--json` stdout holds
 * one JSON object a line (`json/lines.ts`), the last of which is always the summary.
 */
import { writeSync } from "node:fs";
import { AppError, errnoOf, errnoText } from "../core/errors.ts";
import { escapeText } from "../core/escape.ts";
import { jsonLine } from "../core/json.ts";
import { alikeErrors } from "./alike.ts";
import type { ErrorFacts, Line } from "./json/lines.ts";
import type { Summary } from "./json/summaries.ts";

/** How much is told: errors alone, the last line too, what is usual, or each thing. */
export type Loudness = "errors" | "summary" | "usual" | "more";

export interface OutputOptions {
  readonly json: boolean;
  readonly loudness: Loudness;
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
      writeAll(STDERR, Buffer.from(`bobbin: Cannot write the output: ${errnoText(errno)}\n`));
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error; // else it is stderr that is closed
    }
  }
}

export interface Output extends OutputOptions {
  /** True if stdout may have colours. */
  readonly color: boolean;
  /** Columns of the terminal that is stdout; undefined where it is none. */
  readonly width: number | undefined;
  /** Prints a line of escaped data for people: what was asked for, or what is wrong. */
  line(text: string): void;
  /** Prints an escaped line of what was done; `--quiet` and `--summary` leave it out. */
  step(text: string): void;
  /** Prints the escaped line that sums up; `--quiet` leaves it out. */
  total(text: string): void;
  /** Prints one JSON object; dropped without `--json`. */
  object(value: Line): void;
  /** Writes raw bytes to stdout (for `cat`). */
  bytes(data: Uint8Array): void;
  /** Prints a message on stderr and escapes it; `--quiet` and `--summary` leave it out. */
  talk(text: string): void;
  /**
   * Prints an error on stderr, with its hint as a message below it the first time, and escapes
   * both; with `--json` also as an object. Of many that are alike some are told, unless all are
   * with `-v`.
   */
  error(text: string, facts: ErrorFacts): void;
  /** Prints the last object, and how many errors were not told. */
  end(summary: Summary): void;
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
  const { json, loudness } = options;
  const isTerminal = process.stdout.isTTY === true;
  let buffered = "";
  let hide: (() => void) | undefined;
  const alike = alikeErrors();
  const hints = new Set<string>();
  const put = (fd: number, data: Uint8Array) => {
    if (fd === STDERR || isTerminal) hide?.();
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
  const writeText = (text: string) => {
    if (!json) write(text);
  };
  const writeError = (text: string) => {
    flush();
    put(STDERR, Buffer.from(`bobbin: ${escapeText(text)}\n`));
  };
  const talk = (text: string) => {
    if (isUsual(loudness)) put(STDERR, Buffer.from(`${escapeText(text)}\n`));
  };
  return {
    ...options,
    color: !json && isTerminal && !isDumbTerminal() && !process.env["NO_COLOR"],
    width: isTerminal ? terminalWidth() : undefined,
    line: writeText,
    step: (text) => {
      if (isUsual(loudness)) writeText(text);
    },
    total: (text) => {
      if (loudness !== "errors") writeText(text);
    },
    object: (value) => {
      if (json) write(jsonLine(value));
    },
    bytes: (data) => {
      flush();
      put(STDOUT, data);
    },
    talk,
    error: (text, facts) => {
      if (json) write(jsonLine({ type: "error", text, ...facts }));
      if (loudness !== "more" && !alike.isToBeTold(text, facts)) return;
      writeError(text);
      const { hint } = facts;
      if (hint !== undefined && !hints.has(hint)) talk(`  ${hint}`);
      hints.add(hint ?? "");
    },
    end: (summary) => {
      for (const text of alike.others()) if (loudness !== "more") writeError(text);
      if (json) write(jsonLine({ type: "summary", ...summary }));
      flush();
    },
    flush,
    overlay: (bar) => {
      hide = bar;
    },
  };
}

/** True for a terminal that knows no escapes: it gets no colours and no progress bar. */
export function isDumbTerminal(): boolean {
  return process.env["TERM"] === "dumb";
}

function terminalWidth(): number {
  const wanted = Number(process.env["COLUMNS"]);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : process.stdout.columns || 80;
}

/** True where messages and steps are told. */
export function isUsual(loudness: Loudness): boolean {
  return loudness === "usual" || loudness === "more";
}

/** An output that prints its lines on stderr, where stdout belongs to a dump. */
export function aside(output: Output): Output {
  const { talk } = output;
  return { ...output, line: talk, step: talk, total: talk };
}

/** Throws AppError (usage) with `--json` where a command prints `what`, which is no data. */
export function refuseJson({ json }: Output, what: string): void {
  if (json) throw new AppError("usage", `Cannot print ${what} as JSON lines: leave out --json`);
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
