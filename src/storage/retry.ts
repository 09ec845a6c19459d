/** Waiting for a lock of another process, outside of a transaction, for a limited time. */
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../core/errors.ts";

/**
 * A writer that comes right back leaves the lock free for a millisecond between two commits, so
 * whoever waits must look often, and at moments that do not keep step with it.
 */
const DELAY_MS_MAX = 15;
const PATIENCE_MS = 20_000;

/** Runs `work`, again while it is busy; after 20 seconds busy is what the caller gets. */
export async function whileBusy<T>(work: () => T | Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isBusy = error instanceof AppError && error.code === "busy";
      if (!isBusy || performance.now() > deadline) throw error;
    }
    await sleep(1 + Math.random() * DELAY_MS_MAX);
  }
}
