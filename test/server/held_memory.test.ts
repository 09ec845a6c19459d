/**
 * What unfinished commands hold in memory is bounded for all sessions together, not for each alone.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { Csync } from "../support/csync.ts";
import { type TestServer, testServer, untilSessions } from "../support/serve.ts";
import { until } from "../support/until.ts";

const LOCKED = "NO IMAP_MAILBOX_LOCKED Mailbox is locked";
/** Of each byte of a line, three are counted: the line, what is made of it, and a copy. */
const HELD_BYTES = 12_000_000;

let server: TestServer;

afterEach(async () => {
  await server.stop();
});

async function serve(): Promise<void> {
  const limits = { heldBytes: HELD_BYTES, atomBytes: HELD_BYTES, applyRecords: 1_000_000 };
  server = await testServer({ limits });
}

function sub(bytes: number): string {
  return `APPLY SUB %(USERID admin MBOXNAME {${bytes}+}\r\n${"x".repeat(bytes)})`;
}

/** Waits until what was sent has arrived and is held. */
async function untilHeld(bytes: number): Promise<void> {
  await until(`${bytes} bytes held`, () => server.server.heldBytes() >= 3 * bytes);
}

describe("memory that all sessions hold together", () => {
  test("is given to who came first; the other is refused in step, and later not", async () => {
    await serve();
    const [first, second] = [await Csync.signedIn(server.port), await Csync.signedIn(server.port)];
    const [begun, rest] = [sub(2_300_000).slice(0, 2_200_000), sub(2_300_000).slice(2_200_000)];
    const fine = (await second.command(sub(2_600_000))).status;
    first.send(begun);
    await untilHeld(begun.length - 70_000);
    expect((await second.command(sub(2_600_000))).status).toBe(LOCKED);
    expect((await second.command("NOOP")).status).toBe("OK Nothing done");
    expect((await second.command(sub(10))).status).toBe("OK success");
    expect(server.log.join("\n")).toMatch(/warning No room in memory for a command .*APPLY/);
    expect((await first.command(rest)).status).toBe(fine);
    expect((await second.command(sub(2_600_000))).status).toBe(fine);
  });

  test("is free again when a session has gone in the middle of a command", async () => {
    await serve();
    const [first, second] = [await Csync.signedIn(server.port), await Csync.signedIn(server.port)];
    first.send(sub(2_300_000).slice(0, 2_200_000));
    await untilHeld(2_130_000);
    expect((await second.command(sub(2_600_000))).status).toBe(LOCKED);
    first.close();
    await untilSessions(server, 1);
    expect((await second.command(sub(2_600_000))).status).not.toBe(LOCKED);
  });

  test("counts records, white space and many small values", async () => {
    await serve();
    const client = await Csync.signedIn(server.port);
    const record = (uid: number) =>
      `%(UID ${uid} MODSEQ 2 LAST_UPDATED 5 FLAGS () INTERNALDATE 5 SIZE 3 GUID ${"a".repeat(40)})`;
    const records = Array.from({ length: 20_000 }, (_, uid) => record(uid + 1)).join(" ");
    const lines = [
      `APPLY MAILBOX %(UNIQUEID id MBOXNAME user.anne RECORD (${records}))`,
      `GET MAILBOXES (a${" ".repeat(6_000_000)}b)`,
      `GET MAILBOXES (${"() ".repeat(200_000)})`,
    ];
    for (const line of lines) {
      expect((await client.command(line)).status).toBe(LOCKED);
      expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    }
    expect((await client.command("GET MAILBOXES (user.anne)")).data).toEqual([]);
  });

  test("is not needed for messages, however large and however many", async () => {
    await serve();
    const client = await Csync.signedIn(server.port);
    const message = "x".repeat(500_000);
    const guid = new Bun.CryptoHasher("sha1").update(message).digest("hex");
    const files = Array.from({ length: 6 }, () => `%{default ${guid} 500000}\r\n${message}`);
    expect((await client.command(`APPLY MESSAGE (${files.join(" ")})`)).status).toBe("OK success");
  });

  test("bounds the process, whatever a hundred sessions begin", async () => {
    await serve();
    const clients: Csync[] = [];
    for (let count = 0; count < 100; count++) clients.push(await Csync.signedIn(server.port));
    const before = process.memoryUsage().rss;
    for (const client of clients) client.send(sub(1_000_000).slice(0, 990_000));
    // Who has no room is read past: all 99 MB are taken, and few of them are held.
    const statuses = await Promise.all(
      clients.map((client) => client.command(sub(1_000_000).slice(990_000))),
    );
    expect(statuses.filter(({ status }) => status === LOCKED).length).toBeGreaterThan(90);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
    for (const client of clients) client.close();
  });
});
