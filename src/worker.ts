/**
 * What a worker thread runs: the second entry point of the binary. It lies beside main.ts because only
 * there does one URL find it both compiled and under `bun run`; main.ts computes that URL.
 */
import { serveJobs } from "./hash/jobs.ts";

/** Each room that has jobs for workers adds its table here. */
const JOBS = {};

serveJobs(JOBS);
