/**
 * What was not looked at is never called sound, and what is absent because nobody could look is
 * never deleted: mail in archives, links, closed folders, databases of an unknown format.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";
import { newStore } from "../support/new_store.ts";
import { serveBinary } from "../support/served_binary.ts";
import { fill, guidOf, message } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";

/** Unpacks a server whose files belong to whoever runs the tests. */
function server(name: string): { readonly folder: string; readonly conf: string } {
  const folder = unpackFixture(`cyrus-spools/${name}`);
  const conf = join(folder, "imapd.conf");
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", folder));
  return { folder, conf };
}

const RECURSIVE = { recursive: true };

interface Run {
  readonly exit: number;
  readonly summary: Record<string, unknown>;
  /** `MS04 1 /archive/a/user/ann/1.`: code, UID and the path below the server. */
  readonly damage: readonly string[];
  readonly text: string;
}

async function run(folder: string, ...args: readonly string[]): Promise<Run> {
  const { exit, stdout } = await bobbin(["--json", ...args]);
  const lines = jsonLines(stdout);
  const damage = lines
    .filter(({ type, severity }) => type === "finding" && severity !== "info")
    .map(({ code, uid, path }) => [code, uid, String(path).replace(folder, "")].join(" "));
  return { exit, summary: lines.at(-1) ?? {}, damage, text: stdout };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("a mailbox whose messages are all in the archive", () => {
  const ways = {
    "by imapd.conf": ({ conf }: { conf: string }) => [conf],
    "by its folders": ({ folder }: { folder: string }) => [
      join(folder, "spool"),
      ...["--archive-partition", join(folder, "archive")],
      ...["--meta-partition", join(folder, "meta")],
    ],
  };
  for (const [way, argsOf] of Object.entries(ways)) {
    test(`is read ${way}, with or without a folder in the spool`, async () => {
      for (const hasFolder of [false, true]) {
        const one = server("all-archived");
        if (hasFolder) mkdirSync(join(one.folder, "spool/a/user/ann"), { mode: 0o700 });
        const sound = await run(one.folder, "fsck", ...argsOf(one));
        expect(sound).toMatchObject({ exit: 0, damage: [] });
        const counts = { messages: 3, messagesRead: 3, messagesLeft: 0, unreadable: 0 };
        expect(sound.summary).toMatchObject(counts);
        const archive = join(one.folder, "archive/a/user/ann");
        flip(join(archive, "1."), 12);
        rmSync(join(archive, "2."));
        writeFileSync(join(archive, "3."), "cut");
        writeFileSync(join(archive, "cyrus.cache"), "");
        const { exit, damage, summary } = await run(one.folder, "fsck", ...argsOf(one));
        expect(exit).toBe(1);
        expect([...damage].sort()).toEqual([
          "CA01 1 /archive/a/user/ann/cyrus.cache",
          "CA01 2 /archive/a/user/ann/cyrus.cache",
          "CA01 3 /archive/a/user/ann/cyrus.cache",
          "MS01 2 /archive/a/user/ann/2.",
          "MS03 3 /archive/a/user/ann/3.",
          "MS04 1 /archive/a/user/ann/1.",
          "MS04 3 /archive/a/user/ann/3.",
        ]);
        expect(summary).toMatchObject({ messagesRead: 2, messagesLeft: 1 });
      }
    });
  }
});

describe("databases of a format that is not read", () => {
  test("are named, and nothing is called sound", async () => {
    const { folder, conf } = server("twom");
    for (const args of [[], ["--user", "ann"], ["--min-severity", "critical"]]) {
      const { exit, stdout } = await bobbin(["fsck", conf, ...args]);
      expect({ args, exit }).toEqual({ args, exit: 2 });
      expect(stdout).toContain("could not be looked at");
      expect(stdout).not.toContain("nothing wrong");
    }
    expect((await run(folder, "fsck", conf)).text).toContain("twom");
  });
});

describe("an owner of a store", () => {
  test("whose folder is gone is named by all who read it, and made anew by a replica", async () => {
    const { root, store } = newStore();
    const target = newStore();
    target.store.close();
    for (const name of ["user.ann", "user.ann.A", "user.bob", "lists"]) fill(store, name, 1);
    store.close();
    const whole = `${root}.whole`;
    cpSync(root, whole, { recursive: true });
    for (const folder of ["user/a/ann", "shared/l/lists"]) rmSync(join(root, folder), RECURSIVE);
    const bring = ["replicate", "--all", "--from", root, "--to", target.root];
    const both = ["user/a/ann", "shared/l/lists"];
    const looks: readonly (readonly [readonly string[], number, readonly string[]])[] = [
      [["ls", root], 2, both],
      [["ls", root, "ann"], 65, ["user/a/ann"]],
      [["store", "info", root], 2, both],
      [[...bring, "-n"], 2, both],
      [bring, 2, both],
      [["diff", root, whole], 2, both],
      [["replicate", "ann", "--mirror", "--allow-delete", "100", ...bring.slice(2)], 65, []],
      [["fsck", root], 1, both],
    ];
    for (const [args, code, named] of looks) {
      const { exit, stdout, stderr } = await bobbin(args);
      expect({ args, exit }).toEqual({ args, exit: code });
      for (const folder of named) expect(stdout + stderr).toContain(folder);
    }
    const again = ["replicate", "ann", "--from", whole, "--to", root];
    expect((await bobbin([...again, "-n"])).exit).toBe(0);
    expect((await bobbin(again)).exit).toBe(0);
    const mended = await bobbin(["store", "reconstruct", root]);
    expect([mended.exit, mended.stdout]).toEqual([
      1,
      expect.stringMatching(/lists \(shared\).* 1 of/),
    ]);
    expect((await bobbin(["ls", root])).exit).toBe(0);
  });

  test("who is lost behind a server is never taken for deleted, and heals", async () => {
    const socket = join(tempDir("backups"), "socket");
    const served = await serveBinary({ args: ["--backup-listen", socket] });
    const { root, store } = newStore();
    for (const name of ["user.ann", "user.ann.A", "user.bob", "lists"]) fill(store, name, 1);
    store.close();
    const env = { BOBBIN_PASSWORD: "labpass" };
    const to = `sync://admin@127.0.0.1:${served.port}`;
    const run = (...args: readonly string[]) => bobbin(args, { env });
    expect((await run("replicate", "--all", "--from", root, "--to", to)).exit).toBe(0);
    const lose = () => {
      for (const folder of ["user/a/ann", "shared/l/lists"])
        rmSync(join(served.store, folder), RECURSIVE);
    };
    lose();
    const archives = tempDir("archives");
    const pull = ["--mirror", "--allow-delete", "100", "--from", to, "--to", root];
    const looks: readonly (readonly [readonly string[], number])[] = [
      [["ls", to], 2],
      [["diff", root, to], 2],
      [["replicate", "--all", ...pull, "-n"], 2],
      [["replicate", "--all", ...pull], 2],
      [["backup", "run", "--all", "--from", to, "--to", archives], 2],
      [["ls", `backupcyrus:${socket}`], 2],
    ];
    for (const [args, code] of looks) {
      const { exit, stdout, stderr } = await run(...args);
      expect({ args, exit, said: stdout + stderr }).toMatchObject({ args, exit: code });
      for (const owner of args[0] === "ls" ? ["ann"] : ["ann", "lists"])
        expect(stdout + stderr).toContain(owner);
    }
    expect((await run("replicate", "ann", ...pull)).exit).toBe(65);
    expect(served.log()).toMatch(/ann.*folder is gone, and the registry has 2 of its mailboxes/);
    const push = ["replicate", "--all", "--from", root, "--to", to];
    expect((await run(...push, "-n")).exit).toBe(0);
    expect((await run(...push)).exit).toBe(0);
    expect((await run("diff", root, to)).exit).toBe(0);
    served.child.kill();
    await served.child.exited;
  });

  test("whose catalogue is damaged keeps nobody else from being listed", async () => {
    const { root, store } = newStore();
    for (const name of ["user.ann", "user.bob"]) fill(store, name, 1);
    store.close();
    writeFileSync(join(root, "user/a/ann/.catalogue.sqlite"), "");
    const { exit, stdout, stderr } = await bobbin(["ls", root]);
    expect([exit, stdout]).toEqual([2, expect.stringMatching(/^bob +1 /m)]);
    expect(stderr).toContain("user/a/ann");
    const found = await bobbin(["cat", root, guidOf(message(1))]);
    expect([found.exit, found.stdout]).toEqual([0, Buffer.from(message(1)).toString()]);
  });
});

describe.if(has("root"))("what may not be read", () => {
  test("is refused by one rule, with the user who may, and keeps nothing else", async () => {
    const { root, store } = newStore();
    for (const name of ["user.ann", "user.bob"]) fill(store, name, 1);
    store.close();
    const folder = dirname(root);
    Bun.spawnSync(["chmod", "-R", "a+rX", folder]);
    chmodSync(join(root, "user/a/ann"), 0o700);
    const closed = join(folder, "closed");
    writeFileSync(closed, "x", { mode: 0o600 });
    const looks: readonly (readonly [readonly string[], number])[] = [
      [["ls", root], 2],
      [["ls", root, "ann"], 77],
      [["diff", root, root], 2],
      [["store", "info", root], 2],
      [["fsck", root], 2],
      [["ls", `dump:${closed}`], 77],
      [["dlist", closed], 77],
      [["ls", root, "--users-from", closed], 77],
      [["ls", "sync://a@127.0.0.1:1", "--ca", closed], 77],
      [["passwd", "--list", "--users-file", closed], 77],
    ];
    for (const [args, code] of looks) {
      const { exit, stdout, stderr } = await bobbin(args, { uid: 65534 });
      expect({ args, exit }).toEqual({ args, exit: code });
      const said = stdout + stderr;
      if (args[0] !== "fsck") expect(said).toMatch(/as the user who owns it.*belongs to root/);
      expect(said).toContain("EACCES");
    }
  });
});

describe.if(has("root"))("a folder whose names may be listed, and nothing in it opened", () => {
  test("is a finding of its mailbox, and no partition that is missing", async () => {
    const { folder, conf } = server("legacy-paths");
    Bun.spawnSync(["chmod", "-R", "a+rX", dirname(folder)]);
    chmodSync(join(folder, USER), 0o744);
    for (const place of [conf, join(folder, "spool")]) {
      const { exit, stdout, stderr } = await bobbin(["fsck", place], { uid: 65534 });
      expect({ place, exit, stderr }).toMatchObject({ place, exit: 2 });
      expect(stdout).toMatch(/PM01 +folder cannot be read: EACCES .*\/b\/user\/bob$/m);
      expect(stdout).toContain("53 mailboxes, 205 messages");
    }
    const archive = ["--archive-partition", join(folder, USER, "Drafts")];
    const closed = await bobbin(["fsck", join(folder, "spool"), ...archive], { uid: 65534 });
    expect([closed.exit, closed.stderr]).toEqual([77, expect.stringContaining("EACCES")]);
  });
});

const USER = "spool/b/user/bob";

describe("folders that are links", () => {
  test("are checked behind the link, and named once they lead nowhere", async () => {
    for (const link of [USER, "spool/b", "spool"]) {
      const { folder, conf } = server("legacy-paths");
      const disk = join(tempDir("disk"), "moved");
      const places = [conf, join(folder, "spool")];
      const before = await Promise.all(places.map((place) => run(folder, "fsck", place)));
      Bun.spawnSync(["mv", join(folder, link), disk]);
      symlinkSync(disk, join(folder, link));
      for (const [at, place] of places.entries()) {
        const { exit, summary } = await run(folder, "fsck", place);
        const { messagesRead, messages, mailboxes } = before[at]?.summary ?? {};
        expect({ link, exit, ...summary }).toMatchObject({
          ...{ link, exit: 0, messagesRead, messages, mailboxes },
        });
      }
      renameSync(disk, `${disk}.not-mounted`);
      const { exit, damage } = await run(folder, "fsck", conf);
      expect({ link, exit, damage }).toEqual({ link, exit: 2, damage: [`PM01  /${link}`] });
    }
  });

  test("are never taken for deleted by a mirror", async () => {
    const { folder } = server("legacy-paths");
    const spool = join(folder, "spool");
    const store = join(tempDir("store"), "s");
    await bobbin(["store", "init", store]);
    const copy = ["replicate", "--from", spool, "--to", store] as const;
    for (const user of ["ann", "bob"]) expect((await bobbin([...copy, user])).exit).toBe(0);
    const held = async () => {
      const { stdout } = await bobbin(["--json", "ls", store]);
      return jsonLines(stdout).map(({ user, mailboxes, messages }) => [user, mailboxes, messages]);
    };
    const before = await held();
    for (const link of ["a/user/ann/Drafts", USER.slice("spool/".length), "b", "b/user"]) {
      const path = join(spool, link);
      renameSync(path, `${folder}/aside`);
      symlinkSync("/no/such/disk", path);
      for (const user of ["ann", "bob"]) {
        const mirror = [...copy, user, "--mirror", "--allow-delete", "100"];
        const { exit, stderr } = await bobbin(mirror);
        const isConcerned = !link.startsWith(`${user === "ann" ? "b/user/bob" : "a"}`);
        expect({ link, user, exit }).toEqual({ link, user, exit: isConcerned ? 2 : 0 });
        if (isConcerned) expect(stderr).toContain(path);
      }
      rmSync(path);
      renameSync(`${folder}/aside`, path);
      expect(existsSync(path)).toBe(true);
      expect(await held()).toEqual(before);
    }
  });
});

describe("what stands in the place of a mailbox's folder", () => {
  const STAND_INS: readonly (readonly [string, (path: string) => unknown])[] = [
    ["b/user/bob/Old", (path) => writeFileSync(path, "")],
    ["b/user/bob", (path) => Bun.spawnSync(["mkfifo", path])],
    ["b/user", (path) => writeFileSync(path, "")],
    ["b", (path) => symlinkSync("/etc/passwd", path)],
  ];

  test("is named by every command, and a mirror deletes nothing for it", async () => {
    const { folder, conf } = server("legacy-paths");
    const spool = join(folder, "spool");
    const store = join(tempDir("store"), "s");
    await bobbin(["store", "init", store]);
    cpSync(join(spool, "a/user/ann/Drafts"), join(spool, "b/user/bob/Old"), RECURSIVE);
    const copy = ["replicate", "bob", "--from", spool, "--to", store] as const;
    expect((await bobbin(copy)).exit).toBe(0);
    const held = async () => (await bobbin(["ls", store, "bob"])).stdout;
    const before = await held();
    for (const [path, make] of STAND_INS) {
      const at = join(spool, path);
      renameSync(at, `${folder}/aside`);
      make(at);
      const looks: readonly (readonly [readonly string[], readonly number[]])[] = [
        [
          ["fsck", spool],
          [1, 2],
        ],
        [
          ["ls", spool, "bob"],
          [1, 2],
        ],
        [["diff", spool, store, "bob"], [2]],
        [[...copy, "--mirror", "--allow-delete", "100"], [2]],
      ];
      for (const [args, codes] of looks) {
        const { exit, stdout, stderr } = await bobbin(args);
        expect([path, args, codes.includes(exit), exit]).toEqual([path, args, true, exit]);
        expect(stdout + stderr).toContain(at);
      }
      if (path !== "b/user/bob/Old") expect((await bobbin(["ls", conf, "bob"])).exit).not.toBe(0);
      expect(await held()).toBe(before);
      rmSync(at);
      renameSync(`${folder}/aside`, at);
    }
  });
});

describe("a folder of settings that is none", () => {
  const OBSTACLES: readonly (readonly [string, string, (path: string) => unknown])[] = [
    ["conf/sieve", "bob", (path) => writeFileSync(path, "")],
    ["conf/user", "bob", (path) => symlinkSync("/no/such/disk", path)],
    ["conf/quota", "ann", (path) => writeFileSync(path, "")],
  ];

  test("stops no mail, is named once, and keeps what B has of it", async () => {
    for (const [path, user, make] of OBSTACLES) {
      const { folder, conf } = server("legacy-paths");
      const store = join(tempDir("store"), "s");
      await bobbin(["store", "init", store]);
      const at = join(folder, path);
      rmSync(at, { recursive: true, force: true });
      make(at);
      const bring = ["replicate", user, "--mirror", "--from", conf, "--to", store];
      const { exit, stderr } = await bobbin(bring);
      expect({ path, exit, told: stderr.split(at).length - 1 }).toEqual({ path, exit: 2, told: 1 });
      expect((await bobbin(["ls", store, user])).exit).toBe(0);
      const checked = await bobbin(["--json", "fsck", conf]);
      expect({ path, exit: checked.exit }).toEqual({ path, exit: 2 });
      expect(checked.stdout).toContain(at);
    }
  });

  test("a quota root of a format that is not read was not looked at", async () => {
    const { folder, conf } = server("legacy-paths");
    const root = join(folder, "conf/quota/a/user.ann");
    mkdirSync(dirname(root), RECURSIVE);
    writeFileSync(root, Buffer.from("\xa1\x02\x8b\x0dtwomfile\0\0\0\0", "latin1"));
    const { exit, stdout } = await bobbin(["fsck", conf]);
    expect({ exit, stdout }).toEqual({
      exit: 2,
      stdout: expect.stringMatching(/quota root.*twom/),
    });
  });
});
