/**
 * Log lines of a server: one event a line, its text first and then facts as `key=value`. Foreign
 * text is escaped here, so that nobody can forge a line. In the form for journald a line begins
 * with its priority, as `<4>`, and has no time of its own (sd-daemon(3)). In the form for programs
 * it is a JSON object, whose facts stand beside `time`, `level` and `text`.
 */
import { errnoOf } from "./errors.ts";
import { escapeText } from "./escape.ts";
import { jsonLine } from "./json.ts";

/** The levels, the most severe first, in the order of syslog's priorities. */
export const LOG_LEVELS = ["error", "warning", "notice", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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
  readonly form: "text" | "journal" | "json";
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
      const all = { ...facts, ...more };
      const time = new Date(options.now()).toISOString();
      if (options.form === "json") {
        options.sink(
          jsonLine({ ...shortFacts(all), type: "log", time, level, text: shortened(text) }),
        );
        return;
      }
      const line = `${escapeText(shortened(text))}${factsText(all)}`;
      options.sink(
        options.form === "text" ? `${time} ${level} ${line}` : `<${PRIORITY[level]}>${line}`,
      );
    },
    with: (more) => makeLog(options, { ...facts, ...more }),
  };
}

/**
 * A sink that never throws: while `write` fails or says false (the disk is full, nobody reads the
 * pipe) lines are lost, and the next one that can be written says how many.
 */
export function sinkThatMayFail(write: (line: string) => boolean): (line: string) => void {
  let lost = 0;
  return (line) => {
    try {
      if (write(lost === 0 ? line : afterLoss(line, lost))) lost = 0;
      else lost++;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      lost++;
    }
  };
}

function afterLoss(line: string, lost: number): string {
  if (!line.startsWith("{")) return `${line} linesLostBefore=${lost}`;
  return `${line.slice(0, -1)},"linesLostBefore":${lost}}`;
}

/** Lines that one origin may have written at once, and a second from then on. */
const LINES_AT_ONCE = 1000;
const LINES_A_SECOND = 10;
const ORIGINS = 10_000;

interface Allowance {
  lines: number;
  atMs: number;
  unwritten: number;
}

/**
 * Gives each origin a log that writes some lines of it and then few: refusals cost a client
 * nothing, and would fill the disk with their lines. The next line that is written says how many
 * were not.
 */
export function limitedLogs(now: () => number): (log: Log, origin: string) => Log {
  const allowances = new Map<string, Allowance>();
  return (log, origin) => {
    const known = allowances.get(origin);
    const allowance = known ?? { lines: LINES_AT_ONCE, atMs: now(), unwritten: 0 };
    allowances.delete(origin);
    allowances.set(origin, allowance);
    const [oldest] = allowances.keys();
    if (allowances.size > ORIGINS && oldest !== undefined) allowances.delete(oldest);
    return limited(log, { allowance, now });
  };
}

function limited(
  log: Log,
  options: { readonly allowance: Allowance; readonly now: () => number },
): Log {
  const { allowance, now } = options;
  return {
    write: (level, text, facts = {}) => {
      const more = ((now() - allowance.atMs) / 1000) * LINES_A_SECOND;
      allowance.lines = Math.min(LINES_AT_ONCE, allowance.lines + more);
      allowance.atMs = now();
      if (level !== "debug" && allowance.lines < 1) {
        allowance.unwritten++;
        return;
      }
      const { unwritten } = allowance;
      log.write(level, text, unwritten === 0 ? facts : { ...facts, linesUnwritten: unwritten });
      if (level === "debug") return; // whoever asks for these wants them all
      allowance.lines--;
      allowance.unwritten = 0;
    },
    with: (facts) => limited(log.with(facts), options),
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

function shortFacts(facts: LogFacts): LogFacts {
  const short = ([key, value]: [string, LogFacts[string]]) => [
    key,
    typeof value === "string" ? shortened(value) : value,
  ];
  return Object.fromEntries(Object.entries(facts).map(short));
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
