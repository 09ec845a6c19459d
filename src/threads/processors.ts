/** How busy the processors are, by what Linux counts in /proc/stat (proc_stat(5)). */
import { readFileSync } from "node:fs";
import { errnoOf } from "../core/errors.ts";

/** Clock ticks since the start of the machine, of all processors together. */
export interface ProcessorTimes {
  /** Spent with nothing to do, or with nothing but waiting for a disk. */
  readonly idle: number;
  readonly total: number;
}

/** Undefined where the system does not say. */
export function processorTimes(): ProcessorTimes | undefined {
  try {
    return parseProcessorTimes(readFileSync("/proc/stat", "latin1"));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal … */
export function parseProcessorTimes(text: string): ProcessorTimes | undefined {
  const line = text.match(/^cpu +([0-9 ]+)$/m)?.[1];
  const ticks = line?.trim().split(" ").map(Number).slice(0, 8) ?? [];
  const [, , , idle, iowait] = ticks;
  if (idle === undefined || iowait === undefined) return undefined;
  return { idle: idle + iowait, total: ticks.reduce((sum, count) => sum + count, 0) };
}

/** The part of the time since `before` that was idle, from 0 to 1; 1 where nobody knows. */
export function idleShareSince(before: ProcessorTimes | undefined): number {
  const now = processorTimes();
  if (before === undefined || now === undefined || now.total <= before.total) return 1;
  return (now.idle - before.idle) / (now.total - before.total);
}
