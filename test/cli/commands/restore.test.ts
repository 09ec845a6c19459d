/** `bobbin backup restore`, the built binary: what is told of a restore, and how it ends. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { alterArchive } from "../../support/backup.ts";
import { bobbin, jsonLines } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { treeState } from "../../support/tree_state.ts";

const SPOOL = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");

describe("bobbin backup restore", () => {
  const root = join(tempDir("restore"), "store");
  const restore = async (...args: readonly string[]) => {
    const run = await bobbin(["backup", "restore", SPOOL, "--to", root, "--json", ...args]);
    const lines = jsonLines(run.stdout);
    const restored = lines.filter(({ step }) => step === "restore");
    return { exit: run.exit, stderr: run.stderr, lines, restored };
  };
  const uidsOf = async (mailbox: string): Promise<number[]> =>
    jsonLines((await bobbin(["ls", root, "ann", mailbox, "--json"])).stdout).flatMap(({ uid }) =>
      typeof uid === "number" ? [uid] : [],
    );
  beforeAll(async () => {
    expect((await bobbin(["store", "init", root])).exit).toBe(0);
  });

  test("brings back users, folders and messages, and tells the UIDs", async () => {
    expect((await restore("ann")).exit).toBe(0);
    const sent = await uidsOf("Sent");
    expect((await restore("ann")).lines).toEqual([
      expect.objectContaining({ type: "summary", command: "backup restore", steps: 0, exit: 0 }),
    ]);
    await bobbin(["store", "delete", root, "user/ann/Sent"]);
    const before = treeState(root);
    const dry = await restore("--mailbox", "user/ann/Sent", "-n");
    expect([dry.exit, treeState(root)]).toEqual([0, before]);
    expect((await restore("--mailbox", "user/ann/Sent")).exit).toBe(0);
    expect(await uidsOf("Sent")).toEqual(sent);
    const inbox = await uidsOf("INBOX");
    const [first] = inbox;
    const from = ["--mailbox", "user/ann/INBOX"];
    const one = await restore(...from, "--message", `${first}`, "--as", "user/ann/X");
    expect([one.exit, await uidsOf("X")]).toEqual([0, inbox.slice(0, 1)]);
    const all = await restore(...from, "--as", "user/ann/X");
    expect(all.restored.map(({ uid, newUid }) => [uid, newUid])).toEqual(
      inbox.slice(1).map((uid, at) => [uid, Number(all.restored[0]?.["newUid"]) + at]),
    );
    expect(await uidsOf("X")).toHaveLength(inbox.length);
    const guid = `${one.restored[0]?.["guid"]}`;
    const skipped = await restore(...from, "--message", guid);
    const there = { step: "skip", uid: first, newUid: first, guid };
    expect([skipped.exit, skipped.lines[0]]).toMatchObject([0, there]);
    expect((await restore("bob", "--as", "bob-found")).exit).toBe(0);
    expect((await bobbin(["fsck", root])).exit).toBe(0);
  }, 60_000);

  test("brings all but a message that has rotted in the archive, and names that", async () => {
    const folder = tempDir("rotten");
    const archive = join(folder, "b/a/ann");
    const run = ["backup", "run", "ann", "--from", SPOOL, "--to", join(folder, "b")];
    expect((await bobbin(run)).exit).toBe(0);
    const [data = ""] = readdirSync(archive).filter((name) => name.startsWith("backupdata"));
    alterArchive(join(archive, data), "Message-ID: ", "Massage-ID: ");
    const [store, sound, eml] = ["store", "sound", "eml"].map((name) => join(folder, name));
    for (const root of [store, sound]) await bobbin(["store", "init", `${root}`]);
    const filesIn = (path: string) =>
      readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) =>
        /\.eml$/.test(name),
      );
    for (const to of [`${sound}`, `eml:${eml}-sound`]) {
      expect((await bobbin(["backup", "restore", SPOOL, "ann", "--to", to])).exit).toBe(0);
    }
    for (const to of [`${store}`, `${store}`, `eml:${eml}`]) {
      const { exit, stderr } = await bobbin(["backup", "restore", archive, "--to", to]);
      expect([exit, stderr]).toEqual([2, expect.stringMatching(/There is no message \d+ of user/)]);
    }
    const countIn = async (root = "") =>
      jsonLines((await bobbin(["ls", root, "ann", "--json"])).stdout).at(-1)?.["messages"];
    expect(await countIn(store)).toBe(Number(await countIn(sound)) - 1);
    expect((await bobbin(["fsck", `${store}`])).exit).toBe(0);
    expect(filesIn(`${eml}`)).toHaveLength(filesIn(`${eml}-sound`).length - 1);
  }, 60_000);

  test("brings messages out as files, which nobody else may read, and over none", async () => {
    const folder = tempDir("files");
    const [eml, mbox] = [join(folder, "eml"), join(folder, "inbox.mbox")];
    const out = (to: string, ...args: readonly string[]) =>
      bobbin(["backup", "restore", SPOOL, "--to", to, "--json", ...args]);
    expect((await out(`eml:${eml}`, "ann", "-n")).exit).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    const done = await out(`eml:${eml}`, "ann");
    expect([done.exit, jsonLines(done.stdout).at(-1)?.["failures"]]).toEqual([0, 0]);
    const files = readdirSync(eml, { recursive: true, encoding: "utf8" });
    const path = join(eml, files.find((name) => name.endsWith("ann/1.eml")) ?? "none");
    const { mode, mtime } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    const [first] = jsonLines((await bobbin(["ls", SPOOL, "ann", "INBOX", "--json"])).stdout);
    expect(Bun.SHA1.hash(readFileSync(path), "hex")).toBe(`${first?.["guid"]}`);
    expect(mtime.getTime()).toBe(Date.parse(`${first?.["date"]}`));
    expect((await out(`mbox:${mbox}`, "--mailbox", "user/ann")).exit).toBe(0);
    const entries = readFileSync(mbox, "latin1").match(/^From MAILER-DAEMON /gm);
    expect(entries).toHaveLength(files.filter((name) => /ann\/\d+\.eml$/.test(name)).length);
    expect(statSync(mbox).mode & 0o777).toBe(0o600);
    for (const to of [`eml:${eml}`, `mbox:${mbox}`]) {
      for (const dry of [["-n"], []]) expect((await out(to, "ann", ...dry)).exit).toBe(73);
    }
    expect((await out(`mbox:${mbox}2`, "ann")).exit).toBe(2); // it takes one mailbox
    expect((await bobbin(["ls", `mbox:${mbox}`])).exit).toBe(64);
  }, 60_000);

  test.each([
    [66, "nobody"],
    [66, "--mailbox", "user/ann/Nothing"],
    [66, "ann", "--mailbox", "user/ann/Sent", "--message", "4000000000"],
    [64],
    [64, "ann", "--message", "4"],
    [64, "ann", "--message", "no-guid"],
    [64, "ann", "bob", "--as", "c"],
    [64, "ann", "--as", "a/b"],
    [64, "--all", "ann"],
  ] as const)("ends with %i for %p %p %p", async (exit, ...rest) => {
    const args = rest.filter((one) => typeof one === "string");
    const run = await restore(...args);
    expect([args, run.exit, run.stderr]).toEqual([args, exit, expect.stringContaining("bobbin: ")]);
  });
});
