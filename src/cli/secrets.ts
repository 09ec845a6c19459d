/**
 * Passwords come from a file, from BOBBIN_PASSWORD, from systemd's credentials or from a terminal, never from an
 * argument: those can be seen by everybody on the machine.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";

export interface SecretSource {
  /** `--password-file`; `-` is stdin. */
  readonly file?: string | undefined;
  /** Name of the credential in $CREDENTIALS_DIRECTORY. */
  readonly credential: string;
  /** Asked for on a terminal if nothing else gives a password. */
  readonly prompt: string;
}

/** The password from the first source that has one. Throws AppError (usage, io). */
export async function readPassword(source: SecretSource): Promise<string> {
  const { BOBBIN_PASSWORD, CREDENTIALS_DIRECTORY } = process.env;
  if (source.file !== undefined) return firstLine(source.file === "-" ? 0 : source.file);
  if (BOBBIN_PASSWORD !== undefined && BOBBIN_PASSWORD !== "") return BOBBIN_PASSWORD;
  const credential = join(CREDENTIALS_DIRECTORY ?? "", source.credential);
  if (CREDENTIALS_DIRECTORY !== undefined && existsSync(credential)) return firstLine(credential);
  if (process.stdin.isTTY) return askFor(source.prompt);
  throw new AppError("usage", "No password was given", {
    hint: "Use --password-file FILE, BOBBIN_PASSWORD, or a terminal.",
  });
}

function firstLine(file: string | 0): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new AppError("io", `Cannot read password file ${file}: ${errnoOf(error)}`, {
      cause: error,
    });
  }
  const [line = ""] = text.split(/\r?\n/, 1);
  if (line === "") throw new AppError("usage", `Password file ${file} begins with an empty line`);
  return line;
}

/** Reads a line from the terminal without showing it. */
async function askFor(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(`${prompt}: `);
  stdin.setRawMode(true);
  let typed = "";
  try {
    for await (const chunk of stdin) {
      for (const char of String(chunk)) {
        if (char === "\r" || char === "\n") return typed;
        if (char === "\u0003") throw new AppError("usage", "No password was given");
        typed = char === "\u007f" ? typed.slice(0, -1) : typed + char;
      }
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}
