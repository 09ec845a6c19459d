/**
 * A program with a pool, to be compiled; prints what its workers answered, and leaves the pool
 * open.
 */
import { mapJobs, WorkerPool } from "../../../src/threads/job_pool.ts";
import type { TEST_JOBS } from "./jobs.ts";

const pool = new WorkerPool<typeof TEST_JOBS>(new URL("./worker.ts", import.meta.url), 2);
const numbers: number[] = [];
const doubled = mapJobs([1, 2, 3, 4, 5], (number) => pool.submit("double", number), {
  atOnce: pool.capacity,
});
for await (const result of doubled) numbers.push(result);
const [native, wasm] = await Promise.all([
  pool.submit("hash", { text: "abc", engine: "native" }),
  pool.submit("hash", { text: "abc", engine: "wasm" }),
]);
const refused = await pool.submit("refuse", "fred").catch((error: Error) => error.message);
numbers.sort((left, right) => left - right);
console.log(JSON.stringify({ numbers, native, wasm, refused }));
