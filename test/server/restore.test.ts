/** RESTORE, as the first backup system of Cyrus sends it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Csync } from "../support/csync.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { guidOf, message } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";

let server: TestServer;
let client: Csync;

beforeEach(async () => {
  server = await testServer();
  client = await Csync.signedIn(server.port);
});

afterEach(async () => {
  client.close();
  await server.stop();
});

function record(uid: number, number: number): string {
  const bytes = message(number);
  return (
    `%(UID ${uid} MODSEQ 9 LAST_UPDATED 1700000000 FLAGS (\\Seen) INTERNALDATE 1700000000 ` +
    `SIZE ${bytes.length} GUID ${guidOf(bytes)})`
  );
}

async function stage(number: number): Promise<void> {
  const bytes = message(number);
  client.send(`APPLY MESSAGE (%{default ${guidOf(bytes)} ${bytes.length}}\r\n`);
  client.send(bytes);
  expect((await client.command(")")).status).toBe("OK success");
}

async function restore(fields: string, ...records: string[]): Promise<string> {
  const line =
    `RESTORE LOCAL_MAILBOX %(MBOXNAME user.fred ${fields} RECORD ` + `(${records.join(" ")}))`;
  return (await client.command(line)).status;
}

/** UID, modseq and GUID of what is there. */
async function uids(): Promise<string[]> {
  const { data } = await client.command("GET FULLMAILBOX user.fred");
  const found = (data[0] ?? "").matchAll(/UID (\d+) MODSEQ (\d+) .*?GUID (\w+)/g);
  return [...found].map(([, uid, modseq, guid]) => `${uid} ${modseq} ${guid}`);
}

describe("RESTORE MAILBOX", () => {
  test("makes a mailbox with the identity it is given, if that is whole", async () => {
    await stage(1);
    const whole = "UNIQUEID given-id UIDVALIDITY 77 HIGHESTMODSEQ 30";
    expect(await restore(whole, record(4, 1))).toBe("OK success");
    const { data } = await client.command("GET MAILBOXES (user.fred)");
    expect(data[0]).toMatch(/UNIQUEID given-id .*LAST_UID 4 HIGHESTMODSEQ 30 .*UIDVALIDITY 77 /);
    expect(data[0]).toContain('ACL "fred\tlrswipkxtecdan\t"');
    expect(await uids()).toEqual([`4 30 ${guidOf(message(1))}`]);
  });

  test("gives a new mailbox an identity of its own otherwise", async () => {
    await stage(1);
    expect(await restore("UNIQUEID given-id UIDVALIDITY 77", record(1, 1))).toBe("OK success");
    const { data } = await client.command("GET MAILBOXES (user.fred)");
    expect(data[0]).not.toContain("given-id");
    expect(data[0]).not.toContain("UIDVALIDITY 77 ");
  });

  test("appends to what is there under new UIDs", async () => {
    await stage(1);
    await stage(2);
    const whole = "UNIQUEID given-id UIDVALIDITY 77 HIGHESTMODSEQ 30";
    expect(await restore(whole, record(4, 1))).toBe("OK success");
    expect(await restore("", record(1, 2), record(2, 1))).toBe("OK success");
    expect(await uids()).toEqual([
      `4 30 ${guidOf(message(1))}`,
      `5 31 ${guidOf(message(2))}`,
      `6 31 ${guidOf(message(1))}`,
    ]);
    verifyStore(server.root);
  });

  test("refuses a message that was not sent before, and changes nothing", async () => {
    expect(await restore("", record(1, 1))).toStartWith("NO ");
    expect((await client.command("GET MAILBOXES (user.fred)")).data).toEqual([]);
  });
});
