/**
 * How much memory `bobbin serve`, as built, takes at most: many clients, and some that mean harm.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { constants, deflateRawSync } from "node:zlib";
import { Csync } from "../support/csync.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";
import { guidOf, message } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const IDLE = 100;
const BUSY = 20;
const MESSAGES = isLong ? 250 : 25;
const MESSAGE_BYTES = 30_000;
const MEMORY_MIB = 250;

describe("bobbin serve", () => {
  let served: ServedBinary;
  let port = 0;

  beforeAll(async () => {
    served = await serveBinary({ args: ["--quiet"] });
    ({ port } = served);
  });

  afterAll(() => {
    served.child.kill("SIGKILL");
  });

  /** The server is well: it answers a new client soon. */
  async function answers(): Promise<void> {
    const client = await Csync.signedIn(port);
    expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    client.close();
  }

  /** The server has read all that these have sent: it answers at the end of the line. */
  async function readAll(strangers: readonly Csync[]): Promise<void> {
    for (const client of strangers) client.send("\r\n");
    for (const client of strangers) {
      expect((await client.reply()).status).toBe("NO Sign in first");
    }
  }

  test("keeps little of what strangers send", async () => {
    const strangers = await Promise.all(
      Array.from({ length: 100 }, async () => (await Csync.open(port)).client),
    );
    const chunk = new Uint8Array(256 * 1024).fill(120);
    for (let count = 0; count < 12; count++) {
      for (const client of strangers) client.send(chunk);
    }
    await readAll(strangers);
    await answers();
    for (const client of strangers) client.close();
    expect(served.peakMib()).toBeLessThan(MEMORY_MIB);
  });

  test("reads a megabyte that inflates to a gigabyte as it is wanted", async () => {
    // Zeros in raw deflate, ended on a byte without being the last block: it may be sent again and
    // again.
    const zeros = deflateRawSync(new Uint8Array(64 * 1024 * 1024), {
      finishFlush: constants.Z_FULL_FLUSH,
    });
    const strangers: Csync[] = [];
    for (let count = 0; count < 16; count++) {
      const { client } = await Csync.open(port);
      strangers.push(client);
      await client.compress();
      client.sendRaw(zeros);
    }
    await readAll(strangers);
    await answers();
    for (const client of strangers) client.close();
    expect(served.peakMib()).toBeLessThan(MEMORY_MIB);
  });

  test("keeps no answers for who does not read them", async () => {
    const deaf = await Csync.signedIn(port);
    const value = `{1000000}\r\n${"\xe9".repeat(1_000_000)}`;
    const set = `APPLY ANNOTATION %(MBOXNAME "" ENTRY /x USERID "" VALUE ${value})`;
    expect((await deaf.command(set)).status).toBe("OK success");
    deaf.pause();
    deaf.send('GET ANNOTATION ""\r\n'.repeat(1500));
    await answers();
    deaf.resume();
    for (let count = 0; count < 5; count++) {
      const { data, status } = await deaf.reply();
      expect([data.join().length > 1_000_000, status]).toEqual([true, "OK success"]);
    }
    deaf.close();
    expect(served.peakMib()).toBeLessThan(MEMORY_MIB);
  });

  test(`holds ${IDLE} idle and ${BUSY} busy sessions in ${MEMORY_MIB} MiB`, async () => {
    const idle: Csync[] = [];
    for (let count = 0; count < IDLE; count++) idle.push(await Csync.signedIn(port));
    const busy = await Promise.all(Array.from({ length: BUSY }, () => Csync.signedIn(port)));
    await Promise.all(busy.map((client, number) => fill(client, `user${number}`)));
    for (const client of idle) {
      expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    }
    if (isLong)
      console.log(`${IDLE} idle, ${BUSY} busy: ${served.peakMib().toFixed(0)} MiB at most`);
    expect(served.peakMib()).toBeLessThan(MEMORY_MIB);
    for (const client of [...idle, ...busy]) client.close();
    served.child.kill("SIGTERM");
    expect(await served.child.exited).toBe(0);
    expect(Object.keys(verifyStore(served.store))).toHaveLength(BUSY);
  });
});

/** Brings one user with an INBOX. */
async function fill(client: Csync, user: string): Promise<void> {
  const records: string[] = [];
  for (let uid = 1; uid <= MESSAGES; uid++) {
    const bytes = message(uid, MESSAGE_BYTES);
    const guid = guidOf(bytes);
    client.send(`APPLY MESSAGE (%{default ${guid} ${bytes.length}}\r\n`);
    client.send(bytes);
    expect((await client.command(")")).status).toBe("OK success");
    records.push(
      `%(UID ${uid} MODSEQ 2 LAST_UPDATED 1700000000 FLAGS () INTERNALDATE 1700000000 ` +
        `SIZE ${bytes.length} GUID ${guid})`,
    );
  }
  const line =
    `APPLY MAILBOX %(UNIQUEID id-${user} MBOXNAME user.${user} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    `LAST_UID ${MESSAGES} HIGHESTMODSEQ 2 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 ` +
    "POP3_LAST_LOGIN 0 " +
    `UIDVALIDITY 1 PARTITION default ACL "" OPTIONS "" RECORD (${records.join(" ")}))`;
  expect((await client.command(line)).status).toBe("OK success");
}
