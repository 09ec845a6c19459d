import { describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { concat, utf8 } from "../../../../src/core/bytes.ts";
import { writeTwoskip } from "../../../../src/formats/cyrus/databases/twoskip_writer.ts";
import {
  readAllFacts,
  readMailboxFacts,
} from "../../../../src/places/cyrus/mailbox/mailbox_facts.ts";
import { mailboxPaths } from "../../../../src/places/cyrus/mailbox/mailbox_files.ts";
import { readDatabaseFile } from "../../../../src/places/cyrus/server/database_file.ts";
import { imapdConfOf } from "../../../../src/places/cyrus/server/imapd_conf.ts";
import { readServer } from "../../../../src/places/cyrus/server/server_reading.ts";
import { readUser } from "../../../../src/places/cyrus/server/user_files.ts";
import { serverAt, testServer } from "../../../support/cyrus_server.ts";
import { entriesOf, flipped } from "../../../support/databases.ts";
import { readOnlyFixture } from "../../../support/fixtures.ts";
import { tempDir } from "../../../support/temp_dir.ts";

function confIn(folder: string, settings: Readonly<Record<string, string>> = {}) {
  const fixed = { configdirectory: folder, "partition-default": `${folder}/spool` };
  return imapdConfOf("imapd.conf", new Map(Object.entries({ ...fixed, ...settings })));
}

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

describe("readDatabaseFile()", () => {
  const sound = writeTwoskip(entriesOf({ a: "1", b: "2" }));
  const damaged = flipped(sound, sound.length - 40);

  test("takes damage for what it is when a second reading finds the same", async () => {
    const path = join(tempDir("db"), "x.db");
    writeFileSync(path, damaged);
    const reading = await readDatabaseFile(path, { expected: "twoskip" });
    expect(reading).toMatchObject({ state: "read", stable: true });
    if (reading.state !== "read" || reading.database.kind !== "read") throw new Error("not read");
    expect(reading.database.problems).not.toEqual([]);
  });

  test("reads again what was being written", async () => {
    const path = join(tempDir("db"), "x.db");
    writeFileSync(path, damaged);
    const reading = readDatabaseFile(path, { expected: "twoskip" });
    setTimeout(() => {
      writeFileSync(`${path}.NEW`, sound);
      renameSync(`${path}.NEW`, path);
    }, 5);
    expect(await reading).toMatchObject({ stable: true, database: { problems: [] } });
  });

  test("says that it never stood still, after a while", async () => {
    const path = join(tempDir("db"), "x.db");
    writeFileSync(path, damaged);
    let at = 0;
    const timer = setInterval(() => {
      at += 1;
      writeFileSync(path, concat([damaged, utf8(`${at}`)]));
    }, 3);
    const reading = await readDatabaseFile(path, { expected: "twoskip" });
    clearInterval(timer);
    expect(reading).toMatchObject({ state: "read", stable: false });
  });

  test("follows no link and reads no folder", async () => {
    const folder = tempDir("db");
    writeFileSync(join(folder, "x.db"), sound);
    symlinkSync(join(folder, "x.db"), join(folder, "link.db"));
    for (const [name, state] of [
      ["link.db", "not_regular"],
      [".", "not_regular"],
      ["none.db", "missing"],
    ] as const) {
      expect(await readDatabaseFile(join(folder, name))).toMatchObject({ state });
    }
  });
});

describe("readServer()", () => {
  const quota = "%(S (5 100) M (2) AS (0) NF (1) MODSEQ 1)\n";

  test("finds the quota roots of all letters, and those of domains", async () => {
    const folder = tempDir("quota");
    for (const name of [
      "quota/f/user.fred",
      "quota/q/user.1",
      "quota/s/shared",
      "quota/f/user.x.NEW",
    ]) {
      put(join(folder, name), quota);
    }
    put(join(folder, "domain/e/ex.org/quota/a/user.ann"), quota);
    put(join(folder, "domain/e/ex.org/quota/root"), quota);
    put(join(folder, "quota/b/user.broken"), "lost");
    const plain = await readServer(confIn(folder));
    expect(plain.quotas.roots.map(({ root, fault }) => [root, fault !== undefined])).toEqual([
      ["shared", false],
      ["user.1", false],
      ["user.broken", true],
      ["user.fred", false],
    ]);
    const virtual = await readServer(confIn(folder, { virtdomains: "userid" }));
    expect(virtual.quotas.roots.map(({ root }) => root)).toEqual([
      ...["ex.org!", "ex.org!user.ann", "shared", "user.1", "user.broken", "user.fred"],
    ]);
  });

  test("reads quota roots from a database where one is configured", async () => {
    const folder = tempDir("quota");
    put(
      join(folder, "quotas.db"),
      writeTwoskip(entriesOf({ "user.fred": quota, "user.x": "lost" })),
    );
    const { quotas } = await readServer(confIn(folder, { quota_db: "twoskip" }));
    expect(quotas.roots.map(({ root, quota: read }) => [root, read?.resources.S.used])).toEqual([
      ["user.fred", 5n],
      ["user.x", undefined],
    ]);
    expect(quotas.file?.state).toBe("read");
  });

  test("reads a real server, with what its users have", async () => {
    const { conf } = serverAt(readOnlyFixture("cyrus-spools/uuid-paths-3.12"));
    const server = await readServer(conf);
    expect(server.mailboxes?.generation).toBe("keyed");
    expect(server.annotationsFile).toMatchObject({ state: "read", stable: true });
    expect(server.sharedCounters.state).toBe("read");
    const inbox = server.mailboxes?.names.find(({ name }) => name === "user.ann");
    if (inbox === undefined) throw new Error("no INBOX");
    const user = { userid: "ann", inbox: { ...inbox, legacy: inbox.type.legacy } };
    const { seen, subscriptions, counters, conversations } = await readUser(user, conf);
    const states = [seen, subscriptions, counters, conversations].map(({ state }) => state);
    expect(states).toEqual(["missing", "read", "read", "read"]);
    expect(seen.path).toEndWith("/conf/user/uuid/3/4/34ab8e35-a110-4f17-bcc9-0f6bf88bb7d7/seen.db");
  });

  test("reads a server without any files as empty", async () => {
    const server = await readServer(confIn(tempDir("empty")));
    expect(server).toMatchObject({
      mailboxes: undefined,
      mailboxesFile: { state: "missing" },
      quotas: { roots: [], file: undefined },
    });
  });

  test("refuses to guess from a mailboxes.db in which nothing can be read", async () => {
    const folder = tempDir("lost");
    put(join(folder, "mailboxes.db"), utf8("no database at all"));
    expect((await readServer(confIn(folder))).mailboxes).toBeUndefined();
  });
});

describe("readMailboxFacts()", () => {
  test("reads header and index, and keeps what has not changed", () => {
    const { conf, root } = testServer("uuid-paths-3.12");
    const [first, ...others] = readAllFacts(conf).mailboxes.filter(
      ({ header }) => header?.name === "user.ann",
    );
    expect(others).toEqual([]);
    expect(first).toMatchObject({ partition: "default", index: { minorVersion: 19, lastUid: 17 } });
    if (first === undefined) throw new Error("no folder");
    const paths = mailboxPaths({ data: join(root, "spool") }, first.folder);
    expect(readMailboxFacts("default", paths, first)).toBe(first);
    writeFileSync(paths.index, "short");
    const after = readMailboxFacts("default", paths, first);
    expect(after.index).toBeUndefined();
    expect(after.header).toEqual(first.header);
  });
});
