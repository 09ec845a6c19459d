/** `bobbin backup …`: archives of users, each a tar.gz with an index beside it. */
import { dirname, resolve } from "node:path";
import { utf8 } from "../../core/bytes.ts";
import { plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { leadsToFolder } from "../../core/files.ts";
import type { Owner } from "../../model/names.ts";
import { archiveFolder } from "../../places/backup/archive_folder.ts";
import { type ArchiveRuns, isWhole, runsOfArchive } from "../../places/backup/read/archive_runs.ts";
import { lookAtBackupTarget } from "../../places/backup/write/backup_target.ts";
import { archivesIn } from "../../places/backup_locator.ts";
import { backupRootPath, parsePlace } from "../../places/locator.ts";
import { statOf } from "../../storage/disk.ts";
import { replaceFile } from "../../storage/durable.ts";
import {
  chosenOwners,
  listOwners,
  namedUsers,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { CommandEnv, Handler, Register } from "../command.ts";
import { openBackups } from "../open_backups.ts";
import { addPlaceOptions, cannotLock, openPlace, type PlaceOptions } from "../open_place.ts";
import { ageOption, countOption } from "../options.ts";
import { printMetrics } from "./backup/backup_metrics.ts";
import { registerUpkeep } from "./backup/backup_upkeep.ts";
import { runAll } from "./replicate_run.ts";
import { registerRestore } from "./restore.ts";

export const registerBackup: Register = (program, handle) => {
  const backup = program.command("backup").summary("back users up, and bring back mail");
  const run = backup
    .command("run")
    .summary("back up what is new of users")
    .description(
      "Appends to the archive of each user what is new since the run before: messages, and the " +
        "files of mailboxes that have changed. Nothing is ever removed from an archive by a " +
        "run. Each message is checked against its GUID. What cannot be read is named and makes " +
        "the exit code 2; the archive keeps what it has of it, and the rest is backed up. What " +
        "came since the run before, and was deleted for good before this one, is told.\n\n" +
        "An archive is a folder below FOLDER, f/fred for fred. Cyrus' own tools can read it.",
    )
    .argument("[user...]", "the users to back up")
    .requiredOption("--from <place>", "where the mail is")
    .requiredOption("--to <folder>", "the folder of the archives")
    .option("--all", "all users and shared mailboxes of the place")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option("--salvage", "take what is undamaged of a damaged mailbox, and name what is left out")
    .option("--if-older <time>", "only users whose last whole run is older, like 20h", ageOption)
    .option("--metrics-file <file>", "write how the archives are, for Prometheus' textfiles")
    .option("--lock", "read mailboxes under Cyrus' own shared locks (imapd.conf only)")
    .option("-n, --dry-run", "say what would be backed up, and write nothing")
    .option("--jobs <n>", "users at a time (2)", countOption);
  addPlaceOptions(usersFromOption(run)).action(handle(runBackup));
  registerUpkeep(backup, handle);
  registerRestore(backup, handle);
};

interface RunFlags extends PlaceOptions {
  readonly from: string;
  readonly to: string;
  readonly all?: boolean;
  readonly shared?: boolean;
  readonly ifOlder?: number;
  readonly metricsFile?: string;
  readonly dryRun?: boolean;
  readonly jobs?: number;
}

const JOBS = 2;

const runBackup: Handler<"backup run"> = async (args, options, env) => {
  const more = { gaps: 0, notDue: 0 };
  const flags = options as unknown as RunFlags; // as commander was told above
  const users = await namedUsers((args[0] ?? []) as readonly string[], options);
  if (users.length > 0 === (flags.all === true)) {
    throw new AppError("usage", "Cannot tell whom to back up: name users, or say --all");
  }
  const { metricsFile } = flags;
  if (metricsFile !== undefined) requireReplaceable(resolve(metricsFile));
  const root = backupRootPath(flags.to);
  if (flags.lock === true && parsePlace(flags.from).kind !== "cyrus") throw cannotLock(flags.from);
  const source = await openPlace(flags.from, env, flags);
  const onGap = () => {
    more.gaps += 1;
  };
  const isDry = flags.dryRun === true;
  const target = isDry ? undefined : await openBackups(root, { source, env, onGap });
  const reading = target ?? (await lookAtBackupTarget(root));
  try {
    if (flags.all === true) await requireSomebody(source);
    const list = chosenOwners({ users, shared: flags.shared === true }, [source]);
    const listed = await listOwners(list);
    const owners = await dueOwners(listed.owners, { root, flags, env });
    more.notDue = listed.owners.length - owners.length;
    const { exit, summary } = await runAll(
      { ...listed, owners },
      {
        ...{ source, reading, target, env: counting(env, more), isCheck: false },
        // What nobody backs up any more stays in its archive, and is nobody's business here.
        isAll: false,
        options: {
          ...{ mode: "mirror", allowDelete: 100, jobs: flags.jobs ?? JOBS },
          ...{ bytesPerSecond: undefined, timeoutMs: undefined },
        },
      },
    );
    if (metricsFile !== undefined && !isDry) await writeMetrics(metricsFile, { root, env });
    return summary === undefined ? { exit } : { exit, summary: { ...summary, ...more } };
  } finally {
    await reading.close();
    await source.close();
  }
};

/** `env` for `runAll`, whose counts get what a backup counts besides. */
function counting(
  env: CommandEnv<"backup run">,
  more: Readonly<Record<"gaps" | "notDue", number>>,
): CommandEnv<"replicate"> {
  return { ...env, soFar: (tell) => env.soFar(() => ({ ...tell(), ...more })) };
}

interface DueOptions {
  readonly root: string;
  readonly flags: RunFlags;
  readonly env: CommandEnv;
}

/** Those whose last run is older than `--if-older`; all without it. */
async function dueOwners(
  owners: readonly Owner[],
  { root, flags, env }: DueOptions,
): Promise<readonly Owner[]> {
  const { ifOlder } = flags;
  if (ifOlder === undefined) return owners;
  const since = Date.now() - ifOlder;
  const due: Owner[] = [];
  for (const owner of owners) {
    const last = await lastRunOf(archiveFolder(root, owner));
    if (last === undefined || last < since) due.push(owner);
  }
  const left = owners.length - due.length;
  if (left > 0) env.output.talk(`${plural(left, "user")} left out: their last run is not so old`);
  return due;
}

/**
 * When the last run ended that had everything, in milliseconds since 1970; undefined where nothing
 * tells.
 */
async function lastRunOf(folder: string): Promise<number | undefined> {
  if (archivesIn(folder).length === 0) return undefined;
  const told = await runsIn(folder);
  return told instanceof AppError ? undefined : told.runs.findLast(isWhole)?.ended;
}

/** What an archive tells of its runs; the error where it cannot be read, which the run mends. */
async function runsIn(folder: string): Promise<ArchiveRuns | AppError> {
  try {
    return await runsOfArchive(folder);
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return error;
    throw error;
  }
}

/**
 * A backup is not made for a file that could not be written at its end; and a device or a pipe is
 * not replaced by a file.
 */
function requireReplaceable(file: string): void {
  const problem = !leadsToFolder(dirname(file))
    ? `there is no folder ${dirname(file)}`
    : statOf(file)?.isFile() === false && "what lies there is no regular file";
  if (problem) throw new AppError("cannot_create", `Cannot write ${file}: ${problem}`);
}

/** For all to read: the collector runs as another user. */
const METRICS_MODE = 0o644;

/** Of all archives, also those that this run had nothing to do with. */
async function writeMetrics(
  file: string,
  { root, env }: { readonly root: string; readonly env: CommandEnv },
): Promise<void> {
  const archives: ArchiveRuns[] = [];
  for (const folder of archivesIn(root)) {
    const told = await runsIn(folder);
    if (told instanceof AppError) env.output.talk(`Not in ${file}: ${told.message}`);
    else archives.push(told);
  }
  replaceFile(resolve(file), utf8(printMetrics(archives)), { mode: METRICS_MODE });
}
