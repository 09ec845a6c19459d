/** `bobbin cat`, the built binary: bytes that are proven, or none. */
import { describe, expect, test } from "bun:test";
import { chmodSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinPath } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { has } from "../../support/needs.ts";
import { put } from "../../support/replication.ts";
import { testServer } from "../../support/serve.ts";
import { guidOf, message, record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { versionPeer } from "../../support/version_peer.ts";

const NOBODY = 65534;
const sound = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const damaged = join(unpackFixture("cyrus-spools/damaged"), "spool");
const CLEAN = "uuid/k/f/kf22otzf5j234px0uw69jzzw";
const INBOX = "uuid/u/4/u4pduq8e674pzpldk63mek5z";
const GUID = "325a90048fa5afac3461b9a563d8d0120458aede";

describe("bobbin cat", () => {
  const wanted = readFileSync(join(sound, INBOX, "1."));

  for (const message of [GUID, GUID.toUpperCase(), "user/ann/1", "ann/INBOX/1", "ann/1."]) {
    test(`prints the bytes of ${message}`, () => {
      const child = Bun.spawnSync([bobbinPath(), "cat", sound, message]);
      expect(child.exitCode).toBe(0);
      expect(child.stderr.toString()).toBe("");
      expect(Buffer.from(child.stdout).equals(wanted)).toBe(true);
    });
  }

  test("takes Unicode names, internal ones, and those of shared mailboxes", async () => {
    const external = await bobbin(["cat", sound, "user/ann/Entwürfe/1"]);
    const internal = await bobbin(["cat", sound, "user.ann.Entw&APw-rfe/1", "--internal"]);
    expect(external.exit).toBe(0);
    expect(internal.stdout).toBe(external.stdout);
    expect((await bobbin(["cat", sound, "shared/1"])).stdout).toContain("This is message 1.");
  });

  test("prints a large message whole", () => {
    const spool = tempDir("large");
    const mailbox = join(spool, "user", "eve");
    cpSync(join(damaged, CLEAN), mailbox, { recursive: true });
    const bytes = Buffer.alloc(9 * 1024 * 1024 + 5, "0123456789\r\n");
    writeFileSync(join(mailbox, "1."), bytes);
    const index = readFileSync(join(mailbox, "cyrus.index"));
    const guid = Buffer.from(Bun.SHA1.hash(bytes, "hex"), "hex");
    // Record 1 of version 17: its GUID at 60, its size at 12, its CRC at 108.
    guid.copy(index, 160 + 60);
    index.writeUInt32BE(bytes.length, 160 + 12);
    index.writeUInt32BE(Bun.hash.crc32(index.subarray(160, 160 + 108)), 160 + 108);
    writeFileSync(join(mailbox, "cyrus.index"), index);
    const child = Bun.spawnSync([bobbinPath(), "cat", spool, "eve/INBOX/1"]);
    expect(child.exitCode).toBe(0);
    expect(Buffer.from(child.stdout).equals(bytes)).toBe(true);
  });

  test("finds a sound copy where another is damaged", async () => {
    // The same message lies in every mailbox of dan; 04-empty has lost it.
    const { exit, stdout } = await bobbin(["cat", damaged, "user/dan/04-empty/3"]);
    expect(exit).toBe(0);
    const guid = Bun.SHA1.hash(stdout, "hex");
    expect((await bobbin(["cat", damaged, guid])).stdout).toBe(stdout);
  });
});

describe("exit codes of bobbin cat", () => {
  test("64 for what is no message, for JSON, and for a terminal without --raw", async () => {
    for (const args of [
      [sound],
      [sound, "what"],
      [sound, "user/ann/0"],
      [sound, "user/ann/99999999999"],
      [sound, "user/ann/1", "--json"],
    ]) {
      const { exit, stderr } = await bobbin(["cat", ...args]);
      expect({ args, exit }).toEqual({ args, exit: 64 });
      expect(stderr).not.toBe("");
    }
  });

  test("64 at a terminal unless --raw is given", () => {
    const onTerminal = (command: string) => {
      const child = Bun.spawnSync(["script", "-qec", `${bobbinPath()} ${command}`, "/dev/null"]);
      return { exit: child.exitCode, text: child.stdout.toString() };
    };
    const refused = onTerminal(`cat ${sound} user/ann/1`);
    expect(refused.exit).toBe(64);
    expect(refused.text).toContain("--raw");
    expect(refused.text).not.toContain("sender0@example.org");
    const printed = onTerminal(`cat --raw ${sound} user/ann/1`);
    expect(printed.exit).toBe(0);
    expect(printed.text).toContain("sender0@example.org");
  });

  test("65 for a damaged message, and not a byte of it", async () => {
    for (const mailbox of ["01-body-flip", "02-header-line-flip", "03-truncated", "04-empty"]) {
      const { exit, stdout, stderr } = await bobbin(["cat", damaged, `user/dan/${mailbox}/2`]);
      expect({ mailbox, exit, stdout }).toEqual({ mailbox, exit: 65, stdout: "" });
      expect(stderr).toContain(`user/dan/${mailbox} uid 2`);
    }
    const index = await bobbin(["cat", damaged, "user/dan/10-record-flip/1"]);
    expect({ exit: index.exit, stdout: index.stdout }).toEqual({ exit: 65, stdout: "" });
  });

  test("66 for a place, mailbox, uid or GUID that is not there", async () => {
    for (const args of [
      ["/no/such/place", GUID],
      [sound, "user/ann/Nope/1"],
      [sound, "user/ann/999"],
      [sound, "0123456789".repeat(4)],
      [damaged, "user/dan/06-missing/2"],
    ]) {
      const { exit, stdout, stderr } = await bobbin(["cat", ...args]);
      expect({ args, exit, stdout }).toEqual({ args, exit: 66, stdout: "" });
      expect(stderr).not.toBe("");
    }
  });

  test("74 when nobody takes the output any more", () => {
    const command = `{ "$0" cat "$1" user/ann/1; echo $? >&2; } | true`;
    const child = Bun.spawnSync(["sh", "-c", command, bobbinPath(), sound]);
    expect(child.stderr.toString().trim()).toBe("74");
  });

  test.skipIf(!has("root"))("77 for a message that may not be read", async () => {
    const spool = tempDir("closed");
    chmodSync(spool, 0o755);
    cpSync(join(damaged, CLEAN), join(spool, "user", "eve"), { recursive: true });
    Bun.spawnSync(["chown", "-R", String(NOBODY), spool]);
    chmodSync(join(spool, "user/eve/1."), 0);
    const { exit, stderr } = await bobbin(["cat", spool, "eve/INBOX/1"], { uid: NOBODY });
    expect(exit).toBe(77);
    expect(stderr).toContain("EACCES");
  });
});

describe("bobbin cat from a server", () => {
  const env = { BOBBIN_PASSWORD: "labpass" };
  const mine = { 1: message(1), 2: message(2) };

  test("finds a GUID among the users that the account may touch, and no other's", async () => {
    const server = await testServer();
    await put(server.place, "user.anne", [record(1)]);
    await put(server.place, "user.bob", [record(2)]);
    const at = (user: string) => `sync://${user}@127.0.0.1:${server.port}`;
    const cat = (user: string, wanted: string) => bobbin(["cat", at(user), wanted], { env });
    for (const [number, bytes] of Object.entries(mine)) {
      const found = await cat("admin", guidOf(bytes));
      expect([number, found.exit, found.stderr]).toEqual([number, 0, ""]);
      expect(found.stdout).toBe(Buffer.from(bytes).toString());
    }
    expect((await cat("anne", guidOf(mine[1]))).exit).toBe(0);
    expect((await cat("anne", guidOf(mine[2]))).exit).toBe(66);
    expect((await cat("anne", "user/anne/1")).exit).toBe(0);
    await server.stop();
  });

  test("says that a Cyrus cannot be searched, and gives a message by its address", async () => {
    const peer = await versionPeer("3.4", { told: true });
    const at = `sync://admin@127.0.0.1:${peer.port}`;
    const asked = await bobbin(["cat", at, "f".repeat(40)], { env });
    expect([asked.exit, asked.stdout]).toEqual([64, ""]);
    expect(asked.stderr).toMatch(/cannot list its users\n.*USER\/MAILBOX\/UID/);
    expect((await bobbin(["cat", at, "user/ann/1"], { env })).exit).toBe(0);
    await peer.stop();
  });
});
