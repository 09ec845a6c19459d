/** Lets signals and timers in during long work that waits for nothing. */
import { setImmediate } from "node:timers/promises";

const EVERY_MS = 50;

let lastMs = performance.now();

/** Gives way to what waits for the event loop, at most every 50 ms. */
export async function breathe(): Promise<void> {
  if (performance.now() - lastMs < EVERY_MS) return;
  await setImmediate();
  lastMs = performance.now();
}
