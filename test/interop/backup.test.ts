/**
 * Backups of a user of a real Cyrus, taken in turn from its spool, from a store and from its sync
 * server, between random changes and compactions: every state within the retention comes back as
 * it was, in an empty real Cyrus and in a store.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compactArchive } from "../../src/places/backup/compact/compact_archive.ts";
import { packMember } from "../../src/places/backup/write/pack_member.ts";
import { reconstructSays } from "../support/acid.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { fixturePath } from "../support/fixtures.ts";
import { imapClient } from "../support/imap.ts";
import { ImapUser, KINDS } from "../support/imap_deeds.ts";
import { type Lab, labUpInMemory, tempDirInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { upstreamObjections } from "../support/upstream_rules.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const LONG_MS = 900_000;
const isThere = has("a Cyrus server");
const peer = ({ syncPort }: Lab) => `sync://admin@127.0.0.1:${syncPort}`;

/** Runs the binary, which must end with 0; the lines that it says. */
async function run(...args: readonly string[]) {
  const { exit, stdout, stderr } = await start(args);
  expect([args, exit, stderr]).toEqual([args, 0, expect.anything()]);
  return jsonLines(stdout);
}

function start(args: readonly string[]) {
  return bobbin(["--json", ...args], { env: { BOBBIN_PASSWORD: "labpass" } });
}

/** Makes one place hold what another does of the user. */
async function bring(user: string, from: string, to: string): Promise<void> {
  const mirror = ["--mirror", "--allow-delete", "100"];
  await run("replicate", user, "--from", from, "--to", to, ...mirror);
}

/** What two places do not have in common of the user, byte for byte. */
async function differences(user: string, a: string, b: string) {
  const { exit, stdout } = await start(["diff", "--deep", a, b, user]);
  const found = jsonLines(stdout).filter(({ type }) => type === "difference");
  expect(exit).toBe(found.length === 0 ? 0 : 1);
  return found;
}

/** An archive, and what it should hold. */
interface Moment {
  readonly user: string;
  /** Its locator, as of the end of a run. */
  readonly archive: string;
  /** A store that has what the source had then. */
  readonly truth: string;
}

/** An empty Cyrus gets what there was. */
async function comesToCyrus({ user, archive, truth }: Moment): Promise<void> {
  const empty = await labUpInMemory();
  try {
    const to = peer(empty);
    await run("backup", "restore", archive, user, "--to", to);
    // What was deleted already then is all that a restore leaves out.
    const missing = await differences(user, truth, to);
    expect(missing.filter(({ mailbox }) => !String(mailbox).startsWith("DELETED/"))).toEqual([]);
    await bring(user, archive, to);
    expect(await differences(user, truth, to)).toEqual([]);
    expect(await reconstructSays(empty)).toEqual([]);
  } finally {
    await empty.down();
  }
}

/** And so does an empty store. */
async function comesToStore({ user, archive, truth }: Moment): Promise<void> {
  const into = await newStore();
  await bring(user, archive, into);
  expect(await differences(user, truth, into)).toEqual([]);
  await run("fsck", into);
}

async function newStore(): Promise<string> {
  const path = join(tempDirInMemory("restored"), "store");
  await run("store", "init", path);
  return path;
}

/** Several do, some at a time. */
async function allComeBack(moments: readonly (Moment | undefined)[]): Promise<void> {
  for (let at = 0; at < moments.length; at += 3) {
    const some = moments.slice(at, at + 3).map((one) => one ?? expect.unreachable());
    await Promise.all(some.flatMap((one) => [comesToCyrus(one), comesToStore(one)]));
  }
}

describe.skipIf(!isThere)("backups of a real Cyrus", () => {
  const root = tempDirInMemory("backup");
  const archive = join(root, "backup/a/ann");
  const store = join(root, "store");
  const runs = isLong ? 30 : 10;
  const compactions = isLong ? [9, 19, 26] : [4, 7];
  const moments: (Moment & { readonly at: number })[] = [];
  let lab: Lab;
  let user: ImapUser;

  const runOf = (from: string) => [
    "backup",
    "run",
    "ann",
    "--from",
    from,
    "--to",
    `${root}/backup`,
  ];
  const backUp = async (from: string) => (await run(...runOf(from))).at(-1)?.["steps"];
  const sources = () => [lab.conf, store, peer(lab)];
  const asOf = (at: number) => `backup:${archive}@${new Date(at).toISOString()}`;
  const dataFile = () => {
    const [name = ""] = readdirSync(archive).filter((one) => one.startsWith("backupdata"));
    return readFileSync(join(archive, name));
  };

  beforeAll(async () => {
    if (!isThere) return;
    lab = await labUpInMemory();
    await lab.run("user", "ann");
    await lab.run("user", "bob", "--plain");
    await lab.run("fill", "ann", "8", "--avg-kb", "2", "--seed", "backup");
    const bob = await imapClient(lab.imapPort, "bob");
    await bob.command("SETACL INBOX ann lrs");
    for (const number of [1, 2, 3]) {
      await bob.command(`APPEND INBOX {{Subject: of bob ${number}\r\n\r\nText\r\n}}`);
    }
    bob.close();
    await run("store", "init", store);
    user = await ImapUser.signedIn(lab, { userid: "ann", seed: 20261201, others: 3 });
  }, LONG_MS);
  afterAll(async () => {
    if (!isThere) return;
    user.close();
    await lab.down();
  });

  /** One run, and what the source held at its end. */
  const takeMoment = async (source: string) => {
    await bring("ann", lab.conf, store);
    await backUp(source);
    const at = Date.now();
    const truth = join(root, `truth-${at}`);
    cpSync(store, truth, { recursive: true });
    return { user: "ann", archive: asOf(at), truth, at };
  };

  /** Compacts so that what the last `kept` moments had can still be had. */
  const compact = async (kept: number): Promise<void> => {
    const now = Date.now();
    const keep = now - (moments.at(-kept)?.at ?? 0);
    const { plan, damaged } = await compactArchive(archive, {
      retention: { now, keepDeletedMs: keep, keepExpungedMs: keep },
      ...{ below: 101, isDry: false, pack: async (bytes) => packMember(bytes) },
      notice: (text) => expect.unreachable(text),
    });
    expect([damaged, plan.gone.entries > 0]).toEqual([[], true]);
    moments.splice(0, moments.length - kept);
  };

  test(
    "every state within the retention comes back in an empty Cyrus and a store",
    async () => {
      const perRun = Math.ceil((KINDS.length * (isLong ? 4 : 2)) / runs);
      for (let number = 0; number < runs; number++) {
        await user.act(perRun);
        moments.push(await takeMoment(sources()[number % 3] ?? ""));
        if (!compactions.includes(number)) continue;
        await compact(isLong ? 8 : 3);
        expect(upstreamObjections(archive)).toEqual([]);
        if (isLong) await allComeBack(moments);
      }
      expect(upstreamObjections(archive)).toEqual([]);
      await run("backup", "verify", archive);
      // One from before the last compaction, one in the middle, and the newest.
      await allComeBack(isLong ? moments : [0, 3, -1].map((at) => moments.at(at)));
    },
    LONG_MS,
  );

  test(
    "another source that holds the same brings nothing",
    async () => {
      const before = dataFile();
      for (const source of sources()) expect(await backUp(source)).toBe(0);
      expect(dataFile().equals(before)).toBe(true);
    },
    LONG_MS,
  );

  test(
    "what is damaged at the source never takes the place of what the archive has",
    async () => {
      const said = await lab.run("show", "path", "user/ann/Sent");
      const [, folder = ""] = /^Data: (.*)$/m.exec(said) ?? [];
      const client = await imapClient(lab.imapPort, "ann");
      const append = (what: string) =>
        client.command(`APPEND Sent {{Subject: ${what}\r\n\r\nThe text\r\n}}`);
      await append("of before");
      await backUp(lab.conf);
      for (const { what, damage, told, news } of FAULTS) {
        const before = asOf(Date.now());
        await append(what);
        const mend = damage(folder);
        const { exit, stderr } = await start(runOf(lab.conf));
        expect([what, exit, stderr]).toEqual([
          ...[what, told === undefined ? 0 : 2],
          told === undefined ? "" : expect.stringMatching(told),
        ]);
        const changes = await differences("ann", before, `backup:${archive}`);
        expect([what, changes.map(({ mailbox, text }) => [mailbox, text])]).toEqual([
          ...[what, news.map((text) => ["user/ann/Sent", text])],
        ]);
        mend();
        await backUp(lab.conf);
      }
      expect(await differences("ann", lab.conf, `backup:${archive}`)).toEqual([]);
      expect(upstreamObjections(archive)).toEqual([]);
      client.close();
    },
    LONG_MS,
  );
});

interface Fault {
  readonly what: string;
  /** Does it to the mailbox in `folder`, which has got a message; gives what mends it. */
  readonly damage: (folder: string) => () => void;
  /** What a run says of it; undefined where it needs nothing of what is damaged. */
  readonly told?: RegExp;
  /** What comes into the archive nevertheless. */
  readonly news: readonly string[];
}

const WITHOUT_IT = ["lastUid, highestmodseq"];
const WITH_IT = ["only at B", ...WITHOUT_IT];

const FAULTS: readonly Fault[] = [
  {
    what: "the new message has another byte",
    damage: (folder) => changed(messageIn(folder, 0), (bytes) => bytes.fill("#", 12, 13)),
    told: /user\/ann\/Sent uid \d+: its SHA-1 is [0-9a-f]{40}, not/,
    news: WITHOUT_IT,
  },
  {
    what: "a message that the archive has is damaged",
    damage: (folder) => changed(messageIn(folder, 1), (bytes) => bytes.fill("#", 12, 13)),
    news: WITH_IT,
  },
  {
    what: "the index is cut off",
    damage: (folder) => changed(join(folder, "cyrus.index"), (bytes) => bytes.subarray(0, -150)),
    told: /user\/ann\/Sent: cyrus.index lacks 2 of its records/,
    news: [],
  },
  {
    what: "the header is damaged",
    damage: (folder) => changed(join(folder, "cyrus.header"), (bytes) => bytes.fill("#", 5, 60)),
    told: /user\/ann\/Sent: cyrus.header: expected the magic bytes/,
    news: [],
  },
  {
    what: "the folder is gone",
    damage: movedAway,
    told: /user\/ann\/Sent: no folder/,
    news: [],
  },
  {
    what: "the cache is gone",
    damage: (folder) => movedAway(join(folder, "cyrus.cache")),
    news: WITH_IT,
  },
];

/** The file of a message in a folder; the newest has the `age` 0. */
function messageIn(folder: string, age: number): string {
  const names = readdirSync(folder).filter((name) => /^\d+\.$/.test(name));
  const uids = names.map(Number.parseFloat).sort((left, right) => right - left);
  return join(folder, `${uids[age]}.`);
}

/** Changes a file of a server; gives what puts it back. */
function changed(path: string, change: (bytes: Buffer) => Uint8Array): () => void {
  const before = readFileSync(path);
  writeFileSync(path, change(Buffer.from(before)));
  return () => writeFileSync(path, before);
}

function movedAway(path: string): () => void {
  renameSync(path, `${path}-away`);
  return () => renameSync(`${path}-away`, path);
}

for (const name of ["alice", "alice-compacted"]) {
  test.skipIf(!isThere)(
    `upstream's archive ${name} is listed, verified, rebuilt and compacted, and comes back`,
    async () => {
      const archive = join(tempDirInMemory("upstream"), "a/alice");
      cpSync(fixturePath(`backup/${name}`), archive, { recursive: true });
      rmSync(join(archive, "dump.jsonl.gz"));
      const [listed] = await run("backup", "list", archive);
      expect(listed).toMatchObject({ user: "alice", runs: 0, messages: 31 });
      const truth = await newStore();
      await bring("alice", `backup:${archive}`, truth);
      expect(upstreamObjections(archive, { isCopy: true })).toEqual([]);
      for (const step of [["rebuild"], ["compact", "--force", "--keep", "500w"], ["verify"]]) {
        await run("backup", ...step, archive);
        expect(upstreamObjections(archive)).toEqual([]);
      }
      expect(await differences("alice", truth, `backup:${archive}`)).toEqual([]);
      // Both hold the same.
      if (isLong || name === "alice") {
        await comesToCyrus({ user: "alice", archive: `backup:${archive}`, truth });
      }
    },
    LONG_MS,
  );
}
