/** The run of `replicate` and of `backup restore`: all owners brought, reported and counted. */

import { plural } from "../../core/counts.ts";
import { AppError, type ErrorCode, systemError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import { takingTheRest } from "../../places/partial_session.ts";
import type { Place, PlaceSession, WritablePlace } from "../../places/place.ts";
import type { ReplicateEvents, ReplicateResult } from "../../replicate/owner/tally.ts";
import { notCompared, notKept } from "../../replicate/plan/holds.ts";
import {
  type ManyOptions,
  type OwnerResult,
  replicateOwners,
} from "../../replicate/replicate_owners.ts";
import { tellBug } from "../bug.ts";
import type { ListedOwners } from "../chosen_owners.ts";
import type { CommandEnv, CommandResult } from "../command.ts";
import { EXIT, type ExitCode, exitOf, worstExit } from "../exit.ts";
import { errorFacts } from "../hints.ts";
import { ownerFacts, showName, textOfName } from "../mailbox_names.ts";
import { aside } from "../output.ts";
import { startOwnersProgress } from "../progress/owners_progress.ts";
import { refusalError } from "../refusal_error.ts";
import { interruptedBy, interruption } from "../signals.ts";
import { ownerHint } from "../similar_names.ts";
import { formatBytes } from "../text.ts";
import { reportEvents } from "./replicate_report.ts";

export interface Run {
  readonly source: Place;
  readonly reading: Place;
  /** The source opened for writing, where both places are written. */
  readonly written?: WritablePlace | undefined;
  /** Undefined for a dry run. */
  readonly target: WritablePlace | undefined;
  /** Everybody whom the source lists is brought. */
  readonly isAll: boolean;
  /** A mailbox is brought without the messages that cannot be had, which are named. */
  readonly takesTheRest?: boolean;
  /** Steps that remain to be done count as differences. */
  readonly isCheck: boolean;
  readonly options: Omit<ManyOptions, "signal" | "events" | "done">;
  /** What a command tells of its own beside the usual events. */
  readonly events?: (owner: Owner) => Partial<ReplicateEvents>;
  readonly env: CommandEnv<"replicate">;
}

/** Where a dump goes to stdout, everything else goes to stderr. */
export function beside<Env extends Pick<CommandEnv, "output">>(
  { to, dryRun, check }: Targeting,
  env: Env,
): Env {
  if (to !== "dump:-" || dryRun === true || check === true) return env;
  if (!env.output.json) return { ...env, output: aside(env.output) };
  throw new AppError("usage", "Cannot write both a dump and JSON lines to stdout");
}

interface Targeting {
  readonly to: string;
  readonly dryRun?: boolean;
  readonly check?: boolean;
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

/** What only `from` holds is lost on the way to `to`. */
function tellNotKept(from: Place, to: Place, { output }: Pick<CommandEnv, "output">): void {
  const lost = notKept(from, to);
  if (lost.length > 0) output.talk(`${to.locator} cannot hold: ${lost.join(", ")}`);
}

async function opened(target: WritablePlace, { takesTheRest }: Run): Promise<PlaceSession> {
  const session = await target.openSession();
  return takesTheRest === true ? takingTheRest(session) : session;
}

/** Brings the owners that were listed, and tells of each. */
export async function runAll(listed: ListedOwners, run: Run): Promise<CommandResult<"replicate">> {
  const { source, reading, written, target, isAll, options, env } = run;
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
    tellNotKept(source, reading, env);
    if (written !== undefined) tellNotKept(reading, source, env);
    if (isAll && !options.isPart && !reading.holds.userList) {
      const what = "users and shared mailboxes that only it has stay, and are not counted";
      env.output.talk(`${reading.locator} cannot list what it has: ${what}`);
    }
    tellTotals(totals, run);
    return { ...totals, notCompared: notCompared(source, reading), dryRun: isDry };
  });
  const progress = startOwnersProgress(env.output, listed.owners.length);
  const signal = interruption(env.takeSignals());
  let begun = 0;
  await replicateOwners(
    each(listed.owners),
    {
      ...{ source, target: reading, open: target && (() => opened(target, run)) },
      ...(written !== undefined && { openSource: () => written.openSession() }),
    },
    {
      ...options,
      signal,
      events: (owner) => {
        begun += 1;
        const report = { env, told, progress, failed: (code: ErrorCode) => failed.add(code) };
        return { ...reportEvents(owner, report), ...run.events?.(owner) };
      },
      done: (owner, { ended, counts }) => {
        totals.users += 1;
        progress.done(owner);
        // A user who was listed and now has nothing at either place has been deleted meanwhile.
        if (isAll && "reason" in ended && ended.reason === "nonexistent") return;
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
    const hint = options.isPart ? undefined : await ownerHint(owner, source);
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
  const exit = exitFor(totals, { refusals, failed, isCut, isCheck: run.isCheck });
  return { exit: interruptedBy(signal) ?? exit, summary };
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
    ...(left > 0 ? [isDry ? `${left} of them stopped` : `${plural(left, "step")} not done`] : []),
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
