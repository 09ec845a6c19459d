/** `bobbin ls`, the built binary: its exit codes, its words and its objects. */
import { describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bobbin, bobbinOnTerminal, bobbinPath, jsonLines } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { has } from "../../support/needs.ts";
import { tempDir } from "../../support/temp_dir.ts";

const NOBODY = 65534;
const sound = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const damaged = join(unpackFixture("cyrus-spools/damaged"), "spool");
const CLEAN = "uuid/k/f/kf22otzf5j234px0uw69jzzw";

/** The imapd.conf of a fresh copy of a server, with its own paths in it. */
function serverConf(fixture: string): string {
  const root = unpackFixture(`cyrus-spools/${fixture}`);
  const conf = join(root, "imapd.conf");
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", root));
  return conf;
}

describe("bobbin ls", () => {
  test("counts per user", async () => {
    const { exit, stdout, stderr } = await bobbin(["ls", sound]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout.split("\n")).toContain("ann              13         26        60.4 KiB");
    expect(stdout).toContain("shared (shared)  2          1         198 bytes");
  });

  test("counts per mailbox, with external names or internal ones", async () => {
    const { exit, stdout } = await bobbin(["ls", sound, "ann"]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^user\/ann\/Entwürfe +1 +0 +1\.1 KiB$/m);
    expect(stdout).toMatch(/^DELETED\/user\/ann\/gone\/6B02CED6 +1 /m);
    const internal = await bobbin(["ls", sound, "ann", "--internal"]);
    expect(internal.stdout).toMatch(/^user\.ann\.Entw&APw-rfe +1 /m);
  });

  test("shows messages with UID, flags, date, size, GUID, From and Subject", async () => {
    const { exit, stdout } = await bobbin(["ls", sound, "ann", "user/ann"]);
    expect(exit).toBe(0);
    const [head, first] = stdout.split("\n");
    expect(head).toMatch(/^UID +FLAGS +DATE +SIZE +GUID +FROM +SUBJECT$/);
    expect(first).toMatch(/^1 +\\Seen +2026-01-01T00:00:00Z +1085 +325a90048fa5afac/);
    expect(first).toContain("Sender 0 <sender0@example.org>");
    expect(stdout).toContain("Grüße: quota invoice expunge");
    for (const name of ["INBOX", "user.ann"]) {
      expect((await bobbin(["ls", sound, "ann", name])).stdout).toBe(stdout);
    }
    const drafts = await bobbin(["ls", sound, "ann", "Entwürfe"]);
    expect(drafts.stdout.split("\n")).toHaveLength(3);
    const quick = await bobbin(["ls", sound, "ann", "INBOX", "--no-headers"]);
    expect(quick.stdout).not.toContain("Sender");
  });

  test("shortens GUIDs and dates in 80 columns of a terminal, and none with --full", async () => {
    const env = { COLUMNS: "80" };
    const narrow = await bobbinOnTerminal(["ls", sound, "ann", "INBOX"], { env });
    const [head = "", first] = narrow.shown.split("\r\n");
    expect(head).toMatch(/^UID +FLAGS +DATE +SIZE +SHORT GUID +FROM +SUBJECT$/);
    expect(first).toMatch(/^1 +\\Seen +2026-01-01T00:00Z +1085 +325a90048f /);
    const full = await bobbinOnTerminal(["ls", "--full", sound, "ann", "INBOX"], { env });
    const piped = await bobbin(["ls", sound, "ann", "INBOX"]);
    expect(full.shown.replaceAll("\r\n", "\n")).toBe(piped.stdout);
  });

  test("shared mailboxes are listed by the first part of their names", async () => {
    const { exit, stdout } = await bobbin(["ls", sound, "shared", "--shared"]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^shared\/news +0 /m);
    const messages = await bobbin(["ls", sound, "shared", "shared", "--shared"]);
    expect(messages.stdout).toContain("message number 1");
  });

  test("--json gives both names of a mailbox, and the summary last", async () => {
    const users = jsonLines((await bobbin(["ls", sound, "--json"])).stdout);
    expect(users).toContainEqual(
      expect.objectContaining({ type: "user", user: "ann", mailboxes: 13, deletedMailboxes: 1 }),
    );
    expect(users.at(-1)).toMatchObject({ type: "summary", users: 3, shared: 1, exit: 0 });
    const mailboxes = jsonLines((await bobbin(["ls", sound, "ann", "--json"])).stdout);
    expect(mailboxes).toContainEqual(
      expect.objectContaining({
        type: "mailbox",
        user: "ann",
        mailbox: "user/ann/Entwürfe",
        internalname: "user.ann.Entw&APw-rfe",
        uniqueid: "5covdqw3flyqp05p39v2pkab",
        messages: 1,
      }),
    );
    const messages = jsonLines((await bobbin(["ls", sound, "ann", "INBOX", "--json"])).stdout);
    expect(messages[0]).toMatchObject({
      type: "message",
      uid: 1,
      flags: ["\\Seen"],
      size: 1085,
      guid: "325a90048fa5afac3461b9a563d8d0120458aede",
      from: "Sender 0 <sender0@example.org>",
    });
    expect(messages.at(-1)).toMatchObject({ type: "summary", messages: 15, exit: 0 });
  });

  test("a legacy spool goes by its paths, where cyrus.header still has old names", async () => {
    const legacy = join(unpackFixture("cyrus-spools/legacy-paths"), "spool");
    const { stdout } = await bobbin(["ls", legacy, "ann"]);
    expect(stdout).toMatch(/^user\/ann\/Lists\/renamed +3 /m);
    expect(stdout).toMatch(/^DELETED\/user\/ann\/gone\/6B02CED2 +1 /m);
  });

  test("a whole server is listed by its imapd.conf", async () => {
    const conf = serverConf("uuid-paths");
    for (const place of [`cyrus:${conf}`, conf]) {
      const { exit, stdout } = await bobbin(["ls", place]);
      expect(exit).toBe(0);
      expect(stdout.split("\n")).toContain("ann              13         26        60.4 KiB");
    }
    const messages = await bobbin(["ls", conf, "ann", "INBOX"]);
    expect(messages.stdout).toContain("Grüße: quota invoice expunge");
  });

  test("a store is listed too", async () => {
    const store = join(tempDir("store"), "store");
    expect((await bobbin(["store", "init", store])).exit).toBe(0);
    expect(await bobbin(["ls", `store:${store}`])).toMatchObject({ exit: 0, stdout: "" });
    expect((await bobbin(["ls", store, "nobody"])).exit).toBe(66);
  });

  test("mail and names cannot move the cursor", async () => {
    const spool = tempDir("evil");
    const mailbox = join(spool, "user", "evil\u001b[2J\u202e");
    cpSync(join(damaged, CLEAN), mailbox, { recursive: true });
    rmSync(join(mailbox, "cyrus.header"));
    const evil = await bobbin(["ls", spool, "evil\u001b[2J\u202e"]);
    expect(evil.stdout + evil.stderr).not.toMatch(/[\u001b\u202e]/);
    expect(evil.stderr).toContain("evil\\u{1b}[2J\\u{202e}");
  });
});

describe("exit codes of bobbin ls", () => {
  test("1 where a mailbox or a message is damaged, and the rest is listed", async () => {
    const { exit, stdout, stderr } = await bobbin(["ls", damaged, "dan"]);
    expect(exit).toBe(1);
    expect(stdout).toMatch(/^user\/dan\/00-clean +4 /m);
    expect(stderr).toContain("Cannot read user/dan/10-record-flip: record 2 of cyrus.index");
    const messages = await bobbin(["ls", damaged, "dan", "01-body-flip", "--json"]);
    expect(messages.exit).toBe(1);
    expect(messages.stderr).toContain("Cannot give out user/dan/01-body-flip uid 2: its SHA-1 is");
    const objects = jsonLines(messages.stdout);
    expect(objects.filter(({ type }) => type === "message")).toHaveLength(4);
    expect(objects).toContainEqual(
      expect.objectContaining({ type: "error", uid: 2, mailbox: "user/dan/01-body-flip" }),
    );
  });

  test.skipIf(!has("root"))(
    "2 where a mailbox may not be read, and the rest is listed",
    async () => {
      const spool = tempDir("partial");
      chmodSync(spool, 0o755);
      for (const name of ["one", "two"]) {
        cpSync(join(damaged, CLEAN), join(spool, "user", "eve", name), { recursive: true });
      }
      Bun.spawnSync(["chown", "-R", String(NOBODY), spool]);
      chmodSync(join(spool, "user/eve/two/cyrus.index"), 0);
      const { exit, stdout, stderr } = await bobbin(["ls", spool, "eve"], { uid: NOBODY });
      expect(exit).toBe(2);
      expect(stdout).toMatch(/^user\/eve\/one +4 /m);
      expect(stderr).toMatch(/Cannot read user\/eve\/two: .*cyrus\.index: EACCES/);
    },
  );

  test("64 for arguments that make no sense", async () => {
    for (const args of [["ls"], ["ls", sound, "--nope"], ["ls", "ftp:/somewhere"]]) {
      const { exit, stderr } = await bobbin(args);
      expect({ args, exit }).toEqual({ args, exit: 64 });
      expect(stderr).not.toBe("");
    }
  });

  test("65 for the messages of a damaged mailbox", async () => {
    const { exit, stderr, stdout } = await bobbin(["ls", damaged, "dan", "10-record-flip"]);
    expect({ exit, stdout }).toEqual({ exit: 65, stdout: "" });
    expect(stderr).toContain("record 2 of cyrus.index (uid 2) fails its CRC");
  });

  test("65 for a server whose list of mailboxes is damaged", async () => {
    const conf = serverConf("conversations-3.6");
    const list = join(dirname(conf), "conf/mailboxes.db");
    const bytes = readFileSync(list);
    const at = bytes.lastIndexOf("user\x1fann\x1fSent");
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(list, bytes);
    const { exit, stderr } = await bobbin(["ls", conf]);
    expect(exit).toBe(65);
    expect(stderr).toContain("mailboxes.db");
  });

  test("78 for a file that is no imapd.conf", async () => {
    const conf = join(tempDir("conf"), "imapd.conf");
    writeFileSync(conf, "partition-default: /nowhere\n");
    const { exit, stderr } = await bobbin(["ls", `cyrus:${conf}`]);
    expect(exit).toBe(78);
    expect(stderr).toContain("configdirectory");
  });

  test("66 for a place, a user or a mailbox that is not there", async () => {
    for (const args of [
      ["/no/such/place"],
      [sound, "nobody"],
      [sound, "ann", "Nope"],
      [sound, "nobody", "INBOX"],
      [sound, "ann", "--shared"],
    ]) {
      const { exit, stderr } = await bobbin(["ls", ...args]);
      expect({ args, exit }).toEqual({ args, exit: 66 });
      expect(stderr).toMatch(/^bobbin: Cannot find /);
    }
  });

  test("74 when nobody takes the output any more", () => {
    const command = `{ "$0" ls "$1" ann; echo $? >&2; } | true`;
    const child = Bun.spawnSync(["sh", "-c", command, bobbinPath(), sound]);
    expect(child.stderr.toString().trim()).toBe("74");
  });

  test.skipIf(!has("root"))("77 for a place that may not be read", async () => {
    const closed = tempDir("closed");
    chmodSync(closed, 0o700);
    const { exit, stderr } = await bobbin(["ls", closed], { uid: NOBODY });
    expect(exit).toBe(77);
    expect(stderr).toContain("EACCES");
  });

  test("66 for a folder without any mailbox", async () => {
    const spool = tempDir("empty");
    mkdirSync(join(spool, "stage."));
    writeFileSync(join(spool, "README"), "nothing here\n");
    expect(await bobbin(["ls", spool])).toMatchObject({ exit: 66, stdout: "" });
  });
});
