/** `bobbin passwd` sets who may sign in to `bobbin serve` and what each account may touch. */
import { type Account, type Accounts, isAccountName, makeAccount } from "../../accounts/account.ts";
import { allowProblem } from "../../accounts/scope.ts";
import { changeAccounts, readAccounts } from "../../accounts/users_file.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { statOf } from "../../storage/disk.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { collect } from "../options.ts";
import { readPassword } from "../secrets.ts";
import { printTable } from "../table.ts";

export const registerPasswd: Register = (program, handle) => {
  program
    .command("passwd")
    .summary("make, change, list and remove the accounts of `bobbin serve`")
    .description(
      "Makes, changes, lists and removes accounts in a users file. An account may touch only " +
        "the users of its --allow list: '*' is everything, 'shared' what belongs to no user. A " +
        "running server takes a change at the next sign-in. On a terminal the password is asked " +
        "for twice.",
    )
    .argument("[account]", "its name")
    .requiredOption(
      "--users-file <file>",
      "the file with the accounts; it is made if it is not there",
    )
    .option(
      "--allow <user>",
      "a user that the account may touch, '*' or 'shared' (repeat for more)",
      collect,
    )
    .option("--password-file <file>", "the first line of FILE is the password; - is stdin")
    .option("--keep-password", "change only what the account may touch")
    .option("--delete", "remove the account")
    .option("--list", "list the accounts and what each may touch")
    .action(handle(runPasswd));
};

interface PasswdOptions {
  readonly usersFile: string;
  readonly allow?: readonly string[];
  readonly passwordFile?: string;
  readonly keepPassword?: boolean;
  readonly delete?: boolean;
  readonly list?: boolean;
}

const runPasswd: Handler<"passwd"> = async ([account], given, env) => {
  const options = given as unknown as PasswdOptions; // as commander was told above
  refuseMixed(options);
  if (options.list === true) {
    if (account === undefined) return listAccounts(options.usersFile, env);
    throw new AppError("usage", "--list names every account: leave out the ACCOUNT");
  }
  const name = String(account ?? "");
  if (name === "") throw new AppError("usage", "Name an ACCOUNT, or say --list");
  if (!isAccountName(name)) {
    throw new AppError("usage", `${name} cannot be the name of an account`, {
      hint: "1 to 255 characters without blanks, quotes, backslashes and control characters",
    });
  }
  checkAllow(options.allow ?? [], env);
  return setAccount(name, options, env);
};

/** Refuses options of which only one can be meant. */
function refuseMixed({ allow, passwordFile, keepPassword, ...options }: PasswdOptions): void {
  const ways = [
    ...(passwordFile === undefined ? [] : ["--password-file"]),
    ...(keepPassword === true ? ["--keep-password"] : []),
    ...(options.delete === true ? ["--delete"] : []),
    ...(options.list === true ? ["--list"] : []),
  ];
  const isSet = allow !== undefined && (options.delete === true || options.list === true);
  const mixed = isSet ? ["--allow", ...ways] : ways;
  if (mixed.length > 1) throw new AppError("usage", `Cannot do both: ${mixed.join(", ")}`);
  if (keepPassword === true && allow === undefined) {
    throw new AppError("usage", "--keep-password changes only the --allow list: give it");
  }
}

/** Throws AppError (usage) for words of an `--allow` list that no user could ever match. */
function checkAllow(allow: readonly string[], { output }: CommandEnv): void {
  for (const word of allow) {
    const problem = allowProblem(word);
    if (problem !== undefined) throw new AppError("usage", `Cannot allow «${word}»: ${problem}`);
    const [, user] = /^user\.(.+)$/.exec(word) ?? [];
    if (user !== undefined) output.talk(`${word} is a user of that name; ${user} is written so`);
  }
}

function listAccounts(path: string, { output }: CommandEnv): CommandResult<"passwd"> {
  const accounts = [...readAccounts(path).byName.values()];
  for (const { name, allow } of accounts) output.object({ type: "account", account: name, allow });
  const rows = accounts.map(({ name, allow }) => [name, allow.join(" ")].map(escapeText));
  printTable(["ACCOUNT", "MAY TOUCH"], rows, output);
  return { exit: EXIT.ok, summary: { accounts: accounts.length } };
}

async function setAccount(
  name: string,
  options: PasswdOptions,
  env: CommandEnv,
): Promise<CommandResult<"passwd">> {
  const path = options.usersFile;
  // Asked before the file is locked: nobody waits for what somebody types.
  const known = statOf(path) === undefined ? undefined : readAccounts(path).byName.get(name);
  const made = options.delete === true ? undefined : await newAccount(name, known, options);
  let done: "made" | "changed" | "removed" = "removed";
  await changeAccounts(path, async (accounts): Promise<Accounts> => {
    const before = accounts.byName.get(name);
    const byName = new Map(accounts.byName);
    if (made === undefined) {
      if (before === undefined) throw nobody(name);
      byName.delete(name);
    } else {
      if (before === undefined && options.keepPassword === true) throw nobody(name);
      const { allow = before?.allow ?? made.allow } = options;
      byName.set(name, { ...(options.keepPassword && before ? before : made), allow });
      done = before === undefined ? "made" : "changed";
    }
    return { ...accounts, byName };
  });
  env.output.talk(`Account ${name} ${done} ${done === "removed" ? "from" : "in"} ${path}`);
  return { exit: EXIT.ok, summary: { account: name, done } };
}

function nobody(name: string): AppError {
  return new AppError("not_found", `There is no account ${name}`);
}

/** The account as it is to be. Throws AppError (usage, not_found, io). */
async function newAccount(
  name: string,
  before: Account | undefined,
  { allow = before?.allow, keepPassword, passwordFile }: PasswdOptions,
): Promise<Account> {
  if (allow === undefined) {
    throw new AppError("usage", `What may ${name} touch?`, {
      hint: "--allow USER, --allow shared, or --allow '*' for everything",
    });
  }
  if (keepPassword === true) {
    if (before === undefined) throw nobody(name);
    return { ...before, allow };
  }
  const password = await readPassword({
    file: passwordFile,
    credentials: ["bobbin.password"],
    ...{ whose: name, isNew: true },
  });
  return makeAccount(name, password, allow);
}
