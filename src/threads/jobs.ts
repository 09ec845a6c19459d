/**
 * Jobs: the work that the main thread hands to worker threads. A job table names the kinds and
 * gives each its handler; request and result cross the thread boundary by structured clone, so they
 * are plain data. This file holds the worker's side and how errors travel; `job_thread.ts` and
 * `job_pool.ts` hold the main thread's side.
 */
import { parentPort } from "node:worker_threads";
import { assert, BugError } from "../core/assert.ts";
import { AppError, type ErrorCode, systemError } from "../core/errors.ts";

/** Handlers by kind of job. */
// biome-ignore lint/suspicious/noExplicitAny: a table holds handlers of any request
export type JobTable = Readonly<Record<string, (request: any) => unknown>>;

export type Kind<Table extends JobTable> = keyof Table & string;
export type Request<Table extends JobTable, K extends Kind<Table>> = Parameters<Table[K]>[0];
export type Result<Table extends JobTable, K extends Kind<Table>> = Unmoved<
  Awaited<ReturnType<Table[K]>>
>;

const MOVED = Symbol("moved");

/** A handler's result, and the buffers in it that are handed over instead of copied. */
export interface Moved<Value> {
  readonly [MOVED]: readonly ArrayBuffer[];
  readonly value: Value;
}

type Unmoved<Value> = Value extends Moved<infer Inner> ? Inner : Value;

/** What a handler returns to give `buffers` away with its result; the thread loses them. */
export function moved<Value>(value: Value, buffers: readonly ArrayBuffer[]): Moved<Value> {
  return { [MOVED]: buffers, value };
}

function isMoved(result: unknown): result is Moved<unknown> {
  return typeof result === "object" && result !== null && MOVED in result;
}

/** The result of a handler as its submitter gets it. */
export function unmoved(result: unknown): unknown {
  return isMoved(result) ? result.value : result;
}

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

/** What a worker sends beside its answers: a line for people. */
export interface JobNote {
  readonly note: string;
}

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
 * Answers the jobs of the pool that spawned this thread, by `table`, for as long as the thread
 * lives. While one handler awaits something the next one begins, so a handler has what they share
 * for itself only from one await to the next.
 */
export function serveJobs(table: JobTable): void {
  const port = parentPort;
  assert(port !== null, "jobs are served in a worker thread only");
  port.on("message", (message: JobMessage) => {
    void answer(table, message).then(({ reply, buffers }) => port.postMessage(reply, buffers));
  });
}

/**
 * Called within a job: sends `note` to whoever began this thread, for the log. Outside a worker
 * thread nothing is sent.
 */
export function noteToOwner(note: string): void {
  parentPort?.postMessage({ note } satisfies JobNote);
}

async function answer(
  table: JobTable,
  { id, kind, request }: JobMessage,
): Promise<{ readonly reply: JobReply; readonly buffers: ArrayBuffer[] }> {
  try {
    const result = await handlerOf(table, kind)(request);
    const buffers = isMoved(result) ? [...result[MOVED]] : [];
    return { reply: { id, ok: true, result: unmoved(result) }, buffers };
  } catch (error) {
    return { reply: { id, ok: false, error: carryError(error) }, buffers: [] };
  }
}

/** The handler for `kind`; a kind that the table lacks is a bug. */
export function handlerOf(table: JobTable, kind: string): (request: unknown) => unknown {
  const handler = Object.hasOwn(table, kind) ? table[kind] : undefined;
  assert(handler !== undefined, `no handler for jobs of kind ${kind}`);
  return handler;
}

/** The inverse of `restoreError`. */
function carryError(error: unknown): CarriedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: "" };
  const { name, stack = "" } = error;
  const known = systemError(error);
  if (known === undefined) return { name, message: error.message, stack };
  const { code, message, context, hint } = known;
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
