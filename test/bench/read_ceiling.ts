/**
 * The floor under every check of a spool: all files opened, read to the end and closed by worker
 * threads, and nothing done with them. `bun read_ceiling.ts LIST WORKERS`, names in LIST end with
 * NUL.
 */
import { readFileSync } from "node:fs";
import { mapJobs, WorkerPool } from "../../src/threads/job_pool.ts";
import type { READ_JOBS } from "./read_worker.ts";

const FILES_PER_JOB = 256;

const [list = "", workers = "8"] = process.argv.slice(2);
const paths = readFileSync(list, "utf8").split("\0").slice(0, -1);
const pool = new WorkerPool<typeof READ_JOBS>(
  new URL("./read_worker.ts", import.meta.url),
  Number(workers),
);

function* batches(): Generator<readonly string[]> {
  for (let at = 0; at < paths.length; at += FILES_PER_JOB) {
    yield paths.slice(at, at + FILES_PER_JOB);
  }
}

let bytes = 0;
const jobs = mapJobs(batches(), (batch) => pool.submit("read", batch), { atOnce: pool.capacity });
for await (const count of jobs) bytes += count;
await pool.close();
console.log(`${paths.length} files, ${bytes} bytes`);
