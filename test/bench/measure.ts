/** Running programs against each other: interleaved rounds, medians, ratios, a table. */

import { readFileSync } from "node:fs";
import { errnoOf } from "../../src/core/errors.ts";

/** A program to be timed. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** A file that the program reads from its standard input. */
  readonly stdin?: string;
  /** Done before each timed run, outside of the time. */
  readonly before?: () => void;
}

/** One run. Times are of the process with all its children, peak RSS is its own. */
export interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}

const RSS_EVERY_MS = 10;

export interface Row {
  readonly name: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly peakRssBytes: number;
  /** How many times as long as the reference it took: the median over rounds. */
  readonly timesReference: number;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Runs a program once; throws with what it said when its exit code is not 0. */
export async function runOnce(contender: Contender): Promise<Run> {
  contender.before?.();
  const started = performance.now();
  const child = Bun.spawn({
    cmd: [...contender.command],
    stdin: contender.stdin === undefined ? "ignore" : Bun.file(contender.stdin),
    stdout: "ignore",
    stderr: "pipe",
  });
  let peakRssBytes = 0;
  const watch = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, peakRssOf(child.pid));
  }, RSS_EVERY_MS);
  const exitCode = await child.exited;
  const wallMs = performance.now() - started;
  clearInterval(watch);
  if (exitCode !== 0) {
    const said = (await child.stderr.text()).slice(-2000);
    throw new Error(`${contender.name} ended with ${exitCode}:\n${said}`);
  }
  const cpuMs = Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1000;
  return { wallMs, cpuMs, peakRssBytes };
}

/**
 * The most memory that a process has had so far; 0 when it is gone. What the system says after its
 * end is of no use: there a child begins with the peak of the process that spawned it.
 */
function peakRssOf(pid: number): number {
  try {
    const found = readFileSync(`/proc/${pid}/status`, "latin1").match(/^VmHWM:\s*(\d+) kB/m);
    return Number(found?.[1] ?? 0) * 1024;
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) return 0;
    throw error;
  }
}

export interface InterleaveOptions {
  readonly rounds: number;
  /** Milliseconds to wait before each run, so that a busy machine gets its turn. */
  readonly pauseMs: number;
}

/**
 * Runs every contender once a round, starting each round with another one, so that noise and what
 * one leaves to the next hit all alike. The first contender is the reference.
 */
export async function interleave(
  contenders: readonly Contender[],
  { rounds, pauseMs }: InterleaveOptions,
): Promise<readonly Row[]> {
  const runs = contenders.map((): Run[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const which = (round + turn) % contenders.length;
      const contender = contenders[which];
      if (contender === undefined) continue;
      await Bun.sleep(pauseMs);
      runs[which]?.push(await runOnce(contender));
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
  const reference = runs[0] ?? [];
  return contenders.map((contender, which) => rowOf(contender.name, runs[which] ?? [], reference));
}

function rowOf(name: string, runs: readonly Run[], reference: readonly Run[]): Row {
  const ratios = runs.map((run, round) => run.wallMs / (reference[round]?.wallMs ?? Number.NaN));
  return {
    name,
    wallMs: spreadOf(runs.map((run) => run.wallMs)),
    cpuMs: spreadOf(runs.map((run) => run.cpuMs)),
    peakRssBytes: Math.max(...runs.map((run) => run.peakRssBytes)),
    timesReference: spreadOf(ratios).median,
  };
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return {
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Rows as a Markdown table; with `bytes`, the rate at which those were worked through. */
export function tableOf(rows: readonly Row[], options: { readonly bytes?: number } = {}): string {
  const head = ["program", "median ms", "min–max", "CPU ms", "peak RSS MB"];
  const { bytes } = options;
  if (bytes !== undefined) head.push("MB/s");
  head.push(`times ${rows[0]?.name ?? ""}`);
  const lines = rows.map((row) => {
    const { median, min, max } = row.wallMs;
    const cells = [
      row.name,
      milliseconds(median),
      `${milliseconds(min)}–${milliseconds(max)}`,
      milliseconds(row.cpuMs.median),
      row.peakRssBytes === 0 ? "" : (row.peakRssBytes / 1e6).toFixed(0),
    ];
    if (bytes !== undefined) cells.push((bytes / 1000 / median).toFixed(0));
    return [...cells, row.timesReference.toFixed(2)];
  });
  const all = [head, head.map((_, column) => (column === 0 ? "---" : "--:")), ...lines];
  return all.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function milliseconds(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}
