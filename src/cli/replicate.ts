/** `bobbin replicate USER… --from A --to B`: bring B what A holds. A is never written. */
import { AppError } from "../core/errors.ts";
import { escapeText } from "../core/escape.ts";
import { parseLocator } from "../places/locator.ts";
import type { Place, WritablePlace } from "../places/place.ts";
import { openStorePlace } from "../places/store/store_place.ts";
import type { Extra, Step } from "../replicate/plan.ts";
import { nameOf, replicateUser } from "../replicate/run.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "./command.ts";
import { EXIT, type ExitCode, worstExit } from "./exit.ts";
import { bytesOfArgument, displayName } from "./names.ts";
import { openPlace } from "./open_place.ts";
import { granted } from "./refusal.ts";
import { formatBytes } from "./text.ts";

export const registerReplicate: Register = (program, handle) => {
  program
    .command("replicate")
    .summary("bring one place what another holds")
    .description(
      "Brings B the mailboxes, messages, flags and settings that A holds of each USER, or of every user\n" +
        "A can list. A is never written. What only B has stays, is listed, and makes the exit code 1.",
    )
    .argument("[user...]", "users to bring over; all of A's without one")
    .requiredOption("--from <place>", "where the mail is")
    .requiredOption("--to <place>", "where it is to be: a store")
    .option("-n, --dry-run", "print the plan, write nothing")
    .option("--check", "with --dry-run: exit 1 if anything would be done")
    .action(handle(runReplicate));
};

const runReplicate: Handler = async (args, options, env) => {
  const given = (args[0] ?? []) as readonly string[];
  const source = await openPlace(String(options["from"]));
  try {
    const target = openTarget(String(options["to"]));
    try {
      const users = given.length > 0 ? given.map(bytesOfArgument) : await usersOf(source);
      return await replicateAll(users, { source, target, env, options });
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
};

function openTarget(text: string): WritablePlace {
  const locator = parseLocator(text);
  if (locator.kind === "store") return openStorePlace(locator.path);
  throw new AppError("usage", `Cannot write to ${text}: only a store can be written`, {
    hint: "Make one with `bobbin store init FOLDER`.",
  });
}

async function usersOf(source: Place): Promise<string[]> {
  const users: string[] = [];
  for await (const owner of granted(await source.owners())) {
    if (owner.kind === "user") users.push(owner.userid);
  }
  return users;
}

interface Run {
  readonly source: Place;
  readonly target: WritablePlace;
  readonly env: CommandEnv;
  readonly options: Readonly<Record<string, unknown>>;
}

async function replicateAll(users: readonly string[], run: Run): Promise<CommandResult> {
  const { options, env } = run;
  const totals = { users: users.length, steps: 0, failures: 0, extras: 0, messages: 0, bytes: 0 };
  const exits: ExitCode[] = [];
  for (const userid of users) {
    const done = await replicateOne(userid, run);
    totals.steps += done.steps;
    totals.failures += done.failures;
    totals.extras += done.extras;
    totals.messages += done.messages;
    totals.bytes += done.bytes;
  }
  const dryRun = options["dryRun"] === true;
  if (totals.failures > 0) exits.push(EXIT.partial);
  if (!dryRun && totals.extras > 0) exits.push(EXIT.damage);
  if (dryRun && options["check"] === true && totals.steps > 0) exits.push(EXIT.damage);
  const verb = dryRun ? "would be done" : "done";
  env.output.line(
    `${totals.users} users, ${totals.steps} steps ${verb}, ` +
      `${totals.messages} messages (${formatBytes(totals.bytes)}), ${totals.failures} failed`,
  );
  return { exit: worstExit(exits), summary: totals };
}

interface UserTotals {
  readonly steps: number;
  readonly failures: number;
  readonly extras: number;
  readonly messages: number;
  readonly bytes: number;
}

async function replicateOne(
  userid: string,
  { source, target, env, options }: Run,
): Promise<UserTotals> {
  const { output } = env;
  const show = (name: string): string =>
    escapeText(displayName(name, { internal: env.internalNames }));
  const done = await replicateUser(source, target, {
    userid,
    dryRun: options["dryRun"] === true,
    events: {
      step: (step) => {
        output.object({ type: "step", user: userid, step: kindOf(step), name: nameOf(step) });
        output.line(`${escapeText(userid)}: ${kindOf(step)} ${show(nameOf(step))}`);
      },
      failed: (name, { reason, text }) => {
        output.error(`User ${userid}, mailbox ${show(name)}: ${text}`, {
          user: userid,
          name,
          reason,
        });
      },
    },
  });
  if (done.kind === "refused") {
    output.error(`User ${userid}: ${done.text}`, { user: userid, reason: done.reason });
    return { steps: 0, failures: 1, extras: 0, messages: 0, bytes: 0 };
  }
  const { plan, failures, messages, bytes } = done.value;
  for (const extra of plan.extras) tellExtra(extra, { userid, env, show });
  return { steps: plan.steps.length, failures, extras: plan.extras.length, messages, bytes };
}

function kindOf(step: Step): string {
  if (step.kind === "apply") return step.command.kind;
  return step.isNew ? "create" : "update";
}

function tellExtra(
  { kind, name }: Extra,
  { userid, env, show }: { userid: string; env: CommandEnv; show: (name: string) => string },
): void {
  env.output.object({ type: "difference", user: userid, kind, name, only: "to" });
  env.output.line(`${escapeText(userid)}: only the target has ${kind} ${show(name)}`);
}
