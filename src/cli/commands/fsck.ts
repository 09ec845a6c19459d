/** `bobbin fsck PLACE…` checks mailboxes and messages. Reads only. */

import { statSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { assert } from "../../core/assert.ts";
import { AppError } from "../../core/errors.ts";
import type { SampleCheck } from "../../fsck/backup/check_archives.ts";
import { type Finding, isUnread, severityOf } from "../../fsck/finding.ts";
import { FSCK_JOBS, type FsckJobs } from "../../fsck/fsck_jobs.ts";
import { atLeast, type Severity } from "../../fsck/severity.ts";
import {
  checkSpool,
  NOTHING_DONE,
  planSpool,
  type SpoolCounts,
  type SpoolPlan,
  type SpoolRequest,
} from "../../fsck/spool/check_spool.ts";
import { LinkCensus } from "../../fsck/spool/link_census.ts";
import { UniqueidCensus } from "../../fsck/spool/uniqueid_census.ts";
import {
  backupTarget,
  type FsckTarget,
  serverTarget,
  spoolTarget,
  storeTarget,
  type TargetOptions,
} from "../../fsck/targets.ts";
import { type EngineChoice, selfTest } from "../../hash/engines.ts";
import type { PartitionRoots } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { type Locator, type PlaceLocator, parseLocator, parsePlace } from "../../places/locator.ts";
import { statOf } from "../../storage/disk.ts";
import {
  defaultWorkers,
  inlinePool,
  type JobPool,
  pacedPool,
  WorkerPool,
} from "../../threads/job_pool.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT, worstExit } from "../exit.ts";
import { type MailboxFilter, mailboxFilter } from "../mailbox_filter.ts";
import { cannotLock } from "../open_place.ts";
import { choiceOption, collect, countOption } from "../options.ts";
import { inParts, type Progress, startProgress } from "../progress/progress.ts";
import { interruptedBy, interruption } from "../signals.ts";
import {
  countByCode,
  findingObject,
  printFindings,
  printTotals,
  type ReportTotals,
} from "./fsck_report.ts";

export const registerFsck: Register = (program, handle) => {
  program
    .command("fsck")
    .summary("find damage in mailboxes and messages; changes nothing")
    .description(
      "Checks mailboxes and messages, and names what is damaged. A PLACE is the imapd.conf of a " +
        "Cyrus server, the folder of a spool partition or of one mailbox, a store, or an archive " +
        "of backups. Nothing is changed, and Cyrus may go on running.",
    )
    .argument("<place...>", "what to check")
    .option("--user <user>", "only this user's mailboxes (repeat for more)", collect)
    .option(
      "--mailbox <mailbox>",
      "only this mailbox, or those of a pattern (repeat for more)",
      collect,
    )
    .option("--quick", "check index, header, cache and the list of files; open no message")
    .option("--archive-partition <dir>", "if PLACE is a folder: where the archived messages lie")
    .option("--meta-partition <dir>", "if PLACE is a folder: where the cyrus.* files lie")
    .option("--lock", "hold Cyrus' own shared locks while a mailbox is read (imapd.conf only)")
    .option(
      "--jobs <n>",
      "worker threads (4 for each core, 16 at most; beside a running server 1)",
      countOption,
    )
    .addOption(
      choiceOption("--engine <name>", "which program computes SHA-1", ["auto", "native", "wasm"]),
    )
    .addOption(
      choiceOption("--min-severity <level>", "what is shown and makes the exit code 1 (warning)", [
        "info",
        "warning",
        "error",
        "critical",
      ]),
    )
    .action(handle(runFsck));
};

/** Below this, threads cost more than they save. */
const MESSAGES_FOR_THREADS = 500;

interface FsckOptions {
  readonly user?: readonly string[];
  readonly mailbox?: readonly string[];
  readonly quick?: boolean;
  readonly archivePartition?: string;
  readonly metaPartition?: string;
  readonly lock?: boolean;
  readonly jobs?: number;
  readonly engine?: EngineChoice;
  readonly minSeverity?: Severity;
  /** Of `backup verify` alone. */
  readonly sample?: SampleCheck;
}

export const runFsck: Handler<"fsck"> = async (args, given, env) => {
  const options = given as unknown as FsckOptions; // as commander was told above
  const places = args[0] as readonly string[];
  const started = performance.now();
  const locators = places.map((place) => ({ place, locator: parseCheckable(place) }));
  const isBesideServer = locators.some(({ locator }) => isLive(locator));
  if (isBesideServer) yieldToServer();
  await selfTest();
  const targets: FsckTarget[] = [];
  const filter = mailboxFilter(options);
  for (const one of locators) {
    const target = await targetOf(one, { ...options, filter });
    if (target.caveat !== undefined) env.output.talk(target.caveat);
    targets.push(target);
  }
  const plans = targets.map((target) => ({
    target,
    spools: target.spools.map((request) => ({ request, plan: planSpool(request) })),
  }));
  if (filter === undefined) refuseNothing(plans, places);
  filter?.refuseUnmatched(places);
  const reported: Finding[] = [];
  const report = (one: Finding) => {
    reported.push(one);
    const listed = options.minSeverity ?? "info";
    if (atLeast(severityOf(one), listed)) env.output.object(findingObject(one));
  };
  const parts: SpoolCounts[] = [];
  const progress = startProgress(env.output, options.quick ? "mailboxes" : "messages");
  const unitsOf = (plan: SpoolPlan) =>
    options.quick ? plan.mailboxes.length : plan.recordsGuessed;
  const spools = plans.flatMap((one) => one.spools);
  const beginPart = inParts(
    progress,
    spools.reduce((sum, { plan }) => sum + unitsOf(plan), 0),
  );
  const begin = (plan: SpoolPlan) => beginPart(unitsOf(plan));
  const signal = interruption(env.takeSignals());
  const pool = interruptible(poolFor(plans, options, { env, isBesideServer }), signal);
  // Several partition folders may be of one server; a whole server or store stands for itself.
  const ofFolders = new UniqueidCensus();
  const checkAll = async () => {
    for (const planned of plans) {
      const isWhole = filter === undefined;
      const uniqueids = planned.target.isWhole ? new UniqueidCensus() : ofFolders;
      const from = reported.length;
      await checkPlanned(planned, { pool, uniqueids, parts, report, begin, isWhole, signal });
      if (!planned.target.isWhole) continue;
      for (const one of await uniqueids.findings()) {
        const isTold = reported
          .slice(from)
          .some(({ code, at }) => code === one.code && at.mailbox === one.at.mailbox);
        if (!isTold) report(one);
      }
    }
    (await ofFolders.findings()).forEach(report);
  };
  try {
    await Promise.race([checkAll(), rejection(signal)]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    progress.stop();
    await pool.close();
  }
  const elapsedMs = performance.now() - started;
  const { records: messages, ...others } = sumOf(parts);
  const done = { messages, ...others, unreadable: reported.filter(isUnread).length, elapsedMs };
  return conclude(reported, { totals: done, options, env, signal });
};

/** A pool that takes no more jobs once the signal has come. */
function interruptible(pool: JobPool<FsckJobs>, signal: AbortSignal): JobPool<FsckJobs> {
  return {
    workers: pool.workers,
    capacity: pool.capacity,
    submit: (kind, request) =>
      signal.aborted ? Promise.reject(signal.reason) : pool.submit(kind, request),
    room: () => pool.room(),
    close: () => pool.close(),
  };
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** Checks one place: its spools, what it has beside them, and the hard links of all of them. */
async function checkPlanned(
  { target, spools }: Planned[number],
  context: {
    readonly pool: JobPool<FsckJobs>;
    readonly uniqueids: UniqueidCensus;
    /** Gets the counts of each spool, and of what is checked after them. */
    readonly parts: SpoolCounts[];
    readonly report: (one: Finding) => void;
    /** Gives what takes the progress of a spool that is now checked. */
    readonly begin: (plan: SpoolPlan) => Progress["update"];
    /** No filter leaves mailboxes out, which could hold other names of a file. */
    readonly isWhole: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { pool, uniqueids, parts, report, begin, signal } = context;
  const links = new LinkCensus();
  for (const { request, plan } of spools) {
    await checkSpool(request, plan, {
      ...{ pool, totals: countIn(parts) },
      censuses: { uniqueids, links },
      events: {
        mailbox: ({ findings }) => findings.forEach(report),
        progress: begin(plan),
      },
    });
    plan.loose.forEach(report);
  }
  const totals = countIn(parts);
  const onRead = (_files: number, bytes: number) => {
    totals.bytesRead += bytes;
  };
  const { findings, unstable, counts } = await target.afterwards({ pool, onRead });
  signal.throwIfAborted();
  findings.forEach(report);
  totals.unstable += unstable;
  totals.mailboxes += counts?.mailboxes ?? 0;
  totals.records += counts?.records ?? 0;
  totals.messagesRead += counts?.messagesRead ?? 0;
  if (target.countsLinks && context.isWhole) links.findings().forEach(report);
}

function countIn(parts: SpoolCounts[]): SpoolCounts {
  const counts = { ...NOTHING_DONE };
  parts.push(counts);
  return counts;
}

function sumOf(parts: readonly SpoolCounts[]): SpoolCounts {
  const sum = { ...NOTHING_DONE };
  const keys = Object.keys(sum) as (keyof SpoolCounts)[]; // it is made of nothing else
  for (const part of parts) for (const key of keys) sum[key] += part[key];
  return sum;
}

type Checkable = Locator | Extract<PlaceLocator, { kind: "backup" }>;

function parseCheckable(place: string): Checkable {
  const locator = parsePlace(place);
  if (locator.kind !== "backup") return parseLocator(place); // which refuses all others
  if (locator.at === undefined) return locator;
  throw new AppError(
    "usage",
    `Cannot check ${place}: fsck checks all of an archive, leave out @TIME`,
  );
}

/** A running server may be at work here. */
function isLive(locator: Checkable): boolean {
  return locator.kind === "store" || !statSync(locator.path).isDirectory();
}

async function targetOf(
  { place, locator }: { readonly place: string; readonly locator: Checkable },
  options: FsckOptions & { readonly filter: MailboxFilter | undefined },
): Promise<FsckTarget> {
  const targetOptions: TargetOptions = {
    engine: options.engine ?? "auto",
    quick: options.quick === true,
    lock: options.lock === true,
    wanted: options.filter?.wants,
    sample: options.sample,
  };
  if (locator.kind === "store") return storeTarget(locator.path, targetOptions);
  if (locator.kind === "backup") return backupTarget(locator.path, targetOptions);
  if (locator.kind !== "cyrus") {
    throw new AppError("usage", `Cannot check ${place}: fsck reads Cyrus spools and stores`);
  }
  if (isLive(locator)) return serverTarget(locator.path, targetOptions);
  if (options.lock) {
    throw cannotLock(place);
  }
  return spoolTarget(rootsOf(locator.path, options), targetOptions);
}

/** On a live server deliveries come first: workers inherit the priority of this thread. */
function yieldToServer(): void {
  setPriority(constants.priority.PRIORITY_LOW);
}

function rootsOf(data: string, options: FsckOptions): PartitionRoots {
  const { archivePartition: archive, metaPartition: meta } = options;
  for (const folder of [archive, meta]) if (folder !== undefined) requireFolder(folder);
  return {
    data,
    ...(archive !== undefined && { archive }),
    ...(meta !== undefined && { anyMeta: meta }),
  };
}

/** Nothing lies on a partition that is not there: its mail would be missing, or not looked for. */
function requireFolder(path: string): void {
  if (statOf(path, { followsLinks: true })?.isDirectory() === true) return;
  throw new AppError("not_found", `Cannot find the folder ${path} of a partition`, {
    hint: "Is the path right, and the disk mounted?",
  });
}

type Planned = readonly {
  readonly target: FsckTarget;
  readonly spools: readonly { readonly request: SpoolRequest; readonly plan: SpoolPlan }[];
}[];

/** A folder without any mailbox is the caller's mistake, not a sound spool; a server may be new. */
function refuseNothing(plans: Planned, places: readonly string[]): void {
  plans.forEach(({ target, spools }, at) => {
    const isSomething = spools.some(
      ({ plan }) => plan.mailboxes.length > 0 || plan.loose.length > 0,
    );
    if (isSomething || target.isWhole) return;
    throw new AppError("not_found", `Cannot find any mailbox below ${places[at]}`);
  });
}

/** On a live server, unless `--jobs` says otherwise, one thread that mostly rests. */
function poolFor(
  plans: Planned,
  options: FsckOptions,
  { env, isBesideServer }: { readonly env: CommandEnv; readonly isBesideServer: boolean },
): JobPool<FsckJobs> {
  const spools = plans.flatMap((one) => one.spools);
  const records = spools.reduce((sum, { plan }) => sum + plan.recordsGuessed, 0);
  if (options.jobs !== undefined) return new WorkerPool<FsckJobs>(env.workerUrl, options.jobs);
  if (isBesideServer) return pacedPool(inlinePool(FSCK_JOBS));
  if (records < MESSAGES_FOR_THREADS) return inlinePool(FSCK_JOBS);
  return new WorkerPool<FsckJobs>(env.workerUrl, defaultWorkers());
}

function conclude(
  reported: readonly Finding[],
  context: {
    readonly totals: ReportTotals;
    readonly options: FsckOptions;
    readonly env: CommandEnv;
    /** Aborted where a signal has ended the run early. */
    readonly signal: AbortSignal;
  },
): CommandResult<"fsck"> {
  const { totals, options, env, signal } = context;
  const minSeverity = options.minSeverity ?? "warning";
  const isExplained = reported.length > 0 || totals.unstable > 0 || options.quick === true;
  const interrupted = interruptedBy(signal);
  assert(
    isExplained || interrupted !== undefined || totals.messagesLeft === 0,
    `${totals.messagesLeft} messages were passed over`,
  );
  const { internalNames, output } = env;
  printFindings(reported, output, { minSeverity, internalNames });
  printTotals(reported, totals, { output, minSeverity });
  if (interrupted !== undefined) {
    const text = `${signal.reason.message}: what was not checked until then is not counted`;
    output.error(text, { code: "busy" });
  }
  const isDamaged = reported.some((one) => atLeast(severityOf(one), minSeverity));
  const isPartial = totals.unstable + totals.unreadable > 0;
  const exit = worstExit([isDamaged ? EXIT.damage : EXIT.ok, isPartial ? EXIT.partial : EXIT.ok]);
  const findings = Object.fromEntries(
    countByCode(reported).map(({ code, count }) => [code, count]),
  );
  return {
    exit: interrupted ?? exit,
    summary: { ...totals, elapsedMs: Math.round(totals.elapsedMs), findings },
  };
}
