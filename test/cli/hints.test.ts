/** Slips that every administrator makes once: the error says what helps. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { bobbin, bobbinPath, type CliOptions } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { tempDir } from "../support/temp_dir.ts";
import { TEST_TLS } from "../support/tls_identity.ts";

const NOBODY = 65534;
const folder = tempDir("hints");
const env = { BOBBIN_PASSWORD: "labpass" };
const root = unpackFixture("cyrus-spools/legacy-paths");
const conf = join(root, "imapd.conf");
const store = join(folder, "store");
let server: TestServer;

beforeAll(async () => {
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", root));
  await bobbin(["store", "init", store]);
  server = await testServer({ tls: TEST_TLS });
});
afterAll(() => server.stop());

interface Slip {
  readonly args: () => readonly string[];
  readonly exit: number;
  /** What must be said. */
  readonly says: string | (() => string);
  readonly options?: CliOptions;
}

const at = (scheme: string, user = "admin") => `${scheme}://${user}@127.0.0.1:${server.port}`;

const SLIPS: Readonly<Record<string, Slip>> = {
  "a store that is not there": {
    args: () => ["replicate", "ann", "--from", conf, "--to", `store:${folder}/none`],
    exit: 66,
    says: `store init ${folder}/none`,
  },
  "a file as a store": { args: () => ["ls", `store:${conf}`], exit: 66, says: `cyrus:${conf}` },
  "shared mailboxes without --shared": {
    args: () => ["replicate", "shared", "--from", conf, "--to", store],
    exit: 66,
    says: "add --shared",
  },
  "a user with --shared": {
    args: () => ["ls", conf, "ann", "--shared"],
    exit: 66,
    says: "leave out --shared",
  },
  "a mailbox for a user": {
    args: () => ["ls", conf, "user/ann/Sent"],
    exit: 66,
    says: "ann Sent",
  },
  "user/ann for a user": { args: () => ["ls", conf, "user/ann"], exit: 66, says: "without user/" },
  "a user in capitals": { args: () => ["ls", conf, "Ann"], exit: 66, says: "Is ann meant?" },
  "a slip of the hand": { args: () => ["ls", conf, "ahn"], exit: 66, says: "Is ann meant?" },
  "a domain too many": { args: () => ["diff", conf, store, "bob@x"], exit: 66, says: "Is bob m" },
  "the beginning of a command": { args: () => ["help", "repl"], exit: 64, says: "Is replicate m" },
  "the last word of a command": {
    args: () => ["help", "undelete"],
    exit: 64,
    says: "Is store undelete meant?",
  },
  "a folder of a store without its user": {
    args: () => ["store", "delete", store, "Sent"],
    exit: 66,
    says: "user/USER/FOLDER",
  },
  "another file for a users file": {
    args: () => {
      const path = join(folder, "other");
      writeFileSync(path, "repl:secret\n", { mode: 0o600 });
      return ["serve", store, "--users-file", path, "--listen", "127.0.0.1:0"];
    },
    exit: 78,
    says: "bobbin passwd",
  },
  "a mailbox in small letters": {
    args: () => ["ls", conf, "ann", "inbox"],
    exit: 66,
    says: "Is INBOX meant?",
  },
  "cat of a mailbox in capitals": {
    args: () => ["cat", conf, "user/ann/SENT/1"],
    exit: 66,
    says: "Is user/ann/Sent meant?",
  },
  "@ in the name of an account": {
    args: () => ["ls", at("sync", "a@b")],
    exit: 64,
    says: () => at("sync", "a%40b"),
  },
  "no account": { args: () => ["ls", "sync://mail"], exit: 64, says: "sync://USER@mail" },
  "IPv6 without brackets": { args: () => ["ls", "sync://a@::1"], exit: 64, says: "@[::1]" },
  "a scheme in capitals": { args: () => ["ls", "SYNC://a@h"], exit: 64, says: "sync://a@h" },
  "a kind in capitals": { args: () => ["ls", "Store:/x"], exit: 64, says: "store:/x" },
  "a scheme of something else": { args: () => ["ls", "http://h/x"], exit: 64, says: "store:PATH" },
  "fsck of another machine": {
    args: () => ["fsck", at("sync")],
    exit: 64,
    says: "Run it on that machine",
  },
  "cyrus.conf for imapd.conf": {
    args: () => {
      writeFileSync(join(folder, "cyrus.conf"), "START {\n}\n");
      return ["ls", join(folder, "cyrus.conf")];
    },
    exit: 78,
    says: "An imapd.conf is wanted",
  },
  "--form for --from": {
    args: () => ["replicate", "ann", "--form", conf, `--to=${store}`],
    exit: 64,
    says: "Did you mean --from?",
  },
  "no password": {
    args: () => ["ls", at("sync"), "ann"],
    exit: 64,
    says: () => at("sync"),
    options: { env: { BOBBIN_PASSWORD: "" } },
  },
  "a wrong password": {
    args: () => ["ls", at("sync"), "ann"],
    exit: 77,
    says: "account's name and password",
    options: { env: { BOBBIN_PASSWORD: "wrong" } },
  },
  "nothing listens": { args: () => ["ls", "sync://a@127.0.0.1:1"], exit: 69, says: "2005" },
  "no such host": { args: () => ["ls", "sync://a@no.invalid"], exit: 69, says: "spelling" },
  "a port alone to listen on": {
    args: () => ["serve", store, "--users-file", users(), "--listen", "2005"],
    exit: 64,
    says: "127.0.0.1:2005",
  },
  "a port that is taken": {
    args: () => ["serve", store, "--users-file", users(), "--listen", `127.0.0.1:${server.port}`],
    exit: 73,
    says: "ss -ltnp",
  },
};

function users(): string {
  const path = join(folder, "users");
  const secret = Buffer.alloc(32).toString("base64");
  writeFileSync(path, JSON.stringify({ version: 1, secret, accounts: [] }), { mode: 0o600 });
  return path;
}

describe("a slip", () => {
  test.each(Object.keys(SLIPS))("%s", async (name) => {
    const { args, exit, says, options } = SLIPS[name] as Slip;
    const ended = await bobbin(args(), { env, ...options });
    expect([ended.exit, ended.stderr]).toEqual([
      exit,
      expect.stringContaining(typeof says === "string" ? says : says()),
    ]);
  });

  test("a server without a word is named, and what it may be", async () => {
    const silent = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { exit, stderr } = await bobbin(["ls", `sync://a@127.0.0.1:${port}`, "ann"], { env });
    silent.close();
    expect([exit, stderr]).toEqual([69, expect.stringContaining(`syncs://a@127.0.0.1:${port}`)]);
  });

  test("--ca with what is no certificate is named", async () => {
    const files = {
      text: ["no certificate", "PEM is wanted"],
      empty: ["", "PEM is wanted"],
      cut: [TEST_TLS.cert.slice(0, 400), "cut short"],
      key: [TEST_TLS.key, "It is a key"],
      second: [TEST_TLS.cert + TEST_TLS.cert.slice(0, 400), "number 2"],
    } as const;
    for (const [name, [pem, says]] of Object.entries(files)) {
      const ca = join(folder, `${name}.pem`);
      writeFileSync(ca, pem);
      const { exit, stderr } = await bobbin(["ls", at("sync"), "ann", "--ca", ca], { env });
      expect([name, exit, stderr]).toEqual([name, 78, expect.stringContaining(says)]);
      expect(stderr).toContain(ca);
    }
  });
});

describe.if(has("root"))("rights that are missing", () => {
  /** Runs the binary as somebody else, from a folder that he may enter. */
  async function asNobody(args: readonly string[]) {
    const binary = join(folder, "bobbin");
    chmodSync(folder, 0o755);
    cpSync(bobbinPath(), binary);
    const child = Bun.spawn(["setpriv", `--reuid=${NOBODY}`, "--clear-groups", binary, ...args], {
      stdout: "ignore",
      stderr: "pipe",
      env: { ...process.env, ...env },
    });
    return { stderr: await new Response(child.stderr).text(), exit: await child.exited };
  }

  test("are told with the user who has them, and never as an absence", async () => {
    const closed = join(folder, "closed");
    mkdirSync(closed, { mode: 0o700 });
    const inner = join(closed, "store");
    await bobbin(["store", "init", inner]);
    writeFileSync(join(folder, "closed.conf"), "configdirectory: /x\n", { mode: 0o600 });
    for (const args of [
      ...["ls", "fsck"].flatMap((command) => [
        [command, closed],
        [command, inner],
        [command, `store:${inner}`],
        [command, join(folder, "closed.conf")],
        [command, join(closed, "imapd.conf")],
      ]),
      ["store", "info", closed],
      ["store", "gc", `store:${inner}`],
      ["serve", inner, "--users-file", join(closed, "users")],
      ["ls", "sync://a@127.0.0.1:1", "--ca", join(closed, "ca.pem")],
    ]) {
      const { exit, stderr } = await asNobody(args);
      expect([args, [69, 73, 74, 77, 78].includes(exit)]).toEqual([args, true]);
      expect([args, stderr]).toEqual([
        args,
        expect.stringMatching(/Run it as the user who owns it, or as root \(.* root\)/),
      ]);
      expect(stderr).not.toMatch(/store init|no store/);
    }
  });
});
