/** Progress of a command: a bar on a terminal, an object from time to time with `--json`. */
import { Presets, SingleBar } from "cli-progress";
import type { Line } from "../json/lines.ts";
import { isDumbTerminal, isUsual, type Output } from "../output.ts";
import { formatBytes, formatDuration } from "../text.ts";
import { watchPace } from "./pace.ts";

export interface Progress {
  /** `done` (a fraction may be) of `total` units, and the bytes so far, 0 if not counted. */
  update(done: number, total: number, bytes: number): void;
  stop(): void;
}

type ProgressLine = Extract<Line, { type: "progress" }>;

/** The time between two objects; a shorter run prints none. */
const OBJECT_MS = 10_000;

/** How far the command is, in words; undefined if it counts nothing. */
export function progressNow(): string | undefined {
  return now;
}

let now: string | undefined;

/** Starts the progress of a command that counts `unit`. */
export function startProgress(
  output: Output,
  unit: ProgressLine["unit"],
  { everyMs = OBJECT_MS }: { readonly everyMs?: number } = {},
): Progress {
  const isShown = output.progress;
  const shown = [
    ...(isShown && output.json ? [objects(output, { unit, everyMs })] : []),
    ...(isShown && isUsual(output.loudness) && isBarPossible() ? [bar(output, unit)] : []),
  ];
  return {
    update: (done, total, bytes) => {
      now = `${Math.floor(done)} of ${total} ${unit}, ${formatBytes(bytes)}`;
      for (const one of shown) one.update(done, total, bytes);
    },
    stop: () => {
      for (const one of shown) one.stop();
    },
  };
}

/**
 * One progress for `total` units that are done in parts, one after the other. The function that
 * is returned begins a part of about so many units, and gives what takes the progress of the part.
 */
export function inParts(progress: Progress, total: number): (units: number) => Progress["update"] {
  let ahead = total;
  const before = { done: 0, total: 0, bytes: 0 };
  let part = { done: 0, total: 0, bytes: 0 };
  return (units) => {
    ahead -= units;
    before.done += part.done;
    before.total += part.total;
    before.bytes += part.bytes;
    part = { done: 0, total: units, bytes: 0 };
    return (done, total, bytes) => {
      part = { done, total, bytes };
      progress.update(before.done + done, before.total + total + ahead, before.bytes + bytes);
    };
  };
}

function isBarPossible(): boolean {
  return process.stderr.isTTY === true && !isDumbTerminal();
}

interface ObjectsOptions {
  readonly unit: ProgressLine["unit"];
  readonly everyMs: number;
}

function objects(output: Output, { unit, everyMs }: ObjectsOptions): Progress {
  let last: Omit<ProgressLine, "type" | "unit"> | undefined;
  const timer = setInterval(() => {
    if (last === undefined) return;
    output.object({ type: "progress", unit, ...last });
    output.flush();
  }, everyMs);
  return {
    update: (done, total, bytes) => {
      const percent = Math.floor((done / Math.max(total, 1)) * 1000) / 10;
      last = { done: Math.floor(done), total, percent, bytes };
    },
    stop: () => clearInterval(timer),
  };
}

/** A bar that is removed before a message is printed and drawn again at the next update. */
function bar(output: Output, unit: string): Progress {
  const startedMs = performance.now();
  const pace = watchPace();
  const line = new SingleBar(
    {
      format: `{bar} {percentage}%  {done}/{total} ${unit}{rate}{left}`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      gracefulExit: false, // a graceful exit ends the process with code 0
    },
    Presets.shades_classic,
  );
  const hide = () => {
    if (line.isActive) line.stop();
  };
  const restore = (signal: NodeJS.Signals) => {
    hide();
    // A command that has taken the signal ends by itself.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, restore);
  const update: Progress["update"] = (done, total, bytes) => {
    const ms = Math.max(performance.now() - startedMs, 1);
    const leftMs = pace.left(ms, done, total);
    const facts = {
      done: Math.floor(done),
      rate: bytes === 0 ? "" : `  ${formatBytes(Math.round((bytes * 1000) / ms))}/s`,
      left: leftMs === undefined ? "" : `  ${formatDuration(leftMs)} left`,
    };
    if (!line.isActive) line.start(Math.max(total, 1), done, facts);
    line.setTotal(Math.max(total, 1));
    line.update(done, facts);
  };
  output.overlay(hide);
  update(0, 1, 0);
  return {
    update,
    stop: () => {
      process.off("SIGINT", restore).off("SIGTERM", restore);
      output.overlay(undefined);
      hide();
    },
  };
}
