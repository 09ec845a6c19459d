/** Job in, answer out; nothing else. The second entry point of the build, beside main.ts. */
import { FSCK_JOBS } from "./fsck/jobs.ts";
import { serveJobs } from "./hash/jobs.ts";

serveJobs({ ...FSCK_JOBS });
