/** Waiting for a lock that another process holds: outside of every transaction, and not for ever. */
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../core/errors.ts";

/** Milliseconds between attempts; about 5 s in all. */
const DELAYS_MS = [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000];

/** Runs `work`, again while it is busy; after the last attempt busy is what the caller gets. */
export async function whileBusy<T>(work: () => T): Promise<T> {
  for (const delay of DELAYS_MS) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "busy") throw error;
    }
    await sleep(delay);
  }
  return work();
}
