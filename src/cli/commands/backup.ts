/** `bobbin backup …`: archives of users, each a tar.gz with an index beside it. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { openBackupRoot } from "../../places/backup/write/backup_root.ts";
import type { BackupJobs } from "../../places/backup/write/pack_member.ts";
import { WorkerPool } from "../../threads/job_pool.ts";
import {
  chosenOwners,
  listOwners,
  namedUsers,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { Handler, Register } from "../command.ts";
import { addPlaceOptions, openPlace, type PlaceOptions } from "../open_place.ts";
import { countOption } from "../options.ts";
import { VERSION } from "../version.ts";
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
        "the exit code 2; the archive keeps what it has of it, and the rest is backed up.\n\n" +
        "An archive is a folder below FOLDER, f/fred for fred. Cyrus' own tools can read it.",
    )
    .argument("[user...]", "the users to back up")
    .requiredOption("--from <place>", "where the mail is")
    .requiredOption("--to <folder>", "the folder of the archives")
    .option("--all", "all users and shared mailboxes of the place")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option("--jobs <n>", "users at a time (2)", countOption);
  addPlaceOptions(usersFromOption(run)).action(handle(runBackup));
  registerRestore(backup, handle);
};

interface RunFlags extends PlaceOptions {
  readonly from: string;
  readonly to: string;
  readonly all?: boolean;
  readonly shared?: boolean;
  readonly jobs?: number;
}

const JOBS = 2;
/** As many as pack at a time; reading the mail takes about one processor more. */
const PACKERS = 2;

const runBackup: Handler<"backup run"> = async (args, options, env) => {
  const flags = options as unknown as RunFlags; // as commander was told above
  const users = await namedUsers((args[0] ?? []) as readonly string[], options);
  if (users.length > 0 === (flags.all === true)) {
    throw new AppError("usage", "Cannot tell whom to back up: name users, or say --all");
  }
  const source = await openPlace(flags.from, env, flags);
  const pool = new WorkerPool<BackupJobs>(env.workerUrl, PACKERS);
  const target = openBackupRoot(resolve(flags.to.replace(/^backup:/, "")), {
    ...{ source: source.locator, version: VERSION, now: Date.now },
    pack: (bytes) => pool.submit("backup.pack", { bytes }),
    notice: (text) => env.output.talk(text),
  });
  try {
    if (flags.all === true) await requireSomebody(source);
    const list = chosenOwners({ users, shared: flags.shared === true }, [source]);
    const { exit, summary } = await runAll(await listOwners(list), {
      ...{ source, reading: target, target, env, isCheck: false },
      // What nobody backs up any more stays in its archive, and is nobody's business here.
      isAll: false,
      options: {
        ...{ mode: "mirror", allowDelete: 100, jobs: flags.jobs ?? JOBS },
        ...{ bytesPerSecond: undefined, timeoutMs: undefined },
      },
    });
    return summary === undefined ? { exit } : { exit, summary };
  } finally {
    await target.close();
    await pool.close();
    await source.close();
  }
};
