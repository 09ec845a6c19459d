/** Opens backups to be written, with the threads that pack them. */
import { openBackupTarget } from "../places/backup/write/backup_target.ts";
import type { BackupJobs } from "../places/backup/write/pack_member.ts";
import type { Place, WritablePlace } from "../places/place.ts";
import { WorkerPool } from "../threads/job_pool.ts";
import type { CommandEnv } from "./command.ts";
import { tellGap } from "./commands/backup/gap_report.ts";
import { VERSION } from "./version.ts";

/** As many as pack at a time; reading the mail takes about one processor more. */
const PACKERS = 2;

export interface OpenBackups {
  /** What is backed up. */
  readonly source: Place;
  readonly env: Pick<CommandEnv, "output" | "workerUrl" | "internalNames">;
  /** Called for each gap, which is told. */
  readonly onGap?: () => void;
}

/** One archive, or a folder of them. The caller closes it. Throws AppError. */
export async function openBackups(
  path: string,
  { source, env, onGap }: OpenBackups,
): Promise<WritablePlace> {
  const pool = new WorkerPool<BackupJobs>(env.workerUrl, PACKERS);
  const place = await openBackupTarget(path, {
    ...{ source: source.locator, place: source, version: VERSION, now: Date.now },
    pack: (bytes) => pool.submit("backup.pack", { bytes }),
    notice: (text) => env.output.talk(text),
    gap: (owner, gap, since) => {
      onGap?.();
      tellGap(owner, gap, { since, env });
    },
  });
  const close = place.close.bind(place);
  return Object.assign(place, {
    close: async () => {
      try {
        await close();
      } finally {
        await pool.close();
      }
    },
  });
}
