/** `bobbin backup list`, `compact` and `rebuild`: what is done with archives. */
import type { Command } from "commander";
import { formatCount, plural } from "../../../core/counts.ts";
import { AppError, systemError } from "../../../core/errors.ts";
import { escapeText } from "../../../core/escape.ts";
import { type Compaction, compactArchive } from "../../../places/backup/compact/compact_archive.ts";
import { type ArchiveRuns, runsOfArchive } from "../../../places/backup/read/archive_runs.ts";
import type { BackupJobs } from "../../../places/backup/write/pack_member.ts";
import { rebuildArchive } from "../../../places/backup/write/rebuild_archive.ts";
import { parseBackupPath } from "../../../places/backup_locator.ts";
import { WorkerPool } from "../../../threads/job_pool.ts";
import type { CommandEnv, CommandResult, Handle, Handler } from "../../command.ts";
import { EXIT, type ExitCode, exitOf, worstExit } from "../../exit.ts";
import { errorFacts } from "../../hints.ts";
import { ownerFacts, ownerLabel, textOfName } from "../../mailbox_names.ts";
import { ageOption, percentOption } from "../../options.ts";
import { interruptedBy, interruption } from "../../signals.ts";
import { printTable } from "../../table.ts";
import { formatBytes, formatTime } from "../../text.ts";
import { foldersOf, ofArchives } from "./archive_arguments.ts";
import { registerVerify } from "./backup_verify.ts";

const PACKERS = 2;
const DAY_MS = 24 * 60 * 60 * 1000;
const KEEP_MS = 7 * DAY_MS;
const WHEN_BELOW = 80;
/** More than any archive can have. */
const ALWAYS = 101;

/** Adds them to the commands of `backup`. */
export function registerUpkeep(backup: Command, handle: Handle): void {
  ofArchives(backup.command("list"))
    .summary("list archives, and the runs that made them")
    .description(
      "Lists the archives with their last runs; with --runs each run, and what it brought. " +
        "Stored messages are counted: one that lies in several mailboxes is stored once, and " +
        "deleted ones are stored too. ARCHIVE@TIME lists what there was at that time. " +
        "`bobbin ls ARCHIVE` and `bobbin ls ARCHIVE@TIME` list and count mailboxes and messages.",
    )
    .option("--runs", "each run of each archive")
    .action(handle(runList));
  registerVerify(backup, handle);
  ofArchives(backup.command("compact"))
    .summary("write archives anew without what nobody needs any more")
    .description(
      "Writes an archive anew without messages, mailboxes and older copies of files that are " +
        "gone for longer than they are to be kept. Every state of the time that is kept can " +
        "still be restored. Each content is checked on its way. The old archive goes only when " +
        "the new one is on the disk.",
    )
    .option("--keep <time>", "how long deleted things are kept (7d)", ageOption)
    .option(
      "--keep-deleted <time>",
      "how long deleted and renamed mailboxes are kept (as --keep)",
      ageOption,
    )
    .option(
      "--keep-expunged <time>",
      "how long expunged messages and earlier flags are kept (as --keep)",
      ageOption,
    )
    .option(
      "--when-below <percent>",
      "write anew only if less than this would stay (80)",
      percentOption,
    )
    .option("--force", "write anew even if little or nothing would go")
    .option("-n, --dry-run", "say what would go, and write nothing")
    .action(handle(runCompact));
  ofArchives(backup.command("rebuild"))
    .summary("make the state beside archives anew")
    .description(
      "Reads archives from end to end and makes backupstate.sqlite3 anew. What cannot be read " +
        "of a damaged archive is kept in a folder beside it.",
    )
    .action(handle(runRebuild));
}

interface Doing {
  readonly folders: readonly (string | AppError)[];
  readonly env: CommandEnv;
  readonly signal?: AbortSignal;
}

/** Does the same to each archive; one that fails is told, and the others go on. */
async function forEach(
  { folders, env, signal }: Doing,
  work: (folder: string) => Promise<ExitCode>,
): Promise<{ readonly exit: ExitCode; readonly failed: number }> {
  const [exits, codes]: [ExitCode[], ExitCode[]] = [[], []];
  for (const folder of folders) {
    if (signal?.aborted === true) break;
    try {
      if (folder instanceof AppError) throw folder;
      exits.push(await work(folder));
    } catch (error) {
      if (signal !== undefined && error === signal.reason) break;
      const known = error instanceof AppError ? error : systemError(error);
      if (known === undefined) throw error;
      env.output.error(known.message, errorFacts(known));
      codes.push(exitOf(known.code));
    }
  }
  const [first] = codes;
  const isAll = codes.length === folders.length && codes.every((code) => code === first);
  if (first !== undefined && isAll) return { exit: first, failed: codes.length };
  const isIo = codes.includes(EXIT.io);
  const partial = codes.length === 0 ? EXIT.ok : isIo ? EXIT.io : EXIT.partial;
  return { exit: worstExit([...exits, partial]), failed: codes.length };
}

const runList: Handler<"backup list"> = async (args, options, env) => {
  const counts = { archives: 0, runs: 0, messages: 0, bytes: 0, failed: 0 };
  const rows: string[][] = [];
  const [text, users] = args as readonly [string, readonly string[]];
  const { path, at } = parseBackupPath(text.replace(/^backup:/, ""));
  const folders = await foldersOf([path, users], options);
  const withRuns = options["runs"] === true;
  const head = withRuns
    ? ["USER", "ENDED", "NEW MESSAGES", "SIZE", "MAILBOXES", "FINDINGS", "GAPS"]
    : ["USER", "LAST RUN", "RUNS", "STORED MESSAGES", "SIZE"];
  const { exit, failed } = await forEach({ folders, env }, async (folder) => {
    const archive = await runsOfArchive(folder, { at });
    counts.archives += 1;
    counts.runs += archive.runs.length;
    counts.messages += archive.messages;
    counts.bytes += archive.bytes;
    for (const row of withRuns ? runRows(archive, env) : [archiveRow(archive, env)]) rows.push(row);
    return EXIT.ok;
  });
  printTable(head, rows, env.output);
  return { exit, summary: { ...counts, failed } };
};

function archiveRow({ owner, folder, runs, messages, bytes }: ArchiveRuns, env: CommandEnv) {
  const last = runs.at(-1);
  env.output.object({
    ...{ type: "archive", ...ownerFacts(owner), path: folder, runs: runs.length, messages, bytes },
    ...(last !== undefined && { lastRun: new Date(last.ended).toISOString() }),
  });
  const when = last === undefined ? "-" : formatTime(Math.floor(last.ended / 1000));
  const counts = [formatCount(runs.length), formatCount(messages), formatBytes(bytes)];
  return [escapeText(ownerLabel(owner)), when, ...counts];
}

function runRows({ owner, folder, runs }: ArchiveRuns, env: CommandEnv): string[][] {
  return runs.map(({ began, ended, source, messages, bytes, mailboxes, findings, ...run }) => {
    const gaps = run.gaps?.length ?? 0;
    env.output.object({
      ...{ type: "run", ...ownerFacts(owner), path: folder, source: textOfName(source) },
      ...{ began: new Date(began).toISOString(), ended: new Date(ended).toISOString() },
      ...{ messages, bytes, mailboxes, findings, gaps },
    });
    const counts = [formatCount(messages), formatBytes(bytes), formatCount(mailboxes)];
    const flaws = [findings, gaps].map(String);
    return [
      escapeText(ownerLabel(owner)),
      formatTime(Math.floor(ended / 1000)),
      ...counts,
      ...flaws,
    ];
  });
}

interface CompactFlags {
  readonly keep?: number;
  readonly keepDeleted?: number;
  readonly keepExpunged?: number;
  readonly whenBelow?: number;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

const runCompact: Handler<"backup compact"> = async (args, options, env) => {
  const flags = options as CompactFlags; // as commander was told above
  const keepMs = flags.keep ?? KEEP_MS;
  const folders = await foldersOf(args, options);
  const signal = interruption(env.takeSignals());
  const pool = new WorkerPool<BackupJobs>(env.workerUrl, PACKERS);
  const counts = { archives: 0, compacted: 0, messages: 0, bytes: 0, damaged: 0 };
  const isDry = flags.dryRun === true;
  try {
    const { exit, failed } = await forEach({ folders, env, signal }, async (folder) => {
      const done = await compactArchive(folder, {
        retention: {
          now: Date.now(),
          keepDeletedMs: flags.keepDeleted ?? keepMs,
          keepExpungedMs: flags.keepExpunged ?? keepMs,
        },
        below: flags.force === true ? ALWAYS : (flags.whenBelow ?? WHEN_BELOW),
        ...{ isDry, signal, pack: (bytes) => pool.submit("backup.pack", { bytes }) },
        notice: (text) => env.output.talk(text),
      });
      counts.archives += 1;
      counts.compacted += done.after === undefined ? 0 : 1;
      counts.messages += done.plan.gone.messages;
      counts.bytes += done.before - (done.after ?? done.before);
      counts.damaged += done.damaged.length;
      tellCompaction(folder, done, env);
      return done.damaged.length > 0 ? EXIT.damage : EXIT.ok;
    });
    env.output.total(
      `${plural(counts.compacted, "archive")} of ${counts.archives} written anew, ` +
        `${formatBytes(Math.max(counts.bytes, 0))} less`,
    );
    const bytes = Math.max(counts.bytes, 0);
    return {
      exit: interruptedBy(signal) ?? exit,
      summary: { ...counts, bytes, failed, dryRun: isDry },
    };
  } finally {
    await pool.close();
  }
};

function tellCompaction(
  path: string,
  { plan, before, after, damaged }: Compaction,
  env: CommandEnv,
) {
  const { messages, entries, bytes } = plan.gone;
  for (const { name, expected, found } of damaged) {
    const text = `${path}: ${name} should have the SHA-1 ${expected} and has ${found}; it is kept`;
    env.output.error(text, { code: "bad_data", context: { path } });
  }
  env.output.object({
    ...{
      type: "compaction",
      path,
      messages,
      entries,
      bytes,
      livePercent: plan.livePercent,
      before,
    },
    ...(after !== undefined && { after }),
  });
  const copies = plural(entries, "older copy", "older copies");
  const gone = `${plural(messages, "message")} and ${copies}`;
  const sizes =
    after === undefined ? "" : `: ${formatBytes(before)} before, ${formatBytes(after)} now`;
  const verb = after === undefined ? "could go" : "gone";
  const what = `${gone} ${verb} (${plan.livePercent}% of the contents stay)${sizes}`;
  env.output.step(`${escapeText(path)}: ${what}`);
}

const runRebuild: Handler<"backup rebuild"> = async (args, options, env) => {
  let rebuilt = 0;
  const folders = await foldersOf(args, options);
  const notice = (text: string) => env.output.talk(text);
  const { exit, failed } = await forEach({ folders, env }, async (folder) => {
    const { isWhole } = await rebuildArchive(folder, { notice });
    rebuilt += 1;
    env.output.step(`${escapeText(folder)}: its state is made anew`);
    return isWhole ? EXIT.ok : EXIT.damage;
  });
  const summary = { rebuilt, failed };
  return { exit, summary } satisfies CommandResult<"backup rebuild">;
};
