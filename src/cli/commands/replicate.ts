/** `bobbin replicate USER… --from A --to B` brings B what A holds. Only `--two-way` writes A. */
import { before } from "../../core/before.ts";
import { AppError, type ErrorCode, systemError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { inboxOf, nameProblem, type Owner, ownerName } from "../../model/names.ts";
import type { Place, WritablePlace } from "../../places/place.ts";
import { asUser } from "../../replicate/owner/renamed_place.ts";
import type { ReplicateResult } from "../../replicate/owner/tally.ts";
import { notCompared } from "../../replicate/plan/holds.ts";
import {
  type ManyOptions,
  type OwnerResult,
  replicateOwners,
} from "../../replicate/replicate_owners.ts";
import { tellBug } from "../bug.ts";
import {
  chosenOwners,
  type ListedOwners,
  listOwners,
  namedUsers,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT, type ExitCode, exitOf, worstExit } from "../exit.ts";
import { errorFacts } from "../hints.ts";
import { ownerFacts, showName, textOfName, useridOfArgument } from "../mailbox_names.ts";
import {
  addPlaceOptions,
  areOneStore,
  openPlace,
  openTargetToLook,
  openWritablePlace,
  optionsOfSide,
  type PlaceOptions,
  requireUpdatable,
} from "../open_place.ts";
import { byteRateOption, countOption, percentOption, secondsOption } from "../options.ts";
import { aside } from "../output.ts";
import { startOwnersProgress } from "../progress/owners_progress.ts";
import { refusalError } from "../refusal_error.ts";
import { interruptedBy, interruption } from "../signals.ts";
import { ownerHint } from "../similar_names.ts";
import { formatBytes, plural } from "../text.ts";
import { reportEvents } from "./replicate_report.ts";

export const registerReplicate: Register = (program, handle) => {
  const command = program
    .command("replicate")
    .summary("copy users from one place to another")
    .description(
      "Copies users from place A to place B: mailboxes, messages, flags and settings. Then it " +
        "compares what B has with what A has. A is only read, except with --two-way. What only B " +
        "has stays there, is listed, and makes the exit code 1.\n\n" +
        "With --mirror, what only B has is deleted. But there is a brake: if the user, or more " +
        "than 20% of the user's messages or mailboxes at B, would be deleted, Bobbin stops for " +
        "this user, and the exit code is 77. This is so in a dry run too. What A knows as " +
        "deleted is not counted.\n\n" +
        "With --two-way, both places are made the same by the rules of Cyrus, and each decision " +
        "is printed. A message is deleted only if one side has a record of its deletion. The " +
        "brake counts all that would be deleted, on each side.",
    )
    .argument("[user...]", "the users to copy")
    .requiredOption("--from <place>", "place A: where the mail is")
    .requiredOption("--to <place>", "place B: where to copy it")
    .option("--all", "all users and shared mailboxes of A")
    .option("--allow-empty", "with --all: A may be empty")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option("-n, --dry-run", "print the plan and write nothing")
    .option("--check", "like --dry-run, but exit code 1 if there is something to do")
    .option("--mirror", "make B equal to A: delete at B what A does not have")
    .option("--two-way", "make both places equal: write to A too")
    .option("--as <newuser>", "copy one USER to another name, which nobody at B has")
    .option("--into-existing", "with --as: add the mail to a NEWUSER that B has")
    .option(
      "--allow-delete <percent>",
      "how much of a user may be deleted (20); only 100 allows a whole user",
      percentOption,
    )
    .option("--rate <size>", "bytes of messages in a second, like 100MB/s", byteRateOption)
    .option("--timeout <seconds>", "give up a user after this time", secondsOption)
    .option("--jobs <n>", "users at a time (2)", countOption);
  addPlaceOptions(usersFromOption(command), ["from", "to"]).action(handle(runReplicate));
};

interface ReplicateFlags extends PlaceOptions {
  readonly fromPasswordFile?: string;
  readonly toPasswordFile?: string;
  readonly from: string;
  readonly to: string;
  readonly all?: boolean;
  readonly shared?: boolean;
  readonly dryRun?: boolean;
  readonly check?: boolean;
  readonly mirror?: boolean;
  readonly twoWay?: boolean;
  readonly as?: string;
  readonly intoExisting?: boolean;
  readonly allowDelete?: number;
  readonly rate?: number;
  readonly timeout?: number;
  readonly jobs?: number;
}

const ALLOW_DELETE_PERCENT = 20;
const JOBS = 2;

const runReplicate: Handler<"replicate"> = async (args, options, given) => {
  const flags = options as unknown as ReplicateFlags; // as commander was told above
  const env = beside(flags, given);
  const users = namedUsers((args[0] ?? []) as readonly string[], options);
  if (users.length > 0 === (flags.all === true)) {
    throw new AppError("usage", "Cannot tell whom to replicate: name users, or say --all");
  }
  if (flags.as !== undefined && (users.length !== 1 || flags.shared === true)) {
    throw new AppError("usage", "--as wants exactly one USER");
  }
  if (flags.as !== undefined) requireUserName(flags.as);
  if (flags.intoExisting === true && flags.as === undefined) {
    throw new AppError("usage", "--into-existing goes with --as NEWUSER");
  }
  if (flags.twoWay === true) requireTwoWay(flags);
  const isDry = flags.dryRun === true || flags.check === true;
  const a = optionsOfSide(flags, flags.fromPasswordFile);
  const b = optionsOfSide(flags, flags.toPasswordFile);
  const isOneStore = !isDry && areOneStore(flags.from, flags.to);
  const inTime = openingTime(flags);
  const writable =
    isOneStore || (flags.twoWay === true && !isDry)
      ? await inTime(flags.from, openWritablePlace(flags.from, env, a), close)
      : undefined;
  const written = flags.twoWay === true ? writable : undefined;
  const opened = writable ?? (await inTime(flags.from, openPlace(flags.from, env, a), close));
  const source = renamedSource(opened, users, flags);
  try {
    if (flags.all === true && flags.allowEmpty !== true) {
      await inTime(flags.from, requireSomebody(source));
    }
    const target = isDry
      ? undefined
      : await inTime(flags.to, openWritablePlace(flags.to, env, b), close);
    const reading = target ?? (await inTime(flags.to, openTargetToLook(flags.to, env, b), close));
    try {
      const choice = {
        users: flags.as === undefined ? users : [flags.as],
        shared: flags.shared === true,
      };
      const places = [source, reading];
      const listed = await inTime(flags.from, listOwners(chosenOwners(choice, places)));
      return await runAll(listed, { source, reading, written, target, flags, env });
    } finally {
      await reading.close();
    }
  } finally {
    await source.close();
  }
};

type InTime = <Value>(
  place: string,
  work: Promise<Value>,
  late?: (value: Value) => void,
) => Promise<Value>;

/** Waits for what opens and lists the places as long as `--timeout` allows, all together. */
function openingTime({ timeout }: ReplicateFlags): InTime {
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout * 1000);
  return (place, work, late) =>
    before(work, signal, late).catch((error: unknown) => {
      if (signal?.aborted !== true || error !== signal.reason) throw error;
      throw new AppError("busy", `Cannot open ${place}: the time is up`, {
        hint: "Is the server slow, or is it another one? --timeout gives it more time",
      });
    });
}

/** Closes a place that nobody has used. */
function close(place: Place): void {
  place.close().catch(() => undefined);
}

/** Where a dump goes to stdout, everything else goes to stderr. */
function beside({ to, dryRun, check }: ReplicateFlags, env: CommandEnv): CommandEnv {
  if (to !== "dump:-" || dryRun === true || check === true) return env;
  if (!env.output.json) return { ...env, output: aside(env.output) };
  throw new AppError("usage", "Cannot write both a dump and JSON lines to stdout");
}

/** Refuses what `--two-way`, which writes both sides, cannot be combined with. */
function requireTwoWay({ from, to, mirror, as }: ReplicateFlags): void {
  if (mirror === true) {
    throw new AppError(
      "usage",
      "--two-way keeps what only B has and --mirror deletes it: choose one",
    );
  }
  if (as !== undefined) {
    throw new AppError("usage", "--as brings a user under another name, and --two-way nobody back");
  }
  for (const place of [from, to]) requireUpdatable(place);
}

/** Refuses a name that no user can have, before settings or a dump are written under it. */
function requireUserName(as: string): void {
  const problem = nameProblem(inboxOf(useridOfArgument(as), { virtualDomains: false }));
  if (problem === undefined) return;
  throw new AppError("usage", `Cannot use --as ${as}: ${problem}`);
}

function renamedSource(
  place: Place,
  [user = ""]: readonly string[],
  { as }: ReplicateFlags,
): Place {
  if (as === undefined || as === user) return place;
  return asUser(place, { from: useridOfArgument(user), to: useridOfArgument(as) });
}

interface Run {
  readonly source: Place;
  readonly reading: Place;
  /** The source opened for writing, with `--two-way`. */
  readonly written: WritablePlace | undefined;
  /** Undefined for a dry run. */
  readonly target: WritablePlace | undefined;
  readonly flags: ReplicateFlags;
  readonly env: CommandEnv;
}

export interface Totals {
  users: number;
  failedUsers: number;
  /** Users for whom a bug of Bobbin was reported. */
  bugs: number;
  steps: number;
  differences: number;
  failures: number;
  /** Users who were not begun, for the run was ended before them. */
  leftUsers: number;
  /** Users whose plan the brake has stopped. */
  braked: number;
  /** Steps that were planned and not done. */
  left: number;
  messages: number;
  bytes: number;
}

async function runAll(listed: ListedOwners, run: Run): Promise<CommandResult<"replicate">> {
  const { source, reading, written, target, flags, env } = run;
  const totals: Totals = {
    ...{ users: 0, failedUsers: 0, bugs: 0, steps: 0, differences: 0, leftUsers: 0 },
    ...{ failures: 0, braked: 0, left: 0, messages: 0, bytes: 0 },
  };
  const isDry = target === undefined;
  const refusals: AppError[] = [];
  const unknown: Owner[] = [];
  const [failed, told] = [new Set<ErrorCode>(), new Set<string>()];
  const conclude = env.soFar(() => {
    totals.failedUsers = refusals.length + totals.bugs;
    const unheld = notCompared(source, reading);
    if (unheld.length > 0) env.output.talk(`Not held by both places: ${unheld.join(", ")}`);
    if (flags.all === true && !reading.holds.userList) {
      const what = "users and shared mailboxes that only it has stay, and are not counted";
      env.output.talk(`${reading.locator} cannot list what it has: ${what}`);
    }
    tellTotals(totals, run);
    return { ...totals, notCompared: unheld, dryRun: isDry };
  });
  const progress = startOwnersProgress(env.output, listed.owners.length);
  const signal = interruption(env.takeSignals());
  let begun = 0;
  await replicateOwners(
    each(listed.owners),
    {
      ...{ source, target: reading, open: target && (() => target.openSession()) },
      ...(written !== undefined && { openSource: () => written.openSession() }),
    },
    {
      mode: modeOf(flags),
      mustBeCopy: flags.as !== undefined && flags.intoExisting !== true,
      allowDelete: flags.allowDelete ?? ALLOW_DELETE_PERCENT,
      jobs: flags.jobs ?? JOBS,
      bytesPerSecond: flags.rate,
      timeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
      signal,
      events: (owner) => {
        begun += 1;
        return reportEvents(owner, { env, told, progress, failed: (code) => failed.add(code) });
      },
      done: (owner, { ended, counts }) => {
        totals.users += 1;
        progress.done(owner);
        // A user who was listed and now has nothing at either place has been deleted meanwhile.
        if (flags.all === true && "reason" in ended && ended.reason === "nonexistent") return;
        const error = errorOf(ended);
        if (error instanceof AppError && error.code === "not_found") unknown.push(owner);
        if (error instanceof AppError) refusals.push(tellRefused(owner, error, env));
        else if (error !== undefined) {
          const user = textOfName(ownerName(owner));
          tellBug(error, env.output, { who: `User ${user}: `, ...ownerFacts(owner) });
          totals.bugs += 1;
        }
        if ("isBrake" in ended) totals.braked += 1;
        addUp(totals, counts);
        tellUser(owner, counts, { env, isDry, error });
      },
    },
  ).finally(progress.stop);
  totals.leftUsers = listed.owners.length - begun;
  for (const owner of unknown) {
    const hint = await ownerHint(owner, source);
    if (hint !== undefined) env.output.talk(`  User ${textOfName(ownerName(owner))}: ${hint}`);
  }
  const { broken } = listed;
  if (broken !== undefined) env.output.error(broken.message, errorFacts(broken));
  const summary = conclude();
  const isCut = broken !== undefined;
  const isWhole = totals.failedUsers + totals.leftUsers === 0 && !isCut && !signal.aborted;
  if (isWhole) target?.earlier?.replace();
  else if (target?.earlier !== undefined) {
    env.output.talk(`${target.locator} stays as it was: not everybody was brought`);
  }
  const exit = exitFor(totals, { refusals, failed, isCut, isCheck: flags.check === true });
  return { exit: interruptedBy(signal) ?? exit, summary };
}

function modeOf({ mirror, twoWay }: ReplicateFlags): ManyOptions["mode"] {
  if (twoWay === true) return "twoWay";
  return mirror === true ? "mirror" : "merge";
}

function errorOf(ended: OwnerResult["ended"]): Error | undefined {
  if (ended instanceof Error) return systemError(ended) ?? ended;
  return ended.kind === "refused" ? refusalError(ended) : undefined;
}

function tellRefused(owner: Owner, error: AppError, env: CommandEnv): AppError {
  const { output, internalNames: internal } = env;
  const user = textOfName(ownerName(owner));
  const { mailbox } = error.context;
  const words =
    typeof mailbox === "string" ? showName(error.message, mailbox, { internal }) : error.message;
  output.error(`User ${user}: ${words}`, { ...ownerFacts(owner), ...errorFacts(error) });
  return error;
}

function addUp(totals: Totals, result: ReplicateResult): void {
  totals.steps += result.steps;
  totals.differences += result.leftovers;
  totals.failures += result.failures;
  totals.left += result.left;
  totals.messages += result.messages;
  totals.bytes += result.bytes;
}

interface UserEnd {
  readonly env: CommandEnv;
  readonly isDry: boolean;
  /** Why the user has failed as a whole, if he has. */
  readonly error: Error | undefined;
}

/** What was done and left of one user: as text where he was not done with. */
function tellUser(owner: Owner, counts: ReplicateResult, { env, isDry, error }: UserEnd): void {
  const { leftovers: differences, ...others } = counts;
  const user = textOfName(ownerName(owner));
  const failed = error !== undefined;
  const isIdle = Object.values(counts).every((count) => count === 0);
  if (isIdle && !failed) return;
  env.output.object({ type: "user", ...ownerFacts(owner), ...others, differences, failed });
  if (!failed && counts.failures + counts.left === 0) return;
  env.output.line(`${escapeText(user)}: ${countsText({ ...others, differences }, isDry)}`);
}

type Counts = Pick<Totals, "steps" | "messages" | "bytes" | "differences" | "failures" | "left">;

function countsText(counts: Counts, isDry: boolean): string {
  const { steps, messages, bytes, differences, failures, left } = counts;
  return [
    `${plural(steps, "step")} ${isDry ? "to do" : "done"}`,
    ...(isDry ? [] : [`${plural(messages, "message")} sent (${formatBytes(bytes)})`]),
    ...(left > 0 ? [`${plural(left, "step")} not done`] : []),
    ...(differences > 0 ? [`${plural(differences, "difference")} left`] : []),
    ...(failures > 0 ? [`${failures} failed`] : []),
  ].join(", ");
}

function tellTotals(totals: Totals, { target, env }: Run): void {
  const { users, leftUsers, failures, failedUsers } = totals;
  const notBegun = leftUsers > 0 ? ` (${leftUsers} more not begun)` : "";
  const counts = { ...totals, failures: failures + failedUsers };
  const text = countsText(counts, target === undefined);
  env.output.total(`${plural(users, "user")}${notBegun}, ${text}`);
}

export interface Ended {
  /** The errors of users who failed as a whole. */
  readonly refusals: readonly AppError[];
  /** The errors of mailboxes and other steps. */
  readonly failed: ReadonlySet<ErrorCode>;
  /** True if the list of users ended with an error. */
  readonly isCut: boolean;
  /** Steps that remain to be done count as differences. */
  readonly isCheck: boolean;
}

/**
 * The exit code of a run, dry or not: that of the only user's refusal, that of the brake if it has
 * stopped anybody, else «done in part».
 */
export function exitFor(totals: Totals, { refusals, failed, isCut, isCheck }: Ended): ExitCode {
  const codes = new Set(refusals.map(({ code }) => exitOf(code)));
  const [first] = codes;
  const isAll = refusals.length === totals.users && !isCut;
  if (first !== undefined && isAll && codes.size === 1) return first;
  const isIo = failed.has("io") || codes.has(EXIT.io);
  const remains = totals.differences + (isCheck ? totals.steps : 0) > 0;
  return worstExit([
    ...(totals.bugs > 0 ? [EXIT.bug] : []),
    ...(isIo ? [EXIT.io] : []),
    ...(totals.braked > 0 ? [EXIT.refused] : []),
    ...(totals.failures + totals.failedUsers > 0 || isCut ? [EXIT.partial] : []),
    ...(remains ? [EXIT.damage] : []),
  ]);
}

async function* each(owners: readonly Owner[]): AsyncGenerator<Owner, void> {
  yield* owners;
}
