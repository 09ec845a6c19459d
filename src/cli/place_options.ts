/** Options of every command that reaches a server, and what they mean for the places it opens. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { AppError, errnoOf } from "../core/errors.ts";
import type { SyncOptions } from "../places/sync/options.ts";
import { printSyncAddress, type SyncAddress } from "../places/sync_address.ts";
import { choiceOption } from "./options.ts";
import { readPassword } from "./secrets.ts";

/** Adds them to a command. */
export function addPlaceOptions(command: Command): Command {
  return command
    .option("--password-file <file>", "for a server: first line is the password; - is stdin")
    .option("--ca <file>", "trust certificates of this authority (PEM) alone")
    .option("--insecure", "take any certificate: whoever sits on the way can read and change all")
    .addOption(
      choiceOption("--starttls <when>", "auto: where it is offered, but to this machine", [
        ...["auto", "always", "never"],
      ]),
    )
    .option("--allow-plaintext", "send the password unencrypted if there is no other way")
    .option("--compress", "DEFLATE where it is offered (default: not to this machine)")
    .option("--no-compress", "no DEFLATE: for fast lines")
    .addOption(
      choiceOption("--sieve <form>", "scripts as a mailbox (3.6 and later) or as files", [
        ...["mailbox", "files"],
      ]),
    )
    .option("--partition <name>", "for mailboxes whose partition the server does not know");
}

/** How the server at `address` is reached. Throws AppError (io) for a `--ca` that cannot be read. */
export function syncOptionsOf(
  address: SyncAddress,
  options: Readonly<Record<string, unknown>>,
): SyncOptions {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === "string" ? value : undefined;
  };
  const [file, ca, partition] = [text("passwordFile"), text("ca"), text("partition")];
  const [startTls, sieve, compress] = [text("starttls"), text("sieve"), options["compress"]];
  let password: Promise<string> | undefined;
  return {
    address,
    password: () => {
      password ??= readPassword({
        ...{ file, credential: "bobbin.password" },
        prompt: `Password for ${printSyncAddress(address)}`,
      });
      return password;
    },
    trust: {
      insecure: options["insecure"] === true,
      ...(ca === undefined ? {} : { ca: readAuthority(ca) }),
    },
    allowPlaintext: options["allowPlaintext"] === true,
    ...(startTls === "always" || startTls === "never" ? { startTls } : {}),
    ...(sieve === "mailbox" || sieve === "files" ? { sieve } : {}),
    ...(typeof compress === "boolean" ? { compress } : {}),
    ...(partition === undefined ? {} : { partition }),
  };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    const text = `Cannot read the authority in ${path}: ${errnoOf(error)}`;
    throw new AppError("io", text, { cause: error });
  }
}
