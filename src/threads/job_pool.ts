/**
 * The main thread's side of jobs: a pool of worker threads. Where the work is too little for
 * threads (below some 500 files) the calling thread itself does it, behind the same interface.
 */
import { availableParallelism } from "node:os";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { assert, BugError } from "../core/assert.ts";
import { JobThread } from "./job_thread.ts";
import {
  handlerOf,
  type JobMessage,
  type JobTable,
  type Kind,
  type Request,
  type Result,
  unmoved,
} from "./jobs.ts";
import { idleShareSince, processorTimes } from "./processors.ts";

export interface JobPool<Table extends JobTable> {
  /** Worker threads at most; 0 when jobs run on the calling thread. */
  readonly workers: number;
  /** How many jobs the pool works on or holds ready; one more would only wait. */
  readonly capacity: number;
  /**
   * Does a job. The queue has no bound of its own: a submitter waits for `room` first. Rejects with
   * what the handler threw: an `AppError`, or a `BugError` with the stack from the worker.
   */
  submit<K extends Kind<Table>>(kind: K, request: Request<Table, K>): Promise<Result<Table, K>>;
  /** Resolves when the pool can begin a job, or hold it ready behind one that runs. */
  room(): Promise<void>;
  /** Ends the threads. Jobs that have not been answered are rejected. */
  close(): Promise<void>;
}

/**
 * Each worker has one job running and the next one ready, so that none waits for the main thread.
 */
const JOBS_PER_WORKER = 2;

/**
 * More threads than processors help only while they wait for disks. Otherwise each costs the time
 * of some thousand files, because it compiles the code anew. So as many threads as there are
 * processors begin at once, and the others while processors are idle.
 */
const CHECK_EVERY_MS = 100;
const IDLE_SHARE = 0.25;

/** 4 for each core, since cold disks need many reads in flight, and at most 16. */
export function defaultWorkers(): number {
  return Math.min(16, 4 * availableParallelism());
}

/** A pool that runs the handlers on the calling thread, one after the other. */
export function inlinePool<Table extends JobTable>(table: Table): JobPool<Table> {
  let last: Promise<unknown> = Promise.resolve();
  return {
    workers: 0,
    capacity: 1,
    submit: (kind, request) => {
      const job = last.then(async () => {
        // Handlers are mostly synchronous: between two of them signals, timers and progress get a
        // turn.
        await setImmediate();
        return unmoved(await handlerOf(table, kind)(request));
      });
      last = job.catch(() => undefined); // its submitter has the error; the next job still runs
      // The table's types say what its handler returns for this kind.
      return job as Promise<Result<Table, typeof kind>>;
    },
    room: async () => {
      await last;
    },
    close: async () => {
      await last;
    },
  };
}

const REST_PER_WORK = 4;

/**
 * A pool that does one job at a time and then rests four times as long as the job took: for work
 * beside a server, which comes first. A low priority alone is not enough, as cores share caches and
 * execution units.
 */
export function pacedPool<Table extends JobTable>(pool: JobPool<Table>): JobPool<Table> {
  let last: Promise<unknown> = Promise.resolve();
  return {
    workers: pool.workers,
    capacity: 1,
    submit: (kind, request) => {
      const job = last.then(async () => {
        const before = process.cpuUsage();
        const result = await pool.submit(kind, request);
        // The time in which a job only waited for the disk has slowed nobody down.
        const { user, system } = process.cpuUsage(before);
        await sleep((REST_PER_WORK * (user + system)) / 1000);
        return result;
      });
      last = job.catch(() => undefined); // its submitter has the error; the next job still runs
      return job as ReturnType<typeof pool.submit<typeof kind>>; // it awaits just that
    },
    room: async () => {
      await last;
    },
    close: () => pool.close(),
  };
}

interface Job {
  readonly message: Omit<JobMessage, "id">;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly jobs: JobThread<JobTable>;
  /** Counted from 0 in the order of spawning; decides which kind of job the thread prefers. */
  readonly number: number;
}

export interface PoolOptions {
  /** Tells how idle the processors were since a moment; reads /proc/stat if not given. */
  readonly idleShareSince?: typeof idleShareSince;
}

/**
 * Worker threads that run the module at `url`, which calls `serveJobs` with a table of the type
 * given here. They are spawned when there is work and the processors have time for it.
 *
 * Each thread compiles the code that it runs, which takes tens of milliseconds for hot code. So
 * each thread prefers another kind of job, and does other kinds only when it would be idle.
 */
export class WorkerPool<Table extends JobTable> implements JobPool<Table> {
  readonly workers: number;
  readonly capacity: number;
  readonly #url: URL;
  readonly #threads = new Set<Thread>();
  readonly #queue: Job[] = [];
  /** The kinds of jobs so far, in the order in which they first came. */
  readonly #kinds: string[] = [];
  readonly #atOnce: number;
  readonly #idleShareSince: typeof idleShareSince;
  #waiting: (() => void)[] = [];
  #growing: NodeJS.Timeout | undefined;
  #spawned = 0;
  #unanswered = 0;
  #closed = false;

  constructor(url: URL, workers: number, options: PoolOptions = {}) {
    assert(Number.isInteger(workers) && workers > 0, `a pool of ${workers} workers`);
    this.#url = url;
    this.workers = workers;
    this.#idleShareSince = options.idleShareSince ?? idleShareSince;
    this.#atOnce = Math.min(workers, availableParallelism());
    this.capacity = workers * JOBS_PER_WORKER;
  }

  submit<K extends Kind<Table>>(kind: K, request: Request<Table, K>): Promise<Result<Table, K>> {
    assert(!this.#closed, "a job was submitted to a closed pool");
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (!this.#kinds.includes(kind)) this.#kinds.push(kind);
    this.#queue.push({ message: { kind, request }, resolve, reject });
    this.#unanswered++;
    this.#dispatch();
    return promise as Promise<Result<Table, K>>; // the worker serves the same table
  }

  async room(): Promise<void> {
    while (this.#unanswered >= this.capacity) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#growing);
    const threads = [...this.#threads];
    const ended = threads.map((thread) => thread.jobs.close("the pool was closed"));
    for (const job of this.#queue.splice(0)) this.#settle(() => job.reject(closedError(job)));
    await Promise.all(ended);
  }

  /** Gives queued jobs to the threads with the fewest jobs. */
  #dispatch(): void {
    while (this.#queue.length > 0) {
      let thread = this.#leastBusy();
      const busy = thread?.jobs.running ?? Number.POSITIVE_INFINITY;
      if (busy > 0 && this.#threads.size < this.#atOnce) thread = this.#spawn();
      else if (busy >= JOBS_PER_WORKER) break;
      const job = thread && this.#take(thread);
      if (thread === undefined || job === undefined) return;
      this.#run(job, thread);
    }
    if (this.#queue.length > 0) this.#growSoon();
  }

  #run(job: Job, thread: Thread): void {
    const { kind, request } = job.message;
    const settle = (answer: () => void): void => {
      this.#settle(answer);
      if (!this.#closed) this.#dispatch();
    };
    thread.jobs.submit(kind, request).then(
      (result) => settle(() => job.resolve(result)),
      (error: Error) => settle(() => job.reject(error)),
    );
  }

  #take(thread: Thread): Job | undefined {
    return this.#queue.splice(placeToTake(this.#queue, this.#kinds, thread.number), 1)[0];
  }

  /** Doubles the number of threads as long as jobs are queued and processors were idle. */
  #growSoon(): void {
    if (this.#growing !== undefined || this.#threads.size >= this.workers) return;
    const before = processorTimes();
    this.#growing = setTimeout(() => {
      this.#growing = undefined;
      if (this.#queue.length === 0) return;
      const more = this.#idleShareSince(before) >= IDLE_SHARE ? this.#threads.size : 0;
      for (let count = 0; count < more && this.#threads.size < this.workers; count++) this.#spawn();
      this.#dispatch();
    }, CHECK_EVERY_MS);
  }

  #leastBusy(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (best === undefined || thread.jobs.running < best.jobs.running) best = thread;
    }
    return best;
  }

  #spawn(): Thread {
    const onLost = (): void => {
      this.#threads.delete(thread);
      if (!this.#closed) this.#dispatch();
    };
    const jobs = new JobThread<JobTable>(this.#url, { onLost });
    const thread: Thread = { jobs, number: this.#spawned++ };
    this.#threads.add(thread);
    return thread;
  }

  #settle(answer: () => void): void {
    this.#unanswered--;
    answer();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/**
 * The position of the queued job that the thread of this number takes: the first job of the kind
 * that the thread prefers, else the first of all. `kinds` are all kinds so far.
 */
export function placeToTake(
  queued: readonly { readonly message: { readonly kind: string } }[],
  kinds: readonly string[],
  threadNumber: number,
): number {
  const preferred = kinds[threadNumber % kinds.length];
  return Math.max(
    0,
    queued.findIndex(({ message }) => message.kind === preferred),
  );
}

function closedError(job: Job): BugError {
  return new BugError(`the pool was closed before a job of kind ${job.message.kind} began`);
}

/**
 * Does `job` for each request, `atOnce` of them at a time (a pool's `capacity`), and yields the
 * results as they come, not in the order of the requests, which are drawn only as fast as jobs end.
 */
export async function* mapJobs<From, To>(
  requests: Iterable<From> | AsyncIterable<From>,
  job: (request: From) => Promise<To>,
  options: { readonly atOnce: number },
): AsyncGenerator<To, void> {
  const running = new Map<number, Promise<{ readonly id: number; readonly result: To }>>();
  const next = async (): Promise<To> => {
    const { id, result } = await Promise.race(running.values());
    running.delete(id);
    return result;
  };
  let count = 0;
  for await (const request of requests) {
    while (running.size >= options.atOnce) yield await next();
    const id = count++;
    const done = job(request).then((result) => ({ id, result }));
    done.catch(() => undefined); // it is awaited in `next`, perhaps after another one has failed
    running.set(id, done);
  }
  while (running.size > 0) yield await next();
}
