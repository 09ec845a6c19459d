/** `bobbin passwd` sets who may sign in to `bobbin serve` and what each account may touch. */
import { type Account, isAccountName, makeAccount } from "../../accounts/account.ts";
import { changeAccounts } from "../../accounts/users_file.ts";
import { AppError } from "../../core/errors.ts";
import type { Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import type { Counts } from "../json/summaries.ts";
import { collect } from "../options.ts";
import { readPassword } from "../secrets.ts";

export const registerPasswd: Register = (program, handle) => {
  program
    .command("passwd")
    .summary("set an account of `bobbin serve`")
    .description(
      "Makes or changes an account in a users file. It may touch the users of its --allow list " +
        "and nothing else: '*' is everything, 'shared' what belongs to no user. A running server " +
        "takes a change at the next sign-in.",
    )
    .argument("<account>", "its name")
    .requiredOption("--users-file <file>", "the file, which is made if need be")
    .option("--allow <user>", "a user it may touch, '*' or 'shared' (repeat for more)", collect, [])
    .option("--password-file <file>", "first line is the password; - is stdin")
    .option("--delete", "remove the account")
    .action(handle(runPasswd));
};

interface PasswdOptions {
  readonly usersFile: string;
  readonly allow: readonly string[];
  readonly passwordFile?: string;
  readonly delete?: boolean;
}

const runPasswd: Handler<"passwd"> = async (args, given, env) => {
  const options = given as unknown as PasswdOptions; // as commander was told above
  const name = String(args[0]);
  if (!isAccountName(name)) {
    throw new AppError("usage", `${name} cannot be the name of an account`, {
      hint: "1 to 255 characters without blanks, quotes, backslashes and control characters",
    });
  }
  const path = options.usersFile;
  let done: Counts<"passwd">["done"] = "changed";
  await changeAccounts(path, async (accounts) => {
    const before = accounts.byName.get(name);
    const byName = new Map(accounts.byName);
    if (options.delete === true) {
      if (before === undefined) throw new AppError("not_found", `There is no account ${name}`);
      byName.delete(name);
      done = "removed";
    } else {
      byName.set(name, await newAccount(name, before, options));
      done = before === undefined ? "made" : "changed";
    }
    return { ...accounts, byName };
  });
  env.output.talk(`Account ${name} ${done} in ${path}`);
  return { exit: EXIT.ok, summary: { account: name, done } };
};

async function newAccount(
  name: string,
  before: Account | undefined,
  options: PasswdOptions,
): Promise<Account> {
  const allow = options.allow.length > 0 ? options.allow : before?.allow;
  if (allow === undefined) {
    throw new AppError("usage", `What may ${name} touch?`, {
      hint: "--allow USER, --allow shared, or --allow '*' for everything",
    });
  }
  const password = await readPassword({
    file: options.passwordFile,
    credentials: ["bobbin.password"],
    whose: name,
  });
  return makeAccount(name, password, allow);
}
