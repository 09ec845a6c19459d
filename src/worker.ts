/** What worker threads run: a job in, its answer out. The second entry point of the build. */
import { workerData } from "node:worker_threads";
import { FSCK_JOBS } from "./fsck/fsck_jobs.ts";
import { BACKUP_JOBS } from "./places/backup/write/pack_member.ts";
import { storeJobs } from "./places/store/threads/store_jobs.ts";
import { serveJobs } from "./threads/jobs.ts";

serveJobs({ ...FSCK_JOBS, ...BACKUP_JOBS, ...storeJobs(workerData) });
