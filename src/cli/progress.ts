/** The moving bar on stderr: only on a terminal, with rate and time left. */
import { Presets, SingleBar } from "cli-progress";
import type { Output } from "./output.ts";
import { formatBytes } from "./text.ts";

export interface Progress {
  /** `done` of `total` units, and the bytes read so far. */
  update(done: number, total: number, bytes: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** A bar counting `unit`, or nothing where no terminal watches. */
export function startProgress(output: Output, unit: string): Progress {
  const wanted = output.progress && !output.quiet && process.stderr.isTTY === true;
  if (!wanted) return SILENT;
  const started = performance.now();
  const bar = new SingleBar(
    {
      format: `{bar} {percentage}%  {value}/{total} ${unit}  {rate}  {eta_formatted} left`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      barsize: 24,
      gracefulExit: false, // it would end the process with code 0
    },
    Presets.shades_classic,
  );
  bar.start(1, 0, { rate: "" });
  const restore = (signal: NodeJS.Signals) => {
    bar.stop();
    process.kill(process.pid, signal);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, restore);
  return {
    update: (done, total, bytes) => {
      const seconds = Math.max((performance.now() - started) / 1000, 0.001);
      bar.setTotal(Math.max(total, 1));
      bar.update(done, { rate: `${formatBytes(bytes / seconds)}/s` });
    },
    stop: () => {
      process.off("SIGINT", restore).off("SIGTERM", restore);
      bar.stop();
    },
  };
}
