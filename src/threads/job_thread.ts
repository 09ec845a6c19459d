/**
 * The main thread's side of one worker thread: jobs go in and answers come out. If the thread is
 * lost, every job that it had is rejected.
 */
import { Worker } from "node:worker_threads";
import { BugError } from "../core/assert.ts";
import {
  type JobMessage,
  type JobNote,
  type JobReply,
  type JobTable,
  type Kind,
  type Request,
  type Result,
  restoreError,
} from "./jobs.ts";

interface Running {
  readonly kind: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface JobThreadOptions {
  /** Called once when the thread has ended, however it did. Its jobs have been rejected by then. */
  readonly onLost?: () => void;
  /** Called with the notes that the thread sends beside its answers (`noteToOwner`). */
  readonly onNote?: ((note: string) => void) | undefined;
  /** What the thread finds as `workerData`. */
  readonly data?: unknown;
}

/** A worker thread that runs the module at `url`, which serves a table of the type given here. */
export class JobThread<Table extends JobTable> {
  readonly #worker: Worker;
  readonly #running = new Map<number, Running>();
  readonly #onLost: () => void;
  #submitted = 0;
  #lostWhy: string | undefined;

  constructor(url: URL, options: JobThreadOptions = {}) {
    this.#onLost = options.onLost ?? (() => undefined);
    this.#worker = new Worker(url, { workerData: options.data });
    this.#worker.on("message", (said: JobReply | JobNote) => {
      if ("note" in said) options.onNote?.(said.note);
      else this.#answered(said);
    });
    this.#worker.on("error", (error: unknown) => {
      this.#lose(error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
    this.#worker.on("exit", (code: number) => this.#lose(`it exited with code ${code}`));
  }

  /** Jobs that have not been answered. */
  get running(): number {
    return this.#running.size;
  }

  get isLost(): boolean {
    return this.#lostWhy !== undefined;
  }

  /**
   * Does a job; jobs begin in the order in which they are submitted. `buffers` in the request are
   * handed over. Rejects with what the handler threw: an `AppError`, or a `BugError`; with a
   * `BugError` too where the thread is lost.
   */
  submit<K extends Kind<Table>>(
    kind: K,
    request: Request<Table, K>,
    buffers: readonly ArrayBuffer[] = [],
  ): Promise<Result<Table, K>> {
    if (this.#lostWhy !== undefined) return Promise.reject(lostError(kind, this.#lostWhy));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const message: JobMessage = { id: ++this.#submitted, kind, request };
    this.#worker.postMessage(message, [...buffers]);
    if (this.#running.size === 0) this.#worker.ref();
    this.#running.set(message.id, { kind, resolve, reject });
    return promise as Promise<Result<Table, K>>; // the worker serves the same table
  }

  /** Ends the thread. Jobs that it has not answered are rejected with `why`. */
  async close(why: string): Promise<void> {
    this.#lose(why);
    await this.#worker.terminate();
  }

  #answered(reply: JobReply): void {
    const job = this.#running.get(reply.id);
    if (job === undefined) return; // given up already
    this.#running.delete(reply.id);
    // An idle thread does not keep the process alive.
    if (this.#running.size === 0) this.#worker.unref();
    if (reply.ok) job.resolve(reply.result);
    else job.reject(restoreError(reply.error));
  }

  #lose(why: string): void {
    if (this.#lostWhy !== undefined) return;
    this.#lostWhy = why;
    const jobs = [...this.#running.values()];
    this.#running.clear();
    for (const { kind, reject } of jobs) reject(lostError(kind, why));
    this.#onLost();
  }
}

function lostError(kind: string, why: string): BugError {
  return new BugError(`worker lost during a job of kind ${kind}: ${why}`);
}
