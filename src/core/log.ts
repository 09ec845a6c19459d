/**
 * Log lines of a server: one event a line, words first, then facts as `key=value`. Foreign text is escaped
 * here, so that nobody can forge a line. In the form for journald a line begins with its
 * priority, `<4>`, and has no time of its own (sd-daemon(3)).
 */
import { errnoOf } from "./errors.ts";
import { escapeText } from "./escape.ts";

/** In the order of syslog's priorities, the gravest first. */
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
  /** Writes one line, unless `level` is below what is wanted. Undefined facts are left out. */
  write(level: LogLevel, text: string, facts?: LogFacts): void;
  /** A log whose lines have these facts too. */
  with(facts: LogFacts): Log;
}

export interface LogOptions {
  /** Takes each line, without its end. */
  readonly sink: (line: string) => void;
  readonly form: "text" | "journal";
  /** The least grave level that is written. */
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
 * A sink that no state of the system stops: while `write` fails (a full disk, a pipe that nobody reads or empties) its
 * lines are lost, and the first that can be written again says how many.
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

/** Foreign text can be as long as a peer likes; a line of the log cannot. */
const TEXT_LENGTH = 2000;

function shortened(text: string): string {
  return text.length <= TEXT_LENGTH ? text : `${text.slice(0, TEXT_LENGTH)}… (${text.length})`;
}

/** A value with anything but plain characters in it stands in quotes. */
function quoted(value: string): string {
  if (/^[\w.:@/+,%#!&*-]+$/.test(value)) return value;
  return `"${escapeText(value).replace(/["\\]/g, "\\$&")}"`;
}
