/** `bobbin fsck PLACE…`: is every byte what it was? Reads only. */
import { AppError } from "../core/errors.ts";
import { checkWholeStore } from "../fsck/check_store.ts";
import { atLeast, type Severity } from "../fsck/finding.ts";
import { FSCK_JOBS, type FsckJobs } from "../fsck/jobs.ts";
import { checkSpool, planSpool, type SpoolPlan, type SpoolRequest } from "../fsck/run.ts";
import { type EngineChoice, selfTest } from "../hash/engines.ts";
import { defaultWorkers, inlinePool, type JobPool, WorkerPool } from "../hash/pool.ts";
import type { PartitionRoots } from "../places/cyrus/mailbox_files.ts";
import { parseLocator } from "../places/locator.ts";
import { isStore } from "../places/store/settings.ts";
import { Store } from "../places/store/store.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "./command.ts";
import { EXIT, worstExit } from "./exit.ts";
import {
  countByCode,
  findingObject,
  printFindings,
  printTotals,
  type ReportedFinding,
} from "./fsck_report.ts";
import { mailboxFilter } from "./names.ts";
import { choiceOption, collect, countOption } from "./options.ts";
import { startProgress } from "./progress.ts";

export const registerFsck: Register = (program, handle) => {
  program
    .command("fsck")
    .summary("is every byte what it was? (reads only)")
    .description(
      "Proves mailboxes sound, or says exactly what is not. A PLACE is the folder of a spool\n" +
        "partition or of one mailbox. Nothing is locked and nothing is written.",
    )
    .argument("<place...>", "what to check")
    .option("--user <user>", "only this user's mailboxes (repeat for more)", collect, [])
    .option("--mailbox <name>", "only this mailbox (repeat for more)", collect, [])
    .option("--quick", "read index, header, cache and folder listings, but open no message")
    .option("--archive-partition <dir>", "archived messages of the same mailboxes")
    .option("--meta-partition <dir>", "cyrus.* files of the same mailboxes")
    .option("--jobs <n>", "worker threads", countOption)
    .addOption(choiceOption("--engine <name>", "hash engine", ["auto", "native", "wasm"]))
    .addOption(
      choiceOption("--min-severity <level>", "what counts as damage", [
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
  readonly user: readonly string[];
  readonly mailbox: readonly string[];
  readonly quick?: boolean;
  readonly archivePartition?: string;
  readonly metaPartition?: string;
  readonly jobs?: number;
  readonly engine?: EngineChoice;
  readonly minSeverity?: Severity;
}

const runFsck: Handler = async (args, given, env) => {
  const options = given as unknown as FsckOptions; // as commander was told above
  const places = args[0] as readonly string[];
  const started = performance.now();
  await selfTest();
  const requests = places.map((place) => requestOf(place, options));
  const plans = requests.map((request) => ({ request, plan: planSpool(request) }));
  refuseNothing(plans, options);
  const reported: ReportedFinding[] = [];
  const report = (one: ReportedFinding) => {
    reported.push(one);
    const listed = options.minSeverity ?? "info";
    if (atLeast(one.finding.severity, listed)) env.output.object(findingObject(one));
  };
  const totals = { mailboxes: 0, messages: 0, messagesRead: 0, bytesRead: 0, unstable: 0 };
  const pool = poolFor(plans, options, env);
  const progress = startProgress(env.output, options.quick ? "mailboxes" : "messages");
  try {
    for (const place of places) checkStoreAt(place, options, report);
    for (const { request, plan } of plans) {
      const done = await checkSpool(request, plan, {
        pool,
        events: {
          mailbox: ({ name, findings }) => {
            for (const finding of findings) report({ mailbox: name, finding });
          },
          progress: progress.update,
        },
      });
      for (const { name, finding } of done.late) report({ mailbox: name, finding });
      for (const { finding } of done.loose) report({ mailbox: undefined, finding });
      totals.mailboxes += done.mailboxes;
      totals.messages += done.records;
      totals.messagesRead += done.messagesRead;
      totals.bytesRead += done.bytesRead;
      totals.unstable += done.unstable;
    }
  } finally {
    progress.stop();
    await pool.close();
  }
  const elapsedMs = performance.now() - started;
  return conclude(reported, { totals: { ...totals, elapsedMs }, options, env });
};

/** What a store has beside mailboxes; opening it does what a killed writer left to do. */
function checkStoreAt(
  place: string,
  options: FsckOptions,
  report: (one: ReportedFinding) => void,
): void {
  const locator = parseLocator(place);
  if (locator.kind !== "store" || options.user.length > 0 || options.mailbox.length > 0) return;
  const store = new Store(locator.path);
  try {
    for (const finding of checkWholeStore(store, { hashPool: options.quick !== true })) {
      report({ mailbox: undefined, finding });
    }
  } finally {
    store.close();
  }
}

function requestOf(place: string, options: FsckOptions): SpoolRequest {
  const locator = parseLocator(place);
  if (locator.kind !== "cyrus" && locator.kind !== "store") {
    throw new AppError("usage", `Cannot check ${place}: fsck reads Cyrus spools and stores`);
  }
  const wanted = mailboxFilter(options.user, options.mailbox);
  return {
    roots: rootsOf(locator.path, options),
    engine: options.engine ?? "auto",
    quick: options.quick === true,
    ...(wanted && { wanted }),
  };
}

function rootsOf(data: string, options: FsckOptions): PartitionRoots {
  const { archivePartition: archive, metaPartition: meta } = options;
  return {
    data,
    ...(archive !== undefined && { archive }),
    ...(meta !== undefined && {
      meta: { header: meta, index: meta, cache: meta, annotations: meta, archivecache: meta },
    }),
  };
}

type Planned = readonly { readonly request: SpoolRequest; readonly plan: SpoolPlan }[];

/** A place without any mailbox is a mistake of the caller's, not a sound spool. */
function refuseNothing(plans: Planned, options: FsckOptions): void {
  for (const { request, plan } of plans) {
    if (plan.mailboxes.length > 0 || plan.loose.length > 0) continue;
    const filters = [...options.user, ...options.mailbox];
    if (filters.length === 0 && isStore(request.roots.data)) continue; // a new one is empty
    const what = filters.length === 0 ? "any mailbox" : filters.join(", ");
    throw new AppError("not_found", `Cannot find ${what} below ${request.roots.data}`);
  }
}

function poolFor(plans: Planned, options: FsckOptions, env: CommandEnv): JobPool<FsckJobs> {
  const records = plans.reduce((sum, { plan }) => sum + plan.recordsGuessed, 0);
  if (options.jobs === undefined && records < MESSAGES_FOR_THREADS) return inlinePool(FSCK_JOBS);
  return new WorkerPool<FsckJobs>(env.workerUrl, options.jobs ?? defaultWorkers());
}

function conclude(
  reported: readonly ReportedFinding[],
  context: {
    readonly totals: {
      readonly mailboxes: number;
      readonly messages: number;
      readonly messagesRead: number;
      readonly bytesRead: number;
      readonly unstable: number;
      readonly elapsedMs: number;
    };
    readonly options: FsckOptions;
    readonly env: CommandEnv;
  },
): CommandResult {
  const { totals, options, env } = context;
  const minSeverity = options.minSeverity ?? "warning";
  const { internalNames, output } = env;
  printFindings(reported, output, { minSeverity, internalNames });
  printTotals(reported, totals, output);
  const isDamaged = reported.some(({ finding }) => atLeast(finding.severity, minSeverity));
  const isPartial =
    totals.unstable > 0 || reported.some(({ mailbox }) => mailbox === undefined && isDamaged);
  const exit = worstExit([isDamaged ? EXIT.damage : EXIT.ok, isPartial ? EXIT.partial : EXIT.ok]);
  const findings = Object.fromEntries(
    countByCode(reported).map(({ code, count }) => [code, count]),
  );
  return { exit, summary: { ...totals, elapsedMs: Math.round(totals.elapsedMs), findings } };
}
