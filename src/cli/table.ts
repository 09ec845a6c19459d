/** Tables for people. On a terminal they fit its width; in a pipe nothing is cut or wrapped. */
import type { Output } from "./output.ts";
import { wrap } from "./text.ts";

export interface ColumnsOptions {
  /** Columns of the terminal; undefined where there is no limit. */
  readonly width?: number | undefined;
  /** A last cell that is too long is wrapped, where it would else be cut like the others. */
  readonly wrapsLast?: boolean;
}

const GAP = "  ";
/** No cell is cut or wrapped to fewer columns than this. */
const LEAST = 8;
/** Of a number, a time or a GUID a part says nothing: a column as wide as one is not cut. */
const WHOLE = /^[\d,.]+$|^\d{4}-\d\d-\d\dT[\d:.]+Z$|^([0-9a-f]{10}|[0-9a-f]{40})$/;

/** Prints rows below their heads; nothing where there are none. */
export function printTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { line, width }: Pick<Output, "line" | "width">,
): void {
  if (rows.length > 0) for (const text of columns([head, ...rows], { width })) line(text);
}

/**
 * Aligns rows in columns, each as wide as its widest cell. Where that is too wide, the widest
 * columns give way: their cells lose what is in their middle, or the last one is wrapped.
 */
export function columns(
  rows: readonly (readonly string[])[],
  { width = Number.POSITIVE_INFINITY, wrapsLast = false }: ColumnsOptions = {},
): string[] {
  const widths = widthsOf(rows);
  const room = width - GAP.length * (widths.length - 1);
  const caps = wrapsLast ? widths : capsOf(rows, { widths, room });
  const padded = (cell: string, at: number): string => {
    const cut = cutMiddle(cell, caps[at] ?? 0);
    return cut + " ".repeat(Math.max(0, (caps[at] ?? 0) - Bun.stringWidth(cut)));
  };
  const indent = widths.slice(0, -1).reduce((sum, one) => sum + one + GAP.length, 0);
  const below = `\n${" ".repeat(indent)}`;
  return rows.flatMap((row) => {
    const last = row.at(-1) ?? "";
    const isWrapped = wrapsLast && indent + Bun.stringWidth(last) > width;
    const shown = isWrapped ? wrap(last, Math.max(width - indent, LEAST)).join(below) : undefined;
    const cells = row.map((cell, at) => (at === row.length - 1 && shown) || padded(cell, at));
    return cells.join(GAP).trimEnd().split("\n");
  });
}

/** How wide a table is with nothing cut. */
export function widthOf(rows: readonly (readonly string[])[]): number {
  const widths = widthsOf(rows);
  return widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1));
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, Bun.stringWidth(cell));
    });
  }
  return widths;
}

/** How wide each column may be; numbers, times and GUIDs are whole unless it is too narrow. */
function capsOf(
  rows: readonly (readonly string[])[],
  { widths, room }: { readonly widths: readonly number[]; readonly room: number },
): readonly number[] {
  const isWhole = widths.map((most, at) =>
    rows.some(({ [at]: cell = "" }) => cell.length === most && WHOLE.test(cell)),
  );
  const left = widths.reduce((sum, one, at) => sum - (isWhole[at] ? one : 0), room);
  const others = widths.filter((_, at) => !isWhole[at]);
  const isTight = left < others.length * LEAST;
  const cap = isTight ? capOf(widths, room) : capOf(others, left);
  return widths.map((one, at) => (isWhole[at] && !isTight ? one : Math.min(one, cap)));
}

/** The width to which the widest columns are cut, so that all together fit into `room`. */
function capOf(widths: readonly number[], room: number): number {
  let left = room;
  let open = widths.length;
  for (const one of widths.toSorted((a, b) => a - b)) {
    if (one * open > left) return Math.max(Math.floor(left / open), LEAST);
    left -= one;
    open -= 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** `text` in `width` columns: what is at both ends tells names and GUIDs apart best. */
function cutMiddle(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  const chars = [...text];
  const start = fitting(chars, Math.ceil((width - 1) / 2));
  const end = fitting(chars.toReversed(), Math.floor((width - 1) / 2)).toReversed();
  return `${start.join("")}…${end.join("")}`;
}

/** The first of `chars` that fit into `width` columns. */
function fitting(chars: readonly string[], width: number): readonly string[] {
  let used = 0;
  const end = chars.findIndex((char) => {
    used += Bun.stringWidth(char);
    return used > width;
  });
  return end < 0 ? chars : chars.slice(0, end);
}
