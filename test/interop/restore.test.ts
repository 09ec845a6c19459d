/**
 * `bobbin backup restore` to a real Cyrus in use: what IMAP shows of it, what Cyrus' own tools have
 * against it, and that its sync_client goes on.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { reconstructSays } from "../support/acid.ts";
import { alterArchive } from "../support/backup.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { imapClient } from "../support/imap.ts";
import { type Lab, labUpInMemory, talkTo } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { livingUids } from "../support/replication.ts";
import { testServer } from "../support/serve.ts";
import { tempDir } from "../support/temp_dir.ts";

const isThere = has("a Cyrus server");
const KEPT = '"11-Mar-2021 10:11:12 +0000"';

describe.skipIf(!isThere)("bobbin backup restore to a real Cyrus", () => {
  let lab: Lab;
  const root = tempDir("restore");
  const archive = join(root, "backup/m/max");
  const says = (...commands: readonly string[]) => talkTo(lab, "imap", "max", commands);
  const append = async (folder: string, number: number): Promise<void> => {
    const client = await imapClient(lab.imapPort, "max");
    const text = `Subject: number ${number}\r\n\r\nThe text of number ${number}\r\n`;
    await client.command(`APPEND ${folder} (\\Flagged $Label1) ${KEPT} {{${text}}}`);
    client.close();
  };
  const restore = async (...args: readonly string[]) => {
    const to = ["--to", `sync://admin@127.0.0.1:${lab.syncPort}`, "--starttls", "never"];
    const env = { BOBBIN_PASSWORD: "labpass" };
    const run = await bobbin(["backup", "restore", archive, ...to, "--json", ...args], { env });
    const steps = jsonLines(run.stdout).filter(({ type }) => type === "step");
    return { exit: run.exit, stderr: run.stderr, steps };
  };

  beforeAll(async () => {
    if (!isThere) return;
    lab = await labUpInMemory();
    await lab.run("user", "max", "--plain");
    await says("CREATE Work", "SUBSCRIBE Work");
    for (const [uid, folder] of ["INBOX", "INBOX", "INBOX", "Work", "Work"].entries()) {
      await append(folder, uid);
    }
    const args = ["backup", "run", "max", "--from", lab.conf, "--to", join(root, "backup")];
    expect((await bobbin(args)).exit).toBe(0);
  }, 120_000);
  afterAll(async () => {
    if (isThere) await lab.down();
  });

  test("brings expunged messages and deleted folders back, sound to Cyrus", async () => {
    await says("SELECT INBOX", "UID STORE 2 +FLAGS (\\Deleted)", "EXPUNGE", "DELETE Work");
    const done = await restore("max");
    expect([done.exit, done.stderr]).toEqual([0, expect.any(String)]);
    expect(done.steps).toContainEqual(expect.objectContaining({ step: "rename" }));
    expect(done.steps).toContainEqual(expect.objectContaining({ uid: 2, newUid: 4 }));
    const inbox = await says("SELECT INBOX", "UID FETCH 1:* (UID FLAGS INTERNALDATE)");
    const shown = inbox.split("\n").filter((line) => line.includes("FETCH ("));
    expect(shown.map((line) => /UID (\d+)/.exec(line)?.[1])).toEqual(["1", "3", "4"]);
    expect(shown.at(-1)).toContain(KEPT);
    expect(shown.at(-1)).toMatch(/FLAGS \([^)]*\\Flagged[^)]*\$Label1/);
    expect(shown.at(-1)).not.toContain("\\Deleted");
    const work = await says("SELECT Work", "UID FETCH 1:* (UID)");
    expect(work.match(/FETCH \(UID \d+/g)).toEqual(["FETCH (UID 1", "FETCH (UID 2"]);
    expect(await says('LSUB "" "*"')).toContain("Work");
    expect((await restore("max")).steps).toEqual([]);
    expect(await reconstructSays(lab)).toEqual([]);
  }, 120_000);

  test("brings a folder beside itself, and sync_client sends it all on", async () => {
    const beside = await restore("--mailbox", "user/max/Work", "--as", "user/max/Beside");
    expect(beside.exit).toBe(0);
    expect((await says("STATUS Beside (MESSAGES)")).includes("MESSAGES 2")).toBe(true);
    await append("Beside", 9);
    const server = await testServer();
    try {
      await lab.run("sync", "127.0.0.1", `${server.port}`, "max");
      for (const name of ["user.max", "user.max.Work", "user.max.Beside"]) {
        expect(await livingUids(server.place, name)).toHaveLength(name === "user.max.Work" ? 2 : 3);
      }
    } finally {
      await server.stop();
    }
  }, 120_000);

  test("brings a user whom an administrator has deleted back, with all UIDs", async () => {
    const admin = await imapClient(lab.imapPort, "admin");
    await admin.command("SETACL user/max admin lrswipkxtecda");
    await admin.command("DELETE user/max");
    admin.close();
    const back = await restore("max");
    expect([back.exit, back.stderr]).toEqual([0, expect.any(String)]);
    const inbox = await says("SELECT INBOX", "UID FETCH 1:* (UID)");
    expect(inbox.match(/FETCH \(UID \d+/g)?.map((one) => one.slice(11))).toEqual(["1", "3", "4"]);
    const work = await says("SELECT Work", "UID FETCH 1:* (UID)");
    expect(work.match(/FETCH \(UID \d+/g)).toHaveLength(2);
    expect((await restore("max")).steps).toEqual([]);
    expect(await reconstructSays(lab)).toEqual([]);
  }, 120_000);

  test("brings all but a message that has rotted in the archive, sound to Cyrus", async () => {
    const [data = ""] = readdirSync(archive).filter((name) => name.startsWith("backupdata"));
    alterArchive(join(archive, data), "text of number 1", "test of number 1");
    // Of max himself Cyrus has the message still, and takes that.
    const back = await restore("max", "--as", "moritz");
    expect([back.exit, back.stderr]).toEqual([
      2,
      expect.stringMatching(/There is no message 2 of/),
    ]);
    const server = `sync://admin@127.0.0.1:${lab.syncPort}`;
    const ls = ["ls", server, "moritz", "--starttls", "never", "--json"];
    const { stdout } = await bobbin(ls, { env: { BOBBIN_PASSWORD: "labpass" } });
    const counts = jsonLines(stdout).filter(({ type }) => type === "mailbox");
    expect(counts.map(({ mailbox, messages }) => [mailbox, messages])).toEqual([
      ["user/moritz", 2],
      ["user/moritz/Work", 2],
    ]);
    expect(await reconstructSays(lab)).toEqual([]);
  }, 120_000);
});
