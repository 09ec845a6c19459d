/**
 * The syntax of imapd.conf, as Cyrus reads it (lib/libconfig.c; each point tried with `cyr_info`):
 *
 * - `name: value`; the name is letters, digits, `-`, `_`, in any case, with nothing between it and
 *   the colon. White space around the value is dropped, quotes and `#` inside it stay.
 * - A line that begins with `#` is a comment. A `\` at the end of any line, comments too, joins the
 *   next one as it is; at the end of the file it loses the line.
 * - `@include: path`; a path that is not absolute is taken from the working directory, and no file
 *   may come twice.
 * - The same name twice is an error, and so is an empty value.
 */
import { textOf } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import { readGiven } from "../../../core/given_file.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";

/** Name, in lower case, and value of everything that is set. */
export type ConfOptions = ReadonlyMap<string, string>;

/** Reads a configuration file with all it includes. Throws AppError. */
export function readConfFile(path: string): ConfOptions {
  const reading: Reading = { options: new Map(), files: new Set() };
  readInto(reading, path);
  return reading.options;
}

interface Reading {
  readonly options: Map<string, string>;
  readonly files: Set<string>;
}

function readInto(reading: Reading, path: string): void {
  if (reading.files.has(path)) throw confError(`Configuration file ${path} is included twice`);
  reading.files.add(path);
  if (reading.files.size > DEFAULT_LIMITS.configFiles) {
    throw confError(`More than ${DEFAULT_LIMITS.configFiles} configuration files are included`);
  }
  for (const { number, text } of joinedLines(readText(path))) {
    const line = text.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const where = `line ${number} of ${path}`;
    const [, written, rest = ""] = /^(@?[A-Za-z0-9_-]*):([\s\S]*)$/.exec(line) ?? [];
    if (written === undefined) {
      throw new AppError("config", `Cannot read ${where}: no option name and colon`, {
        hint: `An imapd.conf is wanted, no cyrus.conf; a dump is given as dump:${path}`,
      });
    }
    const name = written.toLowerCase();
    const value = rest.trim();
    if (value === "") throw confError(`Cannot read ${where}: ${name} has no value`);
    if (name === "@include") readInto(reading, value);
    else if (name.startsWith("@")) throw confError(`Cannot read ${where}: no directive ${name}`);
    else if (reading.options.has(name)) throw confError(`${name} is set twice, again in ${where}`);
    else reading.options.set(name, value);
  }
}

interface JoinedLine {
  /** The number of its last line, as Cyrus counts. */
  readonly number: number;
  readonly text: string;
}

function* joinedLines(text: string): Generator<JoinedLine> {
  const lines = text.split("\n");
  const last = lines.pop();
  let begun = "";
  for (const [at, line] of lines.entries()) {
    if (line.endsWith("\\")) begun += line.slice(0, -1);
    else {
      yield { number: at + 1, text: begun + line };
      begun = "";
    }
  }
  // Without a line end a `\` is just a character; with one, the line waits for a next that never
  // comes.
  if (last !== undefined && last !== "") yield { number: lines.length + 1, text: begun + last };
}

function readText(path: string): string {
  const given = readGiven(path);
  if ("problem" in given) {
    const { problem, errno } = given;
    const code = errno === undefined ? "config" : errno === "ENOENT" ? "not_found" : "io";
    throw new AppError(code, `Cannot read configuration file ${path}: ${problem}`, {
      cause: given.cause,
    });
  }
  const text = textOf(given.bytes);
  if (text !== undefined) return text;
  throw confError(`Configuration file ${path} is not UTF-8`);
}

function confError(message: string): AppError {
  return new AppError("config", message);
}
