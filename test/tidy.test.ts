/** The tree keeps its own rules: which room may import which, and what no file may hold. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
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

/** Imports that still point up, each to be gone when its room is done; nothing is added here. */
const NOT_YET = [
  "src/mailbox/index_image.ts -> src/places/store/commit/journal.ts",
  "src/mailbox/mailbox_image.ts -> src/places/store/commit/journal.ts",
  "src/mailbox/mailbox_image.ts -> src/places/store/layout.ts",
  "src/mailbox/mailbox_image.ts -> src/places/store/owner_folder.ts",
  "src/mailbox/mailbox_records.ts -> src/places/cyrus/snapshot.ts",
  "src/mailbox/mailbox_sums.ts -> src/places/cyrus/message_annotations.ts",
  "src/mailbox/message_table.ts -> src/fsck/mailbox/guid_set.ts",
  "src/net/listener.ts -> src/accounts/accounts.ts",
  "src/net/listener.ts -> src/accounts/sign_in_gate.ts",
  "src/net/listener.ts -> src/places/place.ts",
  "src/net/listener.ts -> src/server/byte_budget.ts",
  "src/net/listener.ts -> src/server/memory_watch.ts",
  "src/net/listener.ts -> src/server/server_settings.ts",
  "src/net/listener.ts -> src/server/session/session.ts",
];

/** `src/places/cyrus/x.ts` lies on the line of `places` and in the room `places/cyrus`. */
function roomOf(path: string): { line: number; room: string } {
  const [top = "", second = ""] = path.split("/").slice(1, -1);
  const room = ROOMS_OF_ROOMS.includes(top) && second !== "" ? `${top}/${second}` : top;
  const own = LINES.findIndex((rooms) => rooms.includes(room));
  return { line: own < 0 ? LINES.findIndex((rooms) => rooms.includes(top)) : own, room };
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
      if (from.room === "") continue; // main.ts and worker.ts see every room
      for (const target of importsOf(path)) {
        if (target === "package.json") continue;
        const to = roomOf(target);
        const sideways =
          from.line === to.line && from.room !== to.room && !ROOMS_OF_ROOMS.includes(to.room);
        if (to.line < from.line || sideways) wrong.push(`${path} -> ${target}`);
      }
    }
    expect(wrong).toEqual(NOT_YET);
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
});
