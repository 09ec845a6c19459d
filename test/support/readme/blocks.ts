/** The README as a reader takes it: what to type, what is shown, tables, words in backticks. */

export interface Block {
  /** What stands behind the opening fence; "" for a drawing. */
  readonly language: string;
  readonly text: string;
  /** The line of the README on which the block begins, from 1. */
  readonly line: number;
  /** What is said between the block before and this one. */
  readonly before: string;
}

const FENCE = "```";

/** The fenced blocks. Throws where one does not end. */
export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let before: string[] = [];
  let open: { language: string; lines: string[]; line: number } | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (open === undefined && line.startsWith(FENCE)) {
      open = { language: line.slice(FENCE.length).trim(), lines: [], line: index + 1 };
    } else if (open === undefined) {
      before.push(line);
    } else if (line === FENCE) {
      const { language, lines, line: start } = open;
      blocks.push({ language, text: lines.join("\n"), line: start, before: before.join("\n") });
      before = [];
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} does not end`);
  return blocks;
}

/** What stands in backticks in the text, outside of the blocks. */
export function spansOf(markdown: string): readonly string[] {
  const text = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span.replaceAll("\\|", "|"));
}

/** The rows of the table with this head, as they stand there; none if there is no such table. */
export function tableOf(markdown: string, head: string): readonly string[] {
  const [, below = ""] = markdown.split(`\n${head}\n`);
  const [, ...rows] = below.split("\n");
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows.slice(0, end < 0 ? rows.length : end);
}

/** The heads of all tables whose first column is headed by `first`. */
export function headsOf(markdown: string, first: RegExp): readonly string[] {
  const lines = markdown.split("\n");
  const heads = lines.filter((line, at) => /^\|[ :-]+\|/.test(lines[at + 1] ?? "") && line !== "");
  return heads.filter((head) => first.test(head.split("|")[1]?.trim() ?? ""));
}
