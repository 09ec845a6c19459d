/** What is written in the log of a server where it or its place has failed. */
import { BugError } from "../../core/assert.ts";
import { AppError } from "../../core/errors.ts";
import type { Log, LogFacts } from "../../core/log.ts";

/** Logs what an administrator can act on with its hint, and anything else, which is a bug, with its stack. */
export function logFailure(log: Log, error: unknown, facts: LogFacts = {}): void {
  if (error instanceof AppError) {
    log.write("error", error.message, { ...facts, ...error.context, hint: error.hint });
    return;
  }
  const kind =
    error instanceof BugError ? "a promise inside Bobbin was broken" : "unexpected error";
  const [text, stack] =
    error instanceof Error ? [error.message, error.stack] : [String(error), undefined];
  log.write("error", `${kind}: ${text}`, { ...facts, stack });
}
