/**
 * Log lines of a server: one event a line, its text first and then facts as `key=value`. Foreign
 * text is escaped here, so that nobody can forge a line. In the form for journald a line begins
 * with its priority, as `<4>`, and has no time of its own (sd-daemon(3)).
 */
import { errnoOf } from "./errors.ts";
import { escapeText } from "./escape.ts";

/** The levels, the most severe first, in the order of syslog's priorities. */
export type LogLevel = "error" | "warning" | "notice" | "info" | "debug";

const PRIORITY: Readonly<Record<LogLevel, number>> = {
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

export type LogFacts = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export interface Log {
  /** Writes one line, unless `level` is below the log's own; undefined facts are left out. */
  write(level: LogLevel, text: string, facts?: LogFacts): void;
  /** A log like this one whose lines have these facts too. */
  with(facts: LogFacts): Log;
}

export interface LogOptions {
  /** Receives each line, without a line end. */
  readonly sink: (line: string) => void;
  readonly form: "text" | "journal";
  /** The least severe level that is written. */
  readonly level: LogLevel;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A log that writes to `options.sink`. */
export function makeLog(options: LogOptions, facts: LogFacts = {}): Log {
  return {
    write: (level, text, more = {}) => {
      if (PRIORITY[level] > PRIORITY[options.level]) return;
      const line = `${escapeText(shortened(text))}${factsText({ ...facts, ...more })}`;
      const time = options.form === "text" ? new Date(options.now()).toISOString() : "";
      options.sink(
        options.form === "text" ? `${time} ${level} ${line}` : `<${PRIORITY[level]}>${line}`,
      );
    },
    with: (more) => makeLog(options, { ...facts, ...more }),
  };
}

/**
 * A sink that never throws: while `write` fails (the disk is full, nobody reads the pipe) lines are
 * lost, and the next one that can be written says how many.
 */
export function sinkThatMayFail(write: (line: string) => void): (line: string) => void {
  let lost = 0;
  return (line) => {
    try {
      write(lost === 0 ? line : `${line} linesLostBefore=${lost}`);
      lost = 0;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      lost++;
    }
  };
}

/** A log that writes each line to all of `logs`. */
export function everyLog(logs: readonly Log[]): Log {
  return {
    write: (level, text, facts) => {
      for (const log of logs) log.write(level, text, facts);
    },
    with: (facts) => everyLog(logs.map((log) => log.with(facts))),
  };
}

function factsText(facts: LogFacts): string {
  let text = "";
  for (const [key, value] of Object.entries(facts)) {
    if (value !== undefined) text += ` ${key}=${quoted(shortened(String(value)))}`;
  }
  return text;
}

/** The longest text in a line; foreign text may be of any length. */
const TEXT_LENGTH = 2000;

function shortened(text: string): string {
  return text.length <= TEXT_LENGTH ? text : `${text.slice(0, TEXT_LENGTH)}… (${text.length})`;
}

/** Quotes a value that holds anything but plain characters. */
function quoted(value: string): string {
  if (/^[\w.:@/+,%#!&*-]+$/.test(value)) return value;
  return `"${escapeText(value).replace(/["\\]/g, "\\$&")}"`;
}
