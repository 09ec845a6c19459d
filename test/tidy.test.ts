/** The tree keeps its own rules: which room may import which, and what no file may hold. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");

/**
 * The house from the top to its foundation; imports point down this list only, and rooms on one
 * line never import each other. dlist lies below the other formats: cyrus.header, mailboxes.db and
 * the sync messages are written in it.
 */
const LINES = [
  ["cli"],
  ["server", "imap", "replicate", "fsck"],
  ["places"],
  ["accounts", "net"],
  ["mailbox", "storage"],
  ["formats"],
  ["formats/dlist"],
  ["model"],
  ["threads", "hash"],
  ["core"],
];

/** Rooms whose folders are rooms of their own, which never import each other either. */
const ROOMS_OF_ROOMS = ["places", "formats"];

/** Names that two files may share, with the reason: the same job in sibling rooms. */
const SHARED_NAMES: Readonly<Record<string, string>> = {
  "diff.ts": "a command, and what it calls",
  "store.ts": "a command, and what it calls",
};

/** `src/places/cyrus/x.ts` lies on the line of `places` and in the room `places/cyrus`. */
function roomOf(path: string): { line: number; room: string } {
  const [top = "", second = ""] = path.split("/").slice(1, -1);
  const room = ROOMS_OF_ROOMS.includes(top) && second !== "" ? `${top}/${second}` : top;
  const own = LINES.findIndex((rooms) => rooms.includes(room));
  return { line: own < 0 ? LINES.findIndex((rooms) => rooms.includes(top)) : own, room };
}

function sources(pattern = "src/**/*.ts"): string[] {
  return [...new Glob(pattern).scanSync({ cwd: root })].sort();
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map((match) => relative(root, join(root, dirname(path), match[1] ?? "")));
}

describe("the house", () => {
  test("imports point down the list of rooms, and never sideways on a line", () => {
    const wrong: string[] = [];
    for (const path of sources()) {
      const from = roomOf(path);
      if (from.room === "") continue; // main.ts and worker.ts see every room
      for (const target of importsOf(path)) {
        if (target === "package.json") continue;
        const to = roomOf(target);
        const sideways =
          from.line === to.line && from.room !== to.room && !ROOMS_OF_ROOMS.includes(to.room);
        if (to.line < from.line || sideways) wrong.push(`${path} -> ${target}`);
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

  test("only src/hash computes SHA-1, MD5 and CRC-32", () => {
    const wrong = sources().filter(
      (path) =>
        !path.startsWith("src/hash/") &&
        /createHash\("(sha1|md5)"\)|\bBun\.(SHA1|MD5|CryptoHasher|hash)\b/.test(
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

  test("every line of src and test is within 100 columns", () => {
    const wrong = sources("{src,test}/**/*.ts").flatMap((path) => {
      const lines = readFileSync(join(root, path), "utf8").split("\n");
      return lines.flatMap((line, at) => ([...line].length > 100 ? [`${path}:${at + 1}`] : []));
    });
    expect(wrong).toEqual([]);
  });

  test("no list is pushed as the arguments of a call, which fails at some hundred thousand", () => {
    const wrong = sources().filter(
      (path) =>
        path !== "src/core/lists.ts" &&
        /\.push\(\.\.\.|Math\.(max|min)\(\.\.\./.test(readFileSync(join(root, path), "utf8")),
    );
    expect(wrong).toEqual([]);
  });

  test("no two files of src have one name but those that say why", () => {
    const found = new Map<string, string[]>();
    for (const path of sources()) {
      found.set(basename(path), [...(found.get(basename(path)) ?? []), path]);
    }
    const twice = [...found].filter(([, paths]) => paths.length > 1).map(([name]) => name);
    expect(twice.sort()).toEqual(Object.keys(SHARED_NAMES));
  });

  test("the times by which the longest tests begin first are of files that are there", () => {
    const { files } = JSON.parse(readFileSync(join(root, "test/timings.json"), "utf8"));
    const wrong = Object.keys(files).filter((path) => !existsSync(join(root, path)));
    expect(wrong).toEqual([]);
  });

  test("no folder of src has more than 24 files", () => {
    const files = new Map<string, number>();
    for (const path of sources()) files.set(dirname(path), (files.get(dirname(path)) ?? 0) + 1);
    expect([...files].filter(([, count]) => count > 24)).toEqual([]);
  });

  test("no files of src import each other in a circle", () => {
    const circles = circlesOf(new Map(sources().map((path) => [path, importsOf(path)])));
    expect(circles).toEqual([]);
  });
});

/** The sets of files that all reach each other by imports, each as one line in order of names. */
function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const reached = new Map([...imports.keys()].map((path) => [path, reachedFrom(path, imports)]));
  const circles = [...reached].flatMap(([path, targets]) => {
    if (!targets.has(path)) return [];
    return [
      [...targets]
        .filter((target) => reached.get(target)?.has(path))
        .sort()
        .join(", "),
    ];
  });
  return [...new Set(circles)].sort();
}

/** Every file that `path` imports, or that one of these imports, and so on. */
function reachedFrom(path: string, imports: ReadonlyMap<string, readonly string[]>): Set<string> {
  const met = new Set<string>();
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const target of imports.get(next) ?? []) {
      if (met.has(target)) continue;
      met.add(target);
      waiting.push(target);
    }
  }
  return met;
}
