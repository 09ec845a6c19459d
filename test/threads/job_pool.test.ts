import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { BugError } from "../../src/core/assert.ts";
import { AppError } from "../../src/core/errors.ts";
import {
  defaultWorkers,
  inlinePool,
  type JobPool,
  mapJobs,
  pacedPool,
  placeToTake,
  WorkerPool,
} from "../../src/threads/job_pool.ts";
import { TEST_JOBS } from "../support/pool/jobs.ts";

type Pool = JobPool<typeof TEST_JOBS>;

const url = new URL("../support/pool/worker.ts", import.meta.url);
const opened: Pool[] = [];

function workerPool(workers: number, idleShare = 0): Pool {
  const pool = new WorkerPool<typeof TEST_JOBS>(url, workers, { idleShareSince: () => idleShare });
  opened.push(pool);
  return pool;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((pool) => pool.close()));
});

async function failureOf(job: Promise<unknown>): Promise<unknown> {
  return job.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const KINDS_OF_POOL: readonly (readonly [string, () => Pool])[] = [
  ["workers", () => workerPool(3)],
  ["inline", () => inlinePool(TEST_JOBS)],
  ["paced", () => pacedPool(inlinePool(TEST_JOBS))],
];

describe.each(KINDS_OF_POOL)("a pool of %s", (_, open) => {
  test("submit() answers every job with its own result", async () => {
    const pool = open();
    const jobs = Array.from({ length: 50 }, (__, number) => pool.submit("double", number));
    expect(await Promise.all(jobs)).toEqual(Array.from({ length: 50 }, (__, number) => number * 2));
    await pool.close();
  });

  test("submit() gives the same digest on either engine", async () => {
    const pool = open();
    const abc = "a9993e364706816aba3e25717850c26c9cd0d89d";
    expect(await pool.submit("hash", { text: "abc", engine: "native" })).toBe(abc);
    expect(await pool.submit("hash", { text: "abc", engine: "wasm" })).toBe(abc);
    await pool.close();
  });

  test("submit() rejects with an AppError as it was thrown, and the pool goes on", async () => {
    const pool = open();
    const error = await failureOf(pool.submit("refuse", "fred"));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: "busy",
      message: "User fred is in use",
      context: { user: "fred", modseq: 7n },
      hint: "Try again",
    });
    expect(await pool.submit("double", 4)).toBe(8);
    await pool.close();
  });

  test("submit() rejects with the stack of a bug in a handler", async () => {
    const pool = open();
    for (const kind of ["bug", "typeError"] as const) {
      const error = await failureOf(pool.submit(kind, 0));
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).stack).toContain("test/support/pool/jobs.ts");
    }
    await pool.close();
  });

  test("submit() rejects a kind of job that the table lacks", async () => {
    const pool = open() as unknown as JobPool<{ toString: (request: number) => number }>;
    const error = await failureOf(pool.submit("toString", 1));
    expect((error as Error).message).toContain("no handler for jobs of kind toString");
    await pool.close();
  });
});

describe("WorkerPool", () => {
  test.each([
    ["as many threads as there are processors while those are busy", 0, 0],
    ["more threads than there are processors while those are idle", 1, 2],
  ])("WorkerPool takes %s", async (_, idleShare, more) => {
    const processors = availableParallelism();
    const pool = workerPool(processors + 2, idleShare);
    const jobs = Array.from({ length: processors * 10 }, () => pool.submit("thread", 30));
    expect(new Set(await Promise.all(jobs)).size).toBe(processors + more);
  });

  test("WorkerPool takes one thread for one job after the other", async () => {
    const pool = workerPool(3);
    const threads = [await pool.submit("thread", 1), await pool.submit("thread", 1)];
    expect(new Set(threads).size).toBe(1);
  });

  test("room() waits while two jobs per worker are in the pool", async () => {
    const pool = workerPool(1);
    expect(pool.capacity).toBe(2);
    const ended: number[] = [];
    const jobs: Promise<void>[] = [];
    for (const job of [1, 2]) {
      await pool.room();
      jobs.push(pool.submit("thread", job * 60).then(() => void ended.push(job)));
    }
    expect(ended).toEqual([]);
    await pool.room();
    expect(ended).toEqual([1]);
    await Promise.all(jobs);
  });

  test("a thread that dies fails its own jobs only, with the reason", async () => {
    const pool = workerPool(2);
    const dying = failureOf(pool.submit("die", undefined));
    const other = pool.submit("thread", 50);
    const error = await dying;
    expect(error).toBeInstanceOf(BugError);
    expect((error as Error).message).toContain("worker lost during a job of kind die");
    expect((error as Error).message).toContain("thrown outside of any job");
    expect(await other).toBeGreaterThan(0);
    expect(await pool.submit("double", 21)).toBe(42);
  });

  test("close() rejects what has not been answered", async () => {
    const pool = workerPool(1);
    const jobs = [1, 2, 3].map(() => failureOf(pool.submit("thread", 10_000)));
    await pool.close();
    for (const error of await Promise.all(jobs)) {
      expect((error as Error).message).toContain("the pool was closed");
    }
  });

  test("a worker file that is not there fails the job", async () => {
    const pool = new WorkerPool<typeof TEST_JOBS>(new URL("../hash/absent.ts", import.meta.url), 1);
    const error = await failureOf(pool.submit("double", 1));
    expect((error as Error).message).toContain("worker lost");
    await pool.close();
  });
});

describe("placeToTake()", () => {
  const queued = ["look", "look", "read", "look"].map((kind) => ({ message: { kind } }));
  test.each([
    [0, 0],
    [1, 2],
    [2, 0],
    [3, 2],
  ])("placeToTake() gives thread %d the first job of its kind, at %d", (thread, place) => {
    expect(placeToTake(queued, ["look", "read"], thread)).toBe(place);
  });

  test("gives any job to a thread that would be idle", () => {
    expect(placeToTake([{ message: { kind: "look" } }], ["look", "read"], 1)).toBe(0);
    expect(placeToTake([{ message: { kind: "look" } }], ["look"], 1)).toBe(0);
  });
});

describe("mapJobs()", () => {
  test("draws requests only as fast as the pool takes them", async () => {
    const pool = workerPool(2);
    let drawn = 0;
    function* requests(): Generator<number> {
      for (let number = 0; number < 100; number++) {
        drawn++;
        yield number;
      }
    }
    const results: number[] = [];
    const doubled = mapJobs(requests(), (number) => pool.submit("double", number), {
      atOnce: pool.capacity,
    });
    for await (const result of doubled) {
      results.push(result);
      expect(drawn - results.length).toBeLessThanOrEqual(pool.capacity);
    }
    expect(results.sort((left, right) => left - right)).toEqual(
      Array.from({ length: 100 }, (_, number) => number * 2),
    );
  });

  test("throws the first failure", async () => {
    const pool = workerPool(1);
    const refused = mapJobs(["ann", "fred"], (user) => pool.submit("refuse", user), {
      atOnce: pool.capacity,
    });
    expect(await failureOf(Array.fromAsync(refused))).toMatchObject({ code: "busy" });
  });
});

describe("defaultWorkers()", () => {
  test("is at least 4 and at most 16", () => {
    expect(defaultWorkers()).toBeGreaterThanOrEqual(4);
    expect(defaultWorkers()).toBeLessThanOrEqual(16);
  });
});

describe("a compiled program", () => {
  test("has its workers and wasm inside, needs no other file, and ends by itself", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bobbin-pool-"));
    try {
      const binary = join(folder, "program");
      const sources = ["main.ts", "worker.ts"].map((name) =>
        join(import.meta.dir, "../support/pool", name),
      );
      // The flags of `npm run build`.
      const build = Bun.spawnSync({
        cmd: [
          ...[process.execPath, "build", "--compile", "--minify", "--bytecode", "--format=esm"],
          ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
          ...[...sources, "--outfile", binary],
        ],
        cwd: folder,
      });
      expect(build.stderr.toString()).not.toContain("error");
      const run = Bun.spawnSync({ cmd: [binary], cwd: folder, timeout: 30_000 });
      expect(run.stderr.toString()).toBe("");
      expect(JSON.parse(run.stdout.toString())).toEqual({
        numbers: [2, 4, 6, 8, 10],
        native: "a9993e364706816aba3e25717850c26c9cd0d89d",
        wasm: "a9993e364706816aba3e25717850c26c9cd0d89d",
        refused: "User fred is in use",
      });
      expect(run.exitCode).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
