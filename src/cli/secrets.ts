/**
 * Passwords come from a file, from BOBBIN_PASSWORD, from systemd's credentials or from a terminal,
 * never from an argument, which everybody on the machine can see.
 */

import { join } from "node:path";
import { latin1, textOf } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { isThere } from "../core/files.ts";
import { readFirstLine } from "../core/given_file.ts";

export interface SecretSource {
  /** The value of `--password-file`. `-` is stdin, whose first line serves all who ask for it. */
  readonly file?: string | undefined;
  /** Names of credentials in $CREDENTIALS_DIRECTORY; the first that exists counts. */
  readonly credentials: readonly string[];
  /** Whose the password is, as in «Password for fred». */
  readonly whose: string;
  /** A new password: a terminal is asked for it twice. */
  readonly isNew?: boolean;
}

/** The first line of stdin, which can be read only once. */
let stdinLine: string | undefined;

/** The password from the first source that has one. Throws AppError (usage, io). */
export async function readPassword(source: SecretSource): Promise<string> {
  const { BOBBIN_PASSWORD, CREDENTIALS_DIRECTORY } = process.env;
  if (source.file === "-") {
    stdinLine ??= await firstLine("-");
    return stdinLine;
  }
  if (source.file !== undefined) return firstLine(source.file);
  if (BOBBIN_PASSWORD !== undefined && BOBBIN_PASSWORD !== "") return BOBBIN_PASSWORD;
  const credential = source.credentials
    .map((name) => join(CREDENTIALS_DIRECTORY ?? "", name))
    .find((path) => CREDENTIALS_DIRECTORY !== undefined && isThere(path));
  if (credential !== undefined) return firstLine(credential);
  if (process.stdin.isTTY) return askOnTerminal(source);
  throw new AppError("usage", `No password was given for ${source.whose}`, {
    hint: "Use --password-file FILE, BOBBIN_PASSWORD, or a terminal.",
  });
}

async function askOnTerminal({ whose, isNew = false }: SecretSource): Promise<string> {
  const password = await askFor(`${isNew ? "New password" : "Password"} for ${whose}`);
  if (password === "") throw new AppError("usage", `No password was given for ${whose}`);
  if (!isNew || password === (await askFor("The same again"))) return password;
  throw new AppError("usage", `The two passwords for ${whose} are not the same`);
}

async function firstLine(file: string): Promise<string> {
  const name = file === "-" ? "stdin" : `password file ${file}`;
  const given = await readFirstLine(file);
  if ("problem" in given) {
    throw new AppError("io", `Cannot read ${name}: ${given.problem}`, { cause: given.cause });
  }
  const [line = ""] = (textOf(given.bytes) ?? latin1(given.bytes)).split(/\r?\n/, 1);
  if (line === "")
    throw new AppError("usage", `No password was given: ${name} begins with an empty line`);
  return line;
}

/** Reads a line from the terminal without echo. Others may be read after it. */
async function askFor(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  const line = Promise.withResolvers<string>();
  let typed = "";
  const take = (chunk: unknown): void => {
    for (const char of String(chunk)) {
      if (char === "\r" || char === "\n") line.resolve(typed);
      if (char === "\u0003") interrupt();
      typed = char === "\u007f" ? typed.slice(0, -1) : typed + char;
    }
  };
  const end = (): void => line.resolve(typed);
  // A raw terminal sends no signal at Ctrl-C. The signal ends the command, so nobody waits on.
  const interrupt = (): void => {
    stdin.setRawMode(false);
    stderr.write("\n");
    process.kill(process.pid, "SIGINT");
  };
  stdin.setRawMode(true);
  stderr.write(`${prompt}: `);
  stdin.on("data", take).on("end", end).resume();
  try {
    return await line.promise;
  } finally {
    stdin.off("data", take).off("end", end).pause();
    stdin.setRawMode(false);
    stderr.write("\n");
  }
}
