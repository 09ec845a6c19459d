/** Formats values for people, in units that are easy to read. */
import { Help } from "commander";
import { plural } from "../core/counts.ts";

/** Columns of help: 80, or fewer where the terminal has fewer. */
export function helpColumns({ columns }: { readonly columns?: number }): number {
  return Math.min(columns || 80, 80);
}

/** `1536` as `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? plural(bytes, "byte") : `${value.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds as `850 ms`, `12.3 s` or `4 min 10 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** Unix seconds as RFC 3339 in UTC; a time that no calendar holds as a bare number. */
export function formatTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace(".000Z", "Z");
}

/** Text in lines of at most `width` columns, broken between words. */
export function wrap(text: string, width: number): string[] {
  const help = new Help();
  help.minWidthToWrap = 0;
  return help.boxWrap(text, width).split("\n");
}
