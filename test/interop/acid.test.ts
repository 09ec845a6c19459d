/**
 * The acid test: a real Cyrus with users of every kind, brought by Bobbin in every way there is to
 * an empty real Cyrus, which then is the same by all that both of them say.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  appliesOf,
  expectReadableTelemetry,
  expectSameAnswers,
  reconstructSays,
  recordTelemetry,
  scriptsOf,
} from "../support/acid.ts";
import { bobbin, bobbinPath, type CliResult, listeningPorts } from "../support/cli.ts";
import { changeNames, type Lab, labLog, labUpInMemory, talkTo } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";
import { TEST_TLS } from "../support/tls_identity.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const LONG_MS = 900_000;
const PASSWORD = { BOBBIN_PASSWORD: "labpass" };

/** Who gets mail and changes while Bobbin reads. */
const STORMY = "busy";

type Way = "serve" | "dump" | "spool";

interface Setup {
  readonly title: string;
  /** Of `lab up`; the replicas get them too. */
  readonly options: readonly string[];
  /** The replicas keep their mail the other way. */
  readonly layout: "uuid" | "legacy";
  /** The first two get everything. */
  readonly users: readonly [string, string, ...string[]];
  readonly ways: readonly Way[];
  /** Names are read in this way once the users are there. */
  readonly names?: "netnews";
}

const CONVERSATIONS = ["--conversations", "on", "--set", "conversations_max_thread: 3"];
const DOMAINS = ["--set", "virtdomains: userid"];
const REVERSE_ACLS = ["--set", "reverseacls: yes"];

const SHORT: readonly Setup[] = [
  {
    title: "by uuid, conversations, reverse ACLs, virtual domains",
    options: [...CONVERSATIONS, ...DOMAINS, ...REVERSE_ACLS],
    layout: "uuid",
    users: ["ann", "j.doe", "eve@example.com"],
    ways: ["serve", "dump"],
  },
  {
    title: "by name",
    options: ["--set", "fulldirhash: yes"],
    layout: "legacy",
    users: ["ann", "j.doe"],
    ways: ["spool"],
  },
];

/** Every combination of what changes how mail and names are kept. */
function allSetups(): Setup[] {
  const setups: Setup[] = [];
  for (const layout of ["uuid", "legacy"] as const) {
    for (const hasConversations of [true, false]) {
      for (const hasDomains of [true, false]) {
        for (const names of [undefined, "netnews"] as const) {
          const words = [hasConversations ? "conversations" : "", hasDomains ? "domains" : ""];
          setups.push({
            title: [layout, ...words.filter(Boolean), names ?? "unix"].join(", "),
            options: [
              ...(hasConversations ? CONVERSATIONS : []),
              ...(hasDomains ? DOMAINS : []),
              ...(hasConversations === hasDomains ? REVERSE_ACLS : ["--set", "fulldirhash: yes"]),
              ...(names === undefined ? [] : ["--set", "hashimapspool: no"]),
            ],
            layout,
            users: [
              ...(["ann", names === undefined ? "j.doe" : "jdoe"] as const),
              ...(hasDomains ? ["eve@example.com"] : []),
            ],
            ways: ["serve", "dump", "spool"],
            ...(names !== undefined && { names }),
          });
        }
      }
    }
  }
  return setups;
}

/** What sync_client can follow: it gives up on two mailboxes that change names. */
const changes = (separator: string) => [
  "RENAME Sent Posted",
  'DELETE "Two Words"',
  "SELECT INBOX",
  "STORE 1 +FLAGS (\\Answered newword)",
  "STORE 1 ANNOTATION (/comment (value.shared NIL))",
  "STORE 2 +FLAGS (\\Deleted)",
  "EXPUNGE",
  "UNSELECT",
  "SETMETADATA Trash (/shared/comment {{new\\r\\nlines}})",
  `UNSUBSCRIBE Lists${separator}renamed`,
  "SETACL Lists bob lr",
];
const SWAP = ["RENAME Drafts between", "RENAME Trash Drafts", "RENAME between Trash"];

const peer = ({ syncPort }: Lab) => `sync://admin@127.0.0.1:${syncPort}`;
const inImap = ({ imapPort }: Lab) => `imap://admin@127.0.0.1:${imapPort}`;

/** Runs the binary, which must end with 0. */
async function ok(...args: string[]): Promise<CliResult> {
  const done = await bobbin(args, { env: PASSWORD });
  expect([args, done.exit, done.stderr]).toEqual([args, 0, expect.anything()]);
  return done;
}

/** Brings all of them, and then has nothing left to bring. */
async function bring(who: readonly string[], from: string, to: string): Promise<void> {
  const args = ["replicate", ...who, "--from", from, "--to", to];
  await ok(...args);
  expect((await ok(...args)).stdout).toMatch(/, 0 steps done, 0 messages sent \(0 bytes\)\n$/);
}

interface Acid {
  readonly setup: Setup;
  readonly folder: string;
  readonly full: Lab;
  /** Empty at first. */
  readonly to: Lab;
  readonly users: readonly string[];
}

/** By all that there is to ask, `to` is what `full` is. */
async function expectSame({ full, to, users }: Acid): Promise<void> {
  await expectSameAnswers(full, to, users);
  expect(await reconstructSays(to)).toEqual([]);
  expect(await appliesOf(full, to, users)).toEqual([]);
}

interface Serving {
  readonly port: number;
  /** What peers have changed so far. */
  applies(): string[];
  stop(): Promise<void>;
}

/** `bobbin serve` over `store`, a folder. */
async function serve(store: string): Promise<Serving> {
  const [accounts, log] = [`${store}.accounts`, `${store}.log`];
  await ok("passwd", "admin", "--users-file", accounts, "--allow", "*");
  const args = ["--users-file", accounts, "--listen", "127.0.0.1:0", "--json", "-v"];
  const child = Bun.spawn([bobbinPath(), "serve", store, ...args], {
    ...({ stdin: "ignore", stdout: "pipe", stderr: Bun.file(log) } as const),
  });
  const [port = 0] = await listeningPorts(child);
  return {
    port,
    applies: () =>
      [...readFileSync(log, "utf8").matchAll(/command="(APPLY (?!capabilities)[^"]+)"/g)].map(
        ([, command = ""]) => command,
      ),
    stop: async () => {
      child.kill();
      expect(await child.exited).toBe(0);
    },
  };
}

async function throughServe(acid: Acid): Promise<void> {
  const { full, to, users, folder } = acid;
  const [ann = ""] = users;
  const store = `${folder}/store`;
  await ok("store", "init", store);
  recordTelemetry(to);
  const { port, applies, stop } = await serve(store);
  const through = `sync://admin@127.0.0.1:${port}`;
  const everything = ["sync-client", "127.0.0.1", String(port), "-A"] as const;
  await full.run(...everything);
  expect(applies()).toContain("APPLY mailbox");
  // sync_client sends quotas of users only.
  const rest = await ok("replicate", "shared", "--shared", "--from", full.conf, "--to", store);
  expect(rest.stdout.split("\n")[0]).toBe("shared: set quota shared");
  await bring(users, through, peer(to));
  await bring(["--shared", "shared"], store, peer(to));
  await expectReadableTelemetry(to);
  await expectSame(acid);

  const separator = acid.setup.names === "netnews" ? "." : "/";
  await talkTo(full, "imap", ann, changes(separator));
  await talkTo(full, "imap", "admin", [`SETQUOTA user${separator}${ann} (STORAGE 2000000)`]);
  await full.run(...everything);
  await bring([...users, "--mirror"], through, peer(to));
  await expectSame(acid);
  await stop();
}

async function throughDump(acid: Acid): Promise<void> {
  const { full, to, folder, setup } = acid;
  const from = setup.ways.includes("serve") ? `store:${folder}/store` : full.conf;
  const path = `${folder}/all.dlist`;
  await ok("replicate", "--all", "--from", from, "--to", `dump:${path}`);
  expect((await ok("dlist", path)).stderr).toMatch(/^Sound: /);
  const tls = ["--starttls", "always", "--ca", tlsFiles().cert];
  await bring(["--all", ...tls], `dump:${path}`, inImap(to));
  expect(labLog(to)).toMatch(/imap\[\d+\] notice: starttls: TLSv1\.[23] /);
  await expectSame(acid);
}

/** What a Cyrus needs to offer STARTTLS. */
function tlsFiles(): { readonly cert: string; readonly key: string } {
  const folder = tempDir("acid-tls");
  chmodSync(folder, 0o755); // the cyrus user must be able to enter it
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert, TEST_TLS.cert);
  writeFileSync(key, TEST_TLS.key);
  return { cert, key };
}

async function throughStorm(acid: Acid): Promise<void> {
  const { full, to, folder, setup, users } = acid;
  const store = `${folder}/from-disk`;
  await ok("store", "init", store);
  let isOver = false;
  const storm = full.storm(STORMY, isLong ? 8 : 3).finally(() => {
    isOver = true;
  });
  const all = ["--all", "--mirror", "--allow-delete", "100"];
  for (let round = 0; !isOver; round++) {
    const target = round % 2 === 0 ? peer(to) : store;
    const args = ["replicate", ...all, "--from", full.conf, "--to", target];
    const { exit, stderr } = await bobbin(args, { env: PASSWORD });
    // What is renamed three times while it is read may have to wait for the next round.
    const told = stderr.split("\n").filter((line) => line.startsWith("bobbin:"));
    const known = told.filter((line) =>
      /User busy: .*(There is no |no folder |replaced at the)/.test(line),
    );
    expect([round, exit, told]).toEqual([round, known.length > 0 ? 2 : 0, known]);
  }
  expect((await storm).deliveries).toBeGreaterThan(0);
  if (setup.names === undefined) await talkTo(full, "imap", users[0] ?? "", SWAP);
  await bring(all, full.conf, peer(to));
  await expectSame(acid);
  const diff = await ok("diff", full.conf, peer(to), ...users, "--deep");
  expect(diff.stdout).toMatch(/: 0 differences\n$/);

  await bring(all, full.conf, store);
  await ok("fsck", store);
  const { port, applies, stop } = await serve(store);
  await full.run("sync-client", "127.0.0.1", String(port), "-A");
  await stop();
  expect(applies()).toEqual([]);
}

const WAYS: Readonly<Record<Way, { readonly title: string; run(acid: Acid): Promise<void> }>> = {
  serve: {
    title:
      "through sync_client, bobbin serve and bobbin replicate it is the same at an empty Cyrus",
    run: throughServe,
  },
  dump: {
    title: "through a dump, and within IMAP, it is the same at an empty Cyrus",
    run: throughDump,
  },
  spool: {
    title: "from its disk, while mail arrives and changes, it is the same when that is over",
    run: throughStorm,
  },
};

for (const setup of isLong ? allSetups() : SHORT) {
  const { title, users, ways, layout } = setup;
  describe.skipIf(!has("a Cyrus server"))(`a real Cyrus, ${title}`, () => {
    const folder = tempDir("acid");
    let full: Lab;
    let replicas: Lab[];

    beforeAll(async () => {
      const [own, other] =
        layout === "uuid" ? ["--uuid-paths", "--legacy-paths"] : ["--legacy-paths", "--uuid-paths"];
      const { cert, key } = tlsFiles();
      const tls = [`tls_server_cert: ${cert}`, `tls_server_key: ${key}`];
      const starting = ways.map((_, at) =>
        labUpInMemory(
          at % 2 === 0 ? other : own,
          ...setup.options,
          ...tls.flatMap((line) => ["--set", line]),
        ),
      );
      full = await labUpInMemory(own, ...setup.options);
      for (const user of users) await full.run("user", user);
      const size = [isLong ? "60" : "20", "--avg-kb", isLong ? "8" : "2"];
      await Promise.all(users.map((user) => full.run("fill", user, ...size, "--seed", user)));
      await full.everything(users[0], users[1]);
      if (ways.includes("spool")) await full.run("user", STORMY, "--plain");
      if (setup.names === "netnews") await changeNames(full, "no");
      replicas = await Promise.all(starting);
    }, LONG_MS);

    afterAll(async () => {
      await Promise.all([full, ...replicas].map((lab) => lab.down()));
    }, LONG_MS);

    for (const [at, way] of ways.entries()) {
      const { title: what, run } = WAYS[way];
      test(
        what,
        async () => {
          const to = replicas[at] ?? expect.unreachable();
          const others = ways.includes("spool") ? ["bob", STORMY] : ["bob"];
          await run({ setup, folder, full, to, users: [...users, ...others] });
        },
        LONG_MS,
      );
    }

    test(
      "scripts come over as files too, where the server is to be spoken to as one before 3.6",
      async () => {
        const to = replicas[0] ?? expect.unreachable();
        const wanted = await scriptsOf(full, users[0]);
        expect(wanted.map((line) => / ISACTIVE 1/.test(line))).toContain(true);
        const files = ["--sieve", "files"];
        await bring([users[0], "--as", "straight", ...files], full.conf, peer(to));
        expect(await scriptsOf(to, "straight")).toEqual(wanted);

        const store = `${folder}/scripts`;
        await ok("store", "init", store);
        await bring([users[0], "--as", "by-store", ...files], peer(full), store);
        // The server makes messages of the files by itself.
        await bring(["by-store"], store, peer(to));
        expect(await scriptsOf(to, "by-store")).toEqual(wanted);
        await bring(["by-store", ...files], store, peer(to));
        expect(await scriptsOf(to, "by-store")).toEqual(wanted);
      },
      LONG_MS,
    );

    test(
      "reconstruct is not silent about a replica that is damaged",
      async () => {
        const to = replicas[0] ?? expect.unreachable();
        const files = readdirSync(to.spool, { recursive: true, encoding: "utf8" });
        const message = files.find((path) => /\/\d+\.$/.test(path) && !path.includes("sync."));
        const path = join(to.spool, message ?? expect.unreachable());
        const bytes = readFileSync(path);
        bytes[20] = (bytes[20] ?? 0) ^ 1;
        writeFileSync(path, bytes);
        rmSync(join(path, "..", "cyrus.cache"));
        const said = await reconstructSays(to);
        expect(said).toContainEqual(expect.stringContaining("guid mismatch"));
        expect(said).toContainEqual(expect.stringMatching(/reconstruct\[\d+\] err: IOERROR/));
      },
      LONG_MS,
    );
  });
}
