/**
 * Backups of a user of a real Cyrus, taken in turn from its spool, from a store and from its sync
 * server, between random changes and compactions: every state within the retention comes back as
 * it was, in an empty real Cyrus and in a store.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compactArchive } from "../../src/places/backup/compact/compact_archive.ts";
import { packMember } from "../../src/places/backup/write/pack_member.ts";
import { reconstructSays } from "../support/acid.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
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

/** Brings ann from one place to another; how many steps that took. */
async function bring(from: string, to: string): Promise<unknown> {
  const mirror = ["--mirror", "--allow-delete", "100"];
  const lines = await run("replicate", "ann", "--from", from, "--to", to, ...mirror);
  return lines.at(-1)?.["steps"];
}

/** What two places do not have in common of ann, byte for byte. */
async function differences(a: string, b: string) {
  const { exit, stdout } = await start(["diff", "--deep", a, b, "ann"]);
  const found = jsonLines(stdout).filter(({ type }) => type === "difference");
  expect(exit).toBe(found.length === 0 ? 0 : 1);
  return found;
}

/** What was recorded when a run had ended. */
interface Moment {
  /** The locator of the archive as of then. */
  readonly archive: string;
  /** Of the store that has what the source had. */
  readonly truth: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

describe.skipIf(!isThere)("backups of a real Cyrus", () => {
  const root = tempDirInMemory("backup");
  const archive = join(root, "backup/a/ann");
  const store = join(root, "store");
  const runs = isLong ? 30 : 10;
  const compactions = isLong ? [9, 19, 26] : [4, 7];
  const moments: Moment[] = [];
  let lab: Lab;
  let user: ImapUser;

  const backUp = async (from: string) => {
    const lines = await run("backup", "run", "ann", "--from", from, "--to", join(root, "backup"));
    return lines.at(-1)?.["steps"];
  };
  const sources = () => [lab.conf, store, peer(lab)];
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
  const takeMoment = async (source: string): Promise<Moment> => {
    await bring(lab.conf, store);
    await backUp(source);
    const listed = await run("backup", "list", "--runs", archive);
    const ended = String(listed.filter(({ type }) => type === "run").at(-1)?.["ended"]);
    const truth = join(root, `truth-${ended}`);
    cpSync(store, truth, { recursive: true });
    return { archive: `backup:${archive}@${ended}`, truth, at: Date.parse(ended) };
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

  /** An empty Cyrus gets what there was, and an empty store too. */
  const comesBack = async ({ archive: from, truth }: Moment): Promise<void> => {
    const empty = await labUpInMemory();
    try {
      const to = peer(empty);
      await run("backup", "restore", from, "ann", "--to", to);
      // What was deleted already then is all that a restore leaves out.
      const missing = await differences(truth, to);
      expect(missing.filter(({ mailbox }) => !String(mailbox).startsWith("DELETED/"))).toEqual([]);
      await bring(from, to);
      expect(await differences(truth, to)).toEqual([]);
      expect(await reconstructSays(empty)).toEqual([]);
    } finally {
      await empty.down();
    }
    const into = `${truth}-restored`;
    await run("store", "init", into);
    await bring(from, into);
    expect(await differences(truth, into)).toEqual([]);
    await run("fsck", into);
  };

  test(
    "every state within the retention comes back in an empty Cyrus and a store",
    async () => {
      const perRun = Math.ceil((KINDS.length * (isLong ? 4 : 2)) / runs);
      for (let number = 0; number < runs; number++) {
        await user.act(perRun);
        moments.push(await takeMoment(sources()[number % 3] ?? ""));
        if (!compactions.includes(number)) continue;
        await compact(isLong ? 10 : 3);
        expect(upstreamObjections(archive)).toEqual([]);
        if (isLong) for (const moment of moments.slice(0, 9)) await comesBack(moment);
      }
      expect(upstreamObjections(archive)).toEqual([]);
      await run("backup", "verify", archive);
      // One from before the last compaction, one in the middle, and the newest.
      const wanted = isLong ? moments : [0, 3, moments.length - 1].map((at) => moments[at]);
      await Promise.all(wanted.map((moment) => comesBack(moment ?? expect.unreachable())));
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
});
