/**
 * Jobs: the work that the main thread hands to worker threads. A job table names the kinds and gives
 * each its handler; request and result cross the thread boundary by structured clone, so they are plain
 * data. This file holds the worker's side and how errors travel; `pool.ts` holds the main thread's side.
 */
import { parentPort } from "node:worker_threads";
import { assert, BugError } from "../core/assert.ts";
import { AppError, type ErrorCode } from "../core/errors.ts";

/** Handlers by kind of job. */
// biome-ignore lint/suspicious/noExplicitAny: a table holds handlers of any request
export type JobTable = Readonly<Record<string, (request: any) => unknown>>;

export type Kind<Table extends JobTable> = keyof Table & string;
export type Request<Table extends JobTable, K extends Kind<Table>> = Parameters<Table[K]>[0];
export type Result<Table extends JobTable, K extends Kind<Table>> = Awaited<ReturnType<Table[K]>>;

/** What the pool sends to a worker. */
export interface JobMessage {
  readonly id: number;
  readonly kind: string;
  readonly request: unknown;
}

/** What a worker answers. */
export type JobReply =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: CarriedError };

/** An error as plain data. `app` is there when it was an `AppError`. */
export interface CarriedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly app?: {
    readonly code: ErrorCode;
    readonly context: Readonly<Record<string, string | number | bigint>>;
    readonly hint: string | undefined;
  };
}

/**
 * Answers the jobs of the pool that spawned this thread, with `table`, for as long as the thread lives.
 * While a handler waits, the next one begins: what they share is theirs only from one wait to the next.
 */
export function serveJobs(table: JobTable): void {
  const port = parentPort;
  assert(port !== null, "jobs are served in a worker thread only");
  port.on("message", (message: JobMessage) => {
    void answer(table, message).then((reply) => port.postMessage(reply));
  });
}

async function answer(table: JobTable, message: JobMessage): Promise<JobReply> {
  const { id } = message;
  try {
    return { id, ok: true, result: await handlerOf(table, message.kind)(message.request) };
  } catch (error) {
    return { id, ok: false, error: carryError(error) };
  }
}

/** The handler for `kind`; a kind that the table lacks is a bug. */
export function handlerOf(table: JobTable, kind: string): (request: unknown) => unknown {
  const handler = Object.hasOwn(table, kind) ? table[kind] : undefined;
  assert(handler !== undefined, `no handler for jobs of kind ${kind}`);
  return handler;
}

/** The inverse of `restoreError`. */
export function carryError(error: unknown): CarriedError {
  if (!(error instanceof Error)) {
    return { name: "Error", message: String(error), stack: "" };
  }
  const { name, message, stack = "" } = error;
  if (!(error instanceof AppError)) return { name, message, stack };
  const { code, context, hint } = error;
  return { name, message, stack, app: { code, context, hint } };
}

/** The error that a worker threw: an `AppError` as it was, anything else as the bug it is. */
export function restoreError(carried: CarriedError): Error {
  const { message, stack, app } = carried;
  if (app !== undefined) {
    const hint = app.hint === undefined ? {} : { hint: app.hint };
    const error = new AppError(app.code, message, { context: app.context, ...hint });
    error.stack = stack;
    return error;
  }
  const name = carried.name === "BugError" ? "" : `${carried.name}: `;
  const error = new BugError(`${name}${message}`);
  if (stack !== "") error.stack = stack;
  return error;
}
