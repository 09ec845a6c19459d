/** A store served by backupcyrusd's protocol. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { latin1 } from "../../../src/core/bytes.ts";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { openBackupcyrusPlace } from "../../../src/places/backupcyrus/backupcyrus_place.ts";
import { openLink } from "../../../src/places/sync/sign_in.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "../../places/example_mail.ts";
import { readsConform } from "../../places/reading_conformance.ts";
import { Csync } from "../../support/csync.ts";
import { has, outsideAddress } from "../../support/needs.ts";
import { granted, ownersIn, recordsIn } from "../../support/places.ts";
import { type TestServer, testServer } from "../../support/serve.ts";
import { guidOf, message, peerCrcs, record, stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";
import { backupClient, capturedAnswers } from "../../support/wire_server.ts";

const [FRED] = EXAMPLE_OWNERS;
const path = join(tempDir("backup"), "backup.sock");
let server: TestServer;
let port = 0;

beforeAll(async () => {
  const local = { host: "127.0.0.1", port: 0, tls: false };
  server = await testServer({ backupListen: [{ path, tls: false }, local] });
  await putExampleMail(server.place);
  port = Number(server.server.backupAddresses[1]?.split(":").at(-1));
});
afterAll(() => server.stop());

/** All that is answered to these bytes on a connection of its own. */
async function said(lines: string): Promise<string> {
  const socket = connect({ path });
  let answer = "";
  socket.on("data", (chunk: Uint8Array) => {
    answer += latin1(chunk);
  });
  socket.end(lines);
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}

readsConform("a store behind backupcyrusd's protocol", {
  open: () => backupClient(path),
  owners: FRED === undefined ? [] : [FRED],
});

describe("a unix socket for backups", () => {
  test("is for its owner alone", () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("gives what the store's own place gives", async () => {
    const client = backupClient(path);
    const [theirs, ours] = [await client.user("fred"), await server.place.user("fred")].map(
      granted,
    );
    expect(theirs?.seen).toEqual(ours?.seen as []);
    expect(theirs?.subscriptions).toEqual(ours?.subscriptions as []);
    for (const { name } of ours?.mailboxes ?? []) {
      const [there, here] = [await client.readMailbox(name), await server.place.readMailbox(name)];
      expect(await recordsIn(granted(there).records)).toEqual(
        await recordsIn(granted(here).records),
      );
      const { syncCrc, uniqueid, highestmodseq, userflags } = granted(here).state;
      expect(granted(there).state).toMatchObject({ syncCrc, uniqueid, highestmodseq, userflags });
    }
    await client.close();
  });

  test("gives a mailbox as of one moment while it is written to", async () => {
    const client = backupClient(path);
    const session = await server.place.openSession();
    const name = "user.fred.Grows";
    const records: MailRecord[] = [];
    const append = async (uid: number) => {
      const bytes = message(uid);
      records.push(record(uid, { modseq: BigInt(uid) }));
      const writer = session.stage({
        ...{ partition: "p", guid: guidOf(bytes), size: bytes.length },
      });
      await writer.write(bytes);
      await writer.end();
      granted(await session.flush());
      const state = stateOf(name, records);
      const added = recordsOf(records.slice(-1));
      granted(await session.apply({ kind: "mailbox", state, records: added }));
    };
    await append(1);
    let isWriting = true;
    const writing = (async () => {
      for (let uid = 2; uid <= 40; uid++) await append(uid);
      isWriting = false;
    })();
    const sizes = new Set<number>();
    while (isWriting) {
      const { state, records: source } = granted(await client.readMailbox(name));
      const found = await recordsIn(source);
      expect(peerCrcs(found).syncCrc).toBe(state.syncCrc ?? 0);
      sizes.add(found.length);
    }
    await writing;
    expect(sizes.size).toBeGreaterThan(2);
    granted(await session.apply({ kind: "unmailbox", name }));
    await session.close();
    await client.close();
  });

  const folder = "INBOX.Sub";
  test.each([
    ["PING\n", "OK\nDONE PING\n"],
    ["ping\r\n", "OK\nDONE PING\n"],
    ["PING fixture\n", "OK\nDONE PING\n"],
    ["QUIT\nPING\n", "OK\n"],
    ["USERS test\r\n", "OK\nUSER fred\nDONE USERS\n"],
    ["USERS wrong\n", "NO iam test\n"],
    ["META wrong bob\n", "NO iam test\n"],
    ["NONSENSE test bob\n", "NO unknown command NONSENSE\n"],
    ["USERS\n", "NO bad command\n"],
    ["FMULTISTATUS test\n", "NO bad command\n"],
    ["META test\n", "NO bad command\n"],
    ["FMETA test fred\n", "NO missing user\n"],
    ["FDATA test fred\n", "NO missing user\n"],
    ["a  b\nPING\n", "NO bad command\nOK\nDONE PING\n"],
    ["META test nobody\n", "OK\nDONE META\n"],
    ["META test nobody seen\n", "OK\nNO no such file seen\nDONE META\n"],
    ["FMULTISTATUS test nobody\n", "OK\nDONE FMULTISTATUS\n"],
    ["FMETA test nobody INBOX\n", "NO no such folder user.nobody\n"],
    ["FMETA test fred INBOX.a%5Eb\n", "NO no such folder user.fred.a%5Eb\n"],
    ["FMETA test fred user.ann\n", "NO no such folder user.ann\n"],
    ["FMETA test fred lists.dev\n", "NO no such folder user.fred.lists%5Edev\n"],
  ])("answers %p as upstream does", async (line, answer) => {
    expect(await said(line)).toBe(answer);
  });

  test("answers requests for files in the order and the form of upstream's", async () => {
    const uniqueid = granted(await server.place.readMailbox("user.fred.Sub")).state.uniqueid;
    const end = `DONE F\\w+ ${uniqueid} P\\S+\n`;
    const [facts, sha1] = ["\\d+ \\d+ \\d+\n", "[0-9a-f]{40}\n"];
    const block = (name: string) => `DATA ${name} ${facts}[\\s\\S]*?DONE ${name} ${sha1}`;
    const status = `STAT header ${facts}STAT index ${facts}STAT mailbox_annotations \\d+ 0 \\d+\n`;
    for (const [line, form] of [
      [`FMETA test fred ${folder}`, `${status}${end}`],
      [`FMETA test fred "${folder}" index header`, `${block("header")}${block("index")}${end}`],
      [
        `FMETA test fred ${folder} annotations mailbox_annotations nonsense`,
        `NO no such file annotations\n${block("mailbox_annotations")}${end}`,
      ],
      [`FMETA test fred user.fred.Sub header`, `${block("header")}${end}`],
      [`FDATA test fred ${folder}`, end],
      [
        `FDATA test fred ${folder} 3 99 abc 0`,
        `${block("3")}NO no such file 99\nNO no such file abc\nNO no such file 0\n${end}`,
      ],
      ["META test fred nonsense sub", `${block("sub")}DONE META\n`],
    ] as const) {
      expect(await said(`${line}\n`)).toMatch(new RegExp(`^OK\n${form}$`));
    }
  });

  test("answers whatever upstream's client has asked in a whole run", async () => {
    const client = [...capturedAnswers().keys()].filter((line) => / bob /.test(line));
    const lines = client.map((line) => line.replace("fixture bob", "test fred"));
    const answers = await said(`${lines.join("\n")}\nQUIT\n`);
    expect(lines.length).toBeGreaterThan(15);
    const outcomes = answers.match(/^(?:NO (?!no such file|empty|failed).*|DONE [A-Z]+.*)$/gm);
    expect(outcomes).toHaveLength(lines.length);
    expect(answers).toEndWith("OK\n");
  });

  test("ends with a line that is too long", async () => {
    expect(await said(`FDATA test fred INBOX ${"1 ".repeat(40_000)}\nPING\n`)).toBe(
      "NO bad command\n",
    );
  });
});

describe("a TCP socket for backups", () => {
  const open = (user: string) => {
    const address = { flavour: "csync", isTls: false, user, host: "127.0.0.1", port } as const;
    return openBackupcyrusPlace({
      ...{ locator: "backupcyrus://", where: "server" },
      connect: async () => {
        const password = () => Promise.resolve("labpass");
        const { dialogue } = await openLink({ address, password }, "signIn");
        return { connection: dialogue.connection, rest: dialogue.rest() };
      },
    });
  };

  test("says nothing without a sign-in", async () => {
    const client = backupClient(port);
    await expect(client.owners()).rejects.toMatchObject({ code: "refused" });
  });

  test("gives an account what it may touch, and nothing else", async () => {
    const admin = open("admin");
    expect(await ownersIn(admin)).toEqual([{ kind: "user", userid: "fred" }]);
    expect(granted(await admin.user("fred")).mailboxes).toHaveLength(2);
    await admin.close();
    const anne = open("anne");
    expect(await ownersIn(anne)).toEqual([]);
    const fred = granted(await anne.user("fred"));
    expect([fred.mailboxes, fred.subscriptions, fred.seen]).toEqual([[], [], []]);
    expect(await anne.readMailbox("user.fred")).toMatchObject({ reason: "nonexistent" });
    await anne.close();
  });
});

test.skipIf(!has("an address besides loopback"))(
  "backups go to other machines under TLS alone, though it is waived for csync",
  async () => {
    const host = outsideAddress() ?? "";
    const strict = await testServer({
      ...{ tls: TEST_TLS, backupListen: [{ host, port: 0, tls: false }] },
      settings: { requireTls: "nobody", allowPlaintext: true },
    });
    const [address = ""] = strict.server.backupAddresses;
    const { client, banner } = await Csync.open(Number(address.split(":").at(-1)), { host });
    expect(banner.data).toEqual(["STARTTLS"]);
    const plain = Buffer.from("\0admin\0labpass").toString("base64");
    expect((await client.command(`AUTHENTICATE PLAIN ${plain}`)).status).toMatch(/^NO /);
    await client.startTls();
    expect((await client.command(`AUTHENTICATE PLAIN ${plain}`)).status).toMatch(/^OK /);
    expect((await client.command("PING")).status).toBe("OK");
    client.close();
    await strict.stop();
  },
);

describe("startListener()", () => {
  test("takes the place of a socket that a killed server has left, and no other", async () => {
    const left = join(tempDir("left"), "left.sock");
    const holder = Bun.spawn([process.execPath, "-e", LEAVES_A_SOCKET, left]);
    await holder.exited;
    expect(statSync(left).isSocket()).toBe(true);
    const second = await testServer({ backupListen: [{ path: left, tls: false }] });
    await second.stop();
    writeFileSync(left, "mine");
    const starting = testServer({ backupListen: [{ path: left, tls: false }] });
    await expect(starting).rejects.toMatchObject({ code: "cannot_create" });
    const other = testServer({ backupListen: [{ path, tls: false }] });
    await expect(other).rejects.toMatchObject({ code: "cannot_create" });
  });
});

const LEAVES_A_SOCKET =
  'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
