/**
 * The file that accounts are kept in: JSON, replaced as a whole, which only its owner may read.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { textOf, utf8 } from "../core/bytes.ts";
import { AppError, errnoOf } from "../core/errors.ts";
import { readGiven } from "../core/given_file.ts";
import type { ScramVerifier } from "../formats/sasl/scram.ts";
import { statOf } from "../storage/disk.ts";
import { replaceFile } from "../storage/durable.ts";
import { lockAlone } from "../storage/libc.ts";
import { whileBusy } from "../storage/retry.ts";
import { type Account, type Accounts, isAccountName, noAccounts, SECRET_BYTES } from "./account.ts";

const VERSION = 1;

/** The accounts in the file at `path`. Throws AppError (config) if it is none or open to others. */
export function readAccounts(path: string): Accounts {
  const given = readGiven(path);
  if ("problem" in given) {
    throw new AppError("config", `Cannot read users file ${path}: ${given.problem}`, {
      cause: given.cause,
      ...(given.errno === "ENOENT" && { hint: "bobbin passwd makes one" }),
    });
  }
  if ((statSync(path).mode & 0o007) !== 0) {
    throw new AppError("config", `Cannot use users file ${path}: everybody may read it`, {
      hint: `chmod 600 ${path}`,
    });
  }
  return parseAccounts(textOf(given.bytes) ?? "", path);
}

/**
 * Changes the file at `path`, which is made if need be, while nobody else does: its folder is
 * locked meanwhile. Throws AppError (busy) if it stays locked.
 */
export async function changeAccounts(
  path: string,
  change: (accounts: Accounts) => Promise<Accounts>,
): Promise<void> {
  const folder = openFolderOf(path);
  try {
    await whileBusy(() => {
      if (lockAlone(folder) !== false) return;
      throw new AppError("busy", `Cannot change users file ${path}: somebody else is changing it`);
    });
    writeAccounts(
      path,
      await change(statOf(path) === undefined ? noAccounts() : readAccounts(path)),
    );
  } finally {
    closeSync(folder);
  }
}

function openFolderOf(path: string): number {
  try {
    return openSync(dirname(path), "r");
  } catch (error) {
    throw notWritten(path, error);
  }
}

/**
 * Writes the file at `path` anew, mode 0600; it stays that of its owner, whose server reads it.
 * Throws AppError (cannot_create).
 */
export function writeAccounts(path: string, accounts: Accounts): void {
  try {
    const owner = process.getuid?.() === 0 ? statOf(path) : undefined;
    replaceFile(path, utf8(printAccounts(accounts)), owner && { owner });
  } catch (error) {
    throw notWritten(path, error);
  }
}

function notWritten(path: string, error: unknown): AppError {
  const errno = error instanceof AppError ? error.context["errno"] : errnoOf(error);
  const reason = errno ?? String(error);
  return new AppError("cannot_create", `Cannot write users file ${path}: ${reason}`, {
    cause: error,
    ...(reason === "ENOENT" && { hint: `Make its folder first: ${dirname(path)}` }),
  });
}

/** The text of a users file as accounts; `path` is for the message. Throws AppError (config). */
export function parseAccounts(text: string, path: string): Accounts {
  const wrong = (what: string) => new AppError("config", `Cannot read users file ${path}: ${what}`);
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    throw new AppError("config", `Cannot read users file ${path}: it is not JSON`, {
      cause: error,
      hint: "`bobbin passwd` makes users files; is this another file, or was it edited?",
    });
  }
  if (!isObject(whole) || whole["version"] !== VERSION || !Array.isArray(whole["accounts"])) {
    throw wrong(`expected {"version": ${VERSION}, "secret": …, "accounts": […]}`);
  }
  const secret = Buffer.from(String(whole["secret"]), "base64");
  if (secret.length !== SECRET_BYTES) throw wrong("the secret is malformed");
  const accounts = new Map<string, Account>();
  for (const [index, one] of whole["accounts"].entries()) {
    const account = parseAccount(one);
    if (account === undefined) throw wrong(`account number ${index + 1} is malformed`);
    if (accounts.has(account.name)) throw wrong(`account ${account.name} stands there twice`);
    accounts.set(account.name, account);
  }
  return { secret, byName: accounts };
}

/** The inverse of `parseAccounts`. */
export function printAccounts(accounts: Accounts): string {
  const list = [...accounts.byName.values()].map(({ name, argon2id, scram, allow }) => ({
    name,
    allow,
    argon2id,
    scram: {
      salt: base64(scram.salt),
      iterations: scram.iterations,
      storedKey: base64(scram.storedKey),
      serverKey: base64(scram.serverKey),
    },
  }));
  const file = { version: VERSION, secret: base64(accounts.secret), accounts: list };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function parseAccount(value: unknown): Account | undefined {
  if (!isObject(value)) return undefined;
  const { name, argon2id, scram, allow } = value;
  if (typeof name !== "string" || !isAccountName(name) || typeof argon2id !== "string") {
    return undefined;
  }
  if (!Array.isArray(allow) || !allow.every((one) => typeof one === "string")) return undefined;
  const verifier = parseVerifier(scram);
  return verifier === undefined ? undefined : { name, argon2id, scram: verifier, allow };
}

function parseVerifier(value: unknown): ScramVerifier | undefined {
  if (!isObject(value)) return undefined;
  const { salt, iterations, storedKey, serverKey } = value;
  const texts = [salt, storedKey, serverKey];
  if (typeof iterations !== "number" || !texts.every((one) => typeof one === "string")) {
    return undefined;
  }
  const [saltBytes, stored, server] = texts.map((one) => Buffer.from(String(one), "base64"));
  if (saltBytes === undefined || stored?.length !== 32 || server?.length !== 32) return undefined;
  return { salt: saltBytes, iterations, storedKey: stored, serverKey: server };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
