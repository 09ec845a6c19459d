/** The tree keeps its own rules: which room may import which, and what no file may hold. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");

/**
 * Lines from the top of the house to its foundation; imports point down this list only. dlist lies
 * below the other formats: cyrus.header, mailboxes.db and the sync messages are written in it.
 */
const LINES = [
  ...["cli", "replicate", "fsck", "server", "places", "formats", "formats/dlist"],
  ...["model", "hash", "core"],
];

/** `src/places/cyrus/x.ts` lies in the line `places` and in the room `places/cyrus`. */
function roomOf(path: string): { line: string; room: string } {
  const parts = path.split("/").slice(1, -1);
  const room = parts.slice(0, 2).join("/");
  return { line: LINES.includes(room) ? room : (parts[0] ?? ""), room };
}

function sources(): string[] {
  return [...new Glob("src/**/*.ts").scanSync({ cwd: root })].sort();
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map((match) => relative(root, join(root, dirname(path), match[1] ?? "")));
}

describe("the house", () => {
  test("imports point down the list of rooms, and never sideways between two rooms of a line", () => {
    const wrong: string[] = [];
    for (const path of sources()) {
      const from = roomOf(path);
      if (from.line === "") continue; // main.ts and worker.ts see every room
      for (const target of importsOf(path)) {
        if (target === "package.json") continue;
        const to = roomOf(target);
        const step = LINES.indexOf(to.line) - LINES.indexOf(from.line);
        const sideways = step === 0 && from.room !== to.room && to.room !== to.line;
        if (!LINES.includes(to.line) || step < 0 || sideways) wrong.push(`${path} -> ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("codecs and the model touch no file, clock or socket", () => {
    const wrong = sources().filter(
      (path) =>
        /^src\/(formats|model)\//.test(path) &&
        /node:(fs|net|tls|child_process|worker_threads|os)|\bBun\.|Date\.now|new Date\(\)/.test(
          readFileSync(join(root, path), "utf8"),
        ),
    );
    expect(wrong).toEqual([]);
  });

  test("only the command line reads arguments, prints and exits", () => {
    const wrong = sources().filter(
      (path) =>
        !/^src\/(cli\/|main\.ts)/.test(path) &&
        /process\.(argv|exit\b|stdout|stderr)/.test(readFileSync(join(root, path), "utf8")),
    );
    expect(wrong).toEqual([]);
  });

  test("files stay below 500 lines and have no empty catch and no barrel", () => {
    const wrong: string[] = [];
    for (const path of sources()) {
      const text = readFileSync(join(root, path), "utf8");
      if (text.split("\n").length > 500) wrong.push(`${path}: too long`);
      if (/catch\s*(\([^)]*\))?\s*\{\s*\}/.test(text)) wrong.push(`${path}: empty catch`);
      if (/(^|\/)(index|mod)\.ts$/.test(path) && !path.startsWith("src/formats/cyrus/")) {
        wrong.push(`${path}: barrel`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
