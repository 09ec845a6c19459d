/** A message of a store is one file with several names, in the pool and in mailboxes: read once. */
import { describe, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { utf8 } from "../../../src/core/bytes.ts";
import { tell } from "../../../src/fsck/finding.ts";
import { hashPool } from "../../../src/fsck/store/hash_pool.ts";
import { poolSweep } from "../../../src/fsck/store/pool_sweep.ts";
import { poolPath } from "../../../src/places/store/layout.ts";
import type { Store } from "../../../src/places/store/store.ts";
import { bobbin, bobbinPath, jsonLines } from "../../support/cli.ts";
import { fsckSpool, fsckStore } from "../../support/fsck.ts";
import { has } from "../../support/needs.ts";
import { newStore } from "../../support/new_store.ts";
import { apply, fill, guidOf, message, record, stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const NAMES = ["user.fred", "user.fred.A", "user.anne"];
const COUNT = 5;
const LOST = message(99);

/**
 * Messages in three mailboxes of two owners, two of which share theirs, and one that is in none.
 */
function filledStore(): { readonly root: string; readonly store: Store; readonly fred: string } {
  const { root, store } = newStore();
  for (const name of NAMES) fill(store, name, COUNT);
  const fred = join(root, "user/f/fred");
  putInPool(fred, guidOf(LOST), LOST);
  return { root, store, fred };
}

function putInPool(owner: string, guid: string, bytes: Uint8Array): void {
  const path = join(owner, poolPath(guid));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes, { mode: 0o600 });
}

/** How often each message file below `root` was opened, by its inode. */
function opensByInode(trace: string, root: string): Map<number, number> {
  const opens = new Map<number, number>();
  for (const [, path = ""] of trace.matchAll(/open(?:at)?\([^"]*"([^"]+)"/g)) {
    if (!path.startsWith(root) || !/(\/\d+\.|\/[0-9a-f]{40})$/.test(path)) continue;
    const { ino } = statSync(path);
    opens.set(ino, (opens.get(ino) ?? 0) + 1);
  }
  return opens;
}

describe("fsck of a store", () => {
  for (const jobs of [[], ["--jobs", "3"]]) {
    test.skipIf(!has("strace"))(`reads each file once: ${jobs.join(" ")}`, () => {
      const { root, store } = filledStore();
      store.close();
      const log = join(tempDir("trace"), "log");
      const strace = ["strace", "-f", "-qq", "-s", "500", "-e", "trace=open,openat", "-o", log];
      const run = Bun.spawnSync([...strace, bobbinPath(), "fsck", "--json", ...jobs, root]);
      const summary = jsonLines(run.stdout.toString()).at(-1);
      const opens = opensByInode(readFileSync(log, "latin1"), root);
      expect([run.exitCode, opens.size]).toEqual([0, 2 * COUNT + 1]);
      expect([...opens.values()].filter((count) => count !== 1)).toEqual([]);
      const bytes = Array.from({ length: COUNT }, (_, at) => message(at + 1).length);
      const each = bytes.reduce((sum, size) => sum + size, 0);
      expect(summary).toMatchObject({ messages: 3 * COUNT, messagesRead: 3 * COUNT });
      expect(summary?.["bytesRead"]).toBe(2 * each + LOST.length);
    });
  }

  test("tells of a damaged file under every name that it has", async () => {
    const { root, store, fred } = filledStore();
    store.close();
    const { guid } = record(2);
    const damaged = message(2);
    damaged[50] = 1 ^ (damaged[50] ?? 0);
    writeFileSync(join(fred, poolPath(guid)), damaged);
    writeFileSync(join(fred, poolPath(guidOf(LOST))), "x");
    const { exit, stdout } = await bobbin(["fsck", "--json", root]);
    const found = stdout
      .split("\n")
      .filter((line) => line.includes('"critical"'))
      .map((line) => JSON.parse(line) as { code: string; mailbox?: string; path: string })
      .map(({ code, mailbox, path }) => `${code} ${mailbox ?? path}`);
    expect(exit).toBe(1);
    expect(found.sort()).toEqual([
      "MS04 user/fred",
      "MS04 user/fred/A",
      ...[guid, guidOf(LOST)].map((one) => `ST05 user/f/fred/${poolPath(one)}`).sort(),
    ]);
  });
});

describe("hashPool()", () => {
  test("reports nothing that is right at the second look, or gone", async () => {
    const { store, fred } = filledStore();
    store.close();
    const guids = [1, 2, 3].map((uid) => record(uid).guid);
    const paths = guids.map((guid) => join(fred, poolPath(guid)));
    for (const path of paths) writeFileSync(path, "x");
    const device = statSync(fred).dev;
    const report = hashPool({ folder: fred, guids, engine: "auto", device });
    setTimeout(() => {
      writeFileSync(paths[0] ?? "", message(1));
      unlinkSync(paths[1] ?? "");
    }, 0);
    const { findings, known } = await report;
    expect(findings.map(tell)).toMatchObject([{ code: "ST05", expected: guids[2] }]);
    expect([...known.inodes].map((inode) => inode !== 0)).toEqual([true, false, false]);
  });
});

/** Messages with what fsck remarks upon in a header, and one with a header that has no end. */
const ODD = [
  "Subject: caf\xe9\r\n\r\nbody\r\n",
  "Subject: a\nTo: b\n\nbody\n",
  "Subject: a\r\n\r\nbo\0dy\r\n",
  "Subject: no end\r\n",
].map((text) => Buffer.from(text, "latin1"));

describe("poolSweep()", () => {
  test("lets mailboxes be checked with the very findings of reading their own files", async () => {
    const { root, store } = newStore();
    const records = ODD.map((bytes, at) =>
      record(at + 1, { size: bytes.length, guid: guidOf(bytes) }),
    );
    for (const name of NAMES) apply(store, { state: stateOf(name, records), records }, ODD);
    const copy = join(root, "user/f/fred", stateOf("user.fred.A", []).uniqueid, "2.");
    rmSync(copy); // a copy of its own, as where there are no hard links
    writeFileSync(copy, ODD[1] ?? utf8(""));
    const loose = join(root, "user/f/fred", stateOf("user.fred", []).uniqueid, "77.");
    linkSync(copy, loose);
    const { lookup } = poolSweep(store, "auto");
    const withPool = await fsckSpool(root, { lookup });
    expect(withPool).toEqual(await fsckSpool(root));
    expect(withPool.filter(({ code }) => code === "MS12").length).toBeGreaterThan(6);
    store.close();
  });

  test("finds what is wrong in the pool of an owner without mailboxes", async () => {
    const { root, store } = newStore();
    store.make({ kind: "user", userid: "zoe" });
    putInPool(join(root, "user/z/zoe"), record(1).guid, message(2));
    expect((await fsckStore(store)).map(({ code }) => code)).toEqual(["ST07", "ST05"]);
    store.close();
  });
});
