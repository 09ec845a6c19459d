/** A real sync_client replicates to `bobbin serve`, and never notices that it is not Cyrus. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordsOf } from "../../src/model/mailbox.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { bobbin } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { type Lab, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { guidOf } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";
import { until } from "../support/until.ts";

const LAB = join(import.meta.dir, "../support/cyrus-lab/lab");
const hasLab = has("a Cyrus server");
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

/** What a run of sync_client made the server do, without signing in and enabling. */
async function sync(lab: Lab, server: TestServer, ...args: string[]): Promise<string[]> {
  const before = server.log.length;
  await lab.run("sync-client", "127.0.0.1", String(server.port), ...args);
  return server.log.slice(before).flatMap((line) => {
    const done = /(?:Did|Refused) a command .*command="([^"]+)"(.*)/.exec(line);
    const [, command = "", rest = ""] = done ?? [];
    return command === "" || command === "APPLY capabilities" ? [] : [`${command}${rest}`];
  });
}

const applies = (commands: readonly string[]) => commands.filter((one) => one.startsWith("APPLY"));

/** What the client says that it has sent, as Cyrus' own telemetry has it: `APPLY MAILBOX`. */
async function telemetry(lab: Lab, server: TestServer, user: string): Promise<string[]> {
  const args = ["sync", lab.folder, "127.0.0.1", String(server.port), user];
  const child = Bun.spawn(["bash", LAB, ...args], { stdout: "pipe", stderr: "pipe" });
  const said =
    (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  expect([await child.exited, said]).toEqual([0, said]);
  const sent = [...said.matchAll(/^(?:>\d+>)?((?:GET|APPLY|RESTORE) \w+)/gm)];
  return sent.map(([, command = ""]) => command).filter((one) => one !== "APPLY CAPABILITIES");
}

/** Runs once and once more: the second time there is nothing to do. */
async function settles(lab: Lab, server: TestServer, ...args: string[]): Promise<void> {
  const first = await sync(lab, server, ...args);
  expect(first.length).toBeGreaterThan(0);
  expect(applies(await sync(lab, server, ...args))).toEqual([]);
}

interface Setup {
  readonly title: string;
  readonly options: readonly string[];
  readonly users: readonly string[];
  /** They get shared mailboxes, a second reader, expired records … as well. */
  readonly everything?: boolean;
}

const VIRTUAL = ["--set", "virtdomains: userid"];
const REVERSE = ["--set", "reverseacls: yes"];

const SETUPS: readonly Setup[] = [
  { title: "uuid layout", options: ["--uuid-paths"], users: ["ann", "a.b"], everything: true },
  {
    title: "legacy layout, conversations, reverse ACLs",
    options: ["--legacy-paths", "--conversations", "on", ...REVERSE],
    users: ["ann", "a.b"],
  },
  {
    title: "uuid layout, conversations, reverse ACLs, virtual domains",
    options: ["--uuid-paths", "--conversations", "on", ...REVERSE, ...VIRTUAL],
    users: ["ann@example.com", "a.b@example.com", "ann@example.org"],
  },
  {
    title: "legacy layout, virtual domains",
    options: ["--legacy-paths", ...VIRTUAL],
    users: ["ann", "a.b@example.com"],
  },
];

/** The internal name of a user's INBOX. */
function inboxOf(user: string): string {
  const [name = "", domain] = user.split("@");
  return `${domain === undefined ? "" : `${domain}!`}user.${name.replace(".", "^")}`;
}

/** The name of a user's mailbox as an administrator of Cyrus writes it. */
function externalOf(user: string, folder?: string): string {
  const [name = "", domain] = user.split("@");
  const end = domain === undefined ? "" : `@${domain}`;
  return `user/${name}${folder === undefined ? "" : `/${folder}`}${end}`;
}

for (const { title, options, users, everything = false } of SETUPS) {
  describe.skipIf(!hasLab)(`sync_client of a real Cyrus, ${title}`, () => {
    let lab: Lab;
    let server: TestServer;

    beforeAll(async () => {
      server = await testServer({ level: "debug" });
      lab = await labUp(...options);
      const count = isLong ? "400" : "30";
      for (const [number, user] of users.entries()) {
        await lab.run("user", user);
        await lab.run("fill", user, count, "--seed", String(number), "--avg-kb", "4");
      }
      const [ann = "", other = ""] = users;
      if (everything) await lab.everything(ann, other);
    });

    afterAll(async () => {
      await lab.down();
      await server.stop();
    });

    test("-u brings each user over, and finds nothing to do the second time", async () => {
      for (const user of users) {
        await settles(lab, server, "-u", user);
        const sent = await telemetry(lab, server, user);
        expect(sent.length).toBeGreaterThan(0);
        expect(applies(sent)).toEqual([]);
        const found = await server.place.user(user);
        const names = found.kind === "ok" ? found.value.mailboxes.map(({ name }) => name) : [];
        expect(names).toContain(inboxOf(user));
        expect(names.length).toBeGreaterThan(10);
      }
    });

    test("-A and -m find nothing left to do", async () => {
      if (everything) {
        await settles(lab, server, "-u", "bob");
        await settles(lab, server, "-m", "shared", "shared/news");
        // Those that are left are placeholders and what lies below them.
        const left = applies(await sync(lab, server, "-A"));
        expect(left.filter((one) => !one.includes("mailbox=shared/deep"))).toEqual([]);
        expect(left).toHaveLength(3);
      }
      expect(applies(await sync(lab, server, "-A"))).toEqual([]);
      const names = users.flatMap((user) => [externalOf(user), externalOf(user, "Sent")]);
      expect(applies(await sync(lab, server, "-m", ...names))).toEqual([]);
    });

    test("a client that tries IMAP first is not kept waiting its ten seconds", async () => {
      const [user = ""] = users;
      const args = ["sync-client", lab.folder, "127.0.0.1", String(server.port), "-u", user];
      const env = { ...process.env, SYNC_TRY_IMAP: "yes" };
      const started = performance.now();
      const child = Bun.spawn(["bash", LAB, ...args], { env, stdout: "ignore", stderr: "ignore" });
      expect(await child.exited).toBe(0);
      expect(performance.now() - started).toBeLessThan(9000);
    });

    test("what changes comes over too: flags, folders, deletes, renames", async () => {
      const user = users.at(-1) ?? "";
      await lab.run("fill", user, "10", "--seed", "9", "--avg-kb", "4");
      expect(applies(await sync(lab, server, "-m", externalOf(user))).length).toBeGreaterThan(0);
      expect(applies(await sync(lab, server, "-m", externalOf(user)))).toEqual([]);
      expect(applies(await sync(lab, server, "-u", user)).length).toBeGreaterThan(0);
      await settles(lab, server, "-u", user);
    });

    test.if(everything)("a user whose folder the store has lost is brought anew", async () => {
      const before = Object.keys(verifyStore(server.root)).length;
      rmSync(join(server.root, "user/a/ann"), { recursive: true });
      await settles(lab, server, "-u", "ann");
      expect(server.log.join("\n")).toMatch(/Mail of a user is lost.* user=ann .*folder is gone/);
      expect(Object.keys(verifyStore(server.root))).toHaveLength(before);
    });

    test("the store is sound, and fsck says so too", async () => {
      const contents = verifyStore(server.root);
      expect(Object.keys(contents).length).toBeGreaterThan(10 * users.length);
      const fsck = await bobbin(["fsck", `store:${server.root}`]);
      expect([fsck.exit, fsck.stdout]).toEqual([0, fsck.stdout]);
    });
  });
}

describe.skipIf(!hasLab)("the conflict ladder of a real sync_client", () => {
  let lab: Lab;
  let server: TestServer;

  beforeAll(async () => {
    server = await testServer({ level: "debug" });
    lab = await labUp();
    await lab.run("user", "eve", "--plain");
    await lab.run("fill", "eve", "5", "--plain", "--avg-kb", "4");
    await settles(lab, server, "-u", "eve");
  });

  afterAll(async () => {
    await lab.down();
    await server.stop();
  });

  /** The INBOX as the replica has it. */
  async function inbox() {
    const found = await server.place.readMailbox("user.eve");
    if (found.kind === "refused") throw new Error(found.text);
    const records: MailRecord[] = [];
    for await (const batch of found.value.records.batches()) records.push(...batch);
    return { state: found.value.state, records };
  }

  /** Changes the replica behind the master's back. */
  async function change(records: readonly MailRecord[], messages: readonly Uint8Array[] = []) {
    const session = await server.place.openSession();
    for (const bytes of messages) {
      const writer = session.stage({
        partition: "default",
        guid: guidOf(bytes),
        size: bytes.length,
      });
      await writer.write(bytes);
      await writer.end();
    }
    await session.flush();
    const { state } = await inbox();
    const highestmodseq = records.reduce(
      (most, one) => (one.modseq > most ? one.modseq : most),
      0n,
    );
    const lastUid = records.reduce((most, one) => Math.max(most, one.uid), state.lastUid);
    const outcome = await session.apply({
      kind: "mailbox",
      state: { ...state, highestmodseq, lastUid, syncCrc: 0, syncCrcAnnot: 0 },
      records: recordsOf(records),
    });
    expect(outcome).toEqual({ kind: "ok", value: undefined });
    await session.close();
  }

  test("a flag set on the replica with a higher modseq is taken by the master", async () => {
    const { state, records } = await inbox();
    const [first] = records;
    if (first === undefined) throw new Error("the INBOX is empty");
    const modseq = state.highestmodseq + 5n;
    const lastUpdated = Math.floor(Date.now() / 1000) + 100;
    await change([{ ...first, flags: ["\\Flagged", "$FromReplica"], modseq, lastUpdated }]);
    await lab.run("fill", "eve", "1", "--plain", "--seed", "2");
    const commands = await sync(lab, server, "-u", "eve");
    expect(commands.some((one) => one.startsWith("GET fullmailbox"))).toBe(true);
    expect(applies(await sync(lab, server, "-u", "eve"))).toEqual([]);
    const after = (await inbox()).records.find((one) => one.uid === first.uid);
    expect(after?.flags).toEqual(["\\Flagged", "$FromReplica"]);
  });

  test("a message appended on the replica is fetched by the master", async () => {
    const { state, records } = await inbox();
    const bytes = Buffer.from("Subject: from the replica\r\n\r\nhello\r\n");
    const [like] = records;
    if (like === undefined) throw new Error("the INBOX is empty");
    const modseq = state.highestmodseq + 1n;
    const uid = state.lastUid + 1;
    const added = { ...like, uid, modseq, guid: guidOf(bytes), size: bytes.length, flags: [] };
    await change([{ ...added, annotations: [], cid: 0n, createdmodseq: modseq }], [bytes]);
    const commands = await sync(lab, server, "-u", "eve");
    expect(commands.some((one) => one.startsWith("GET fetch"))).toBe(true);
    expect(applies(await sync(lab, server, "-u", "eve"))).toEqual([]);
    expect((await inbox()).records.some((one) => one.guid === guidOf(bytes))).toBe(true);
  });

  test("the same UID with two messages: both survive under new UIDs", async () => {
    const { state, records } = await inbox();
    const bytes = Buffer.from("Subject: same uid\r\n\r\nreplica\r\n");
    const [like] = records;
    if (like === undefined) throw new Error("the INBOX is empty");
    const modseq = state.highestmodseq + 1n;
    const uid = state.lastUid + 1;
    const added = { ...like, uid, modseq, guid: guidOf(bytes), size: bytes.length, flags: [] };
    await change([{ ...added, annotations: [], cid: 0n, createdmodseq: modseq }], [bytes]);
    const alive = async () => (await inbox()).records.filter((one) => !one.expunged);
    const before = (await alive()).length;
    await lab.run("fill", "eve", "1", "--plain", "--seed", "3");
    await sync(lab, server, "-u", "eve");
    expect(applies(await sync(lab, server, "-u", "eve"))).toEqual([]);
    const after = await alive();
    expect(after).toHaveLength(before + 1);
    expect(after.some((one) => one.guid === guidOf(bytes))).toBe(true);
    expect(after.some((one) => one.uid === uid)).toBe(false);
    verifyStore(server.root);
  });
});

describe.skipIf(!hasLab)("a real sync_server 3.6.1 beside bobbin serve", () => {
  let lab: Lab;
  let server: TestServer;

  beforeAll(async () => {
    lab = await labUp();
    server = await testServer();
  });

  afterAll(async () => {
    await lab.down();
    await server.stop();
    verifyStore(server.root);
  });

  const message = "Subject: x\r\n\r\nhello\r\n";
  const guid = new Bun.CryptoHasher("sha1").update(message).digest("hex");
  const mailbox = (change: string) =>
    "APPLY MAILBOX %(UNIQUEID 1234567890abcdef MBOXNAME user.kim SYNC_CRC 0 SYNC_CRC_ANNOT 0 " +
    "LAST_UID 1 " +
    "HIGHESTMODSEQ 2 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 " +
    "POP3_SHOW_AFTER 0 " +
    `UIDVALIDITY 1 PARTITION default ACL "" OPTIONS "" ${change} RECORD (%(UID 1 MODSEQ 2 ` +
    "LAST_UPDATED 5 " +
    `FLAGS () INTERNALDATE 5 SIZE ${message.length} GUID ${guid})))`;

  /** The line, and what of it is a NO or OK here. */
  const INPUTS: readonly (readonly [string, string, RegExp])[] = [
    ["a literal without plus", "APPLY SUB %(USERID kim MBOXNAME {3}\r\nabc)", /^OK /],
    ["a partition it has not", `APPLY MESSAGE (%{nowhere ${guid} 4}\r\nabcd)`, /^NO /],
    ["a message that was not sent", mailbox(""), /^NO IMAP_SYNC_CHECKSUM /],
    ["a mailbox type of tomorrow", mailbox("MBOXTYPE q"), /^NO /],
  ];

  test("what kills Cyrus leaves bobbin serve alive and in step", async () => {
    for (const [what, line, status] of INPUTS) {
      const victim = await Csync.signedIn(lab.syncPort);
      const { status: last } = await victim.command(line);
      expect([what, last]).toEqual([what, expect.stringMatching(/^(closed|\* Fatal)/)]);
      victim.close();
      const client = await Csync.signedIn(server.port);
      expect([what, (await client.command(line)).status]).toEqual([
        what,
        expect.stringMatching(status),
      ]);
      expect((await client.command("NOOP")).status).toBe("OK Nothing done");
      client.close();
    }
  });

  interface Forced {
    readonly fields?: Readonly<Record<string, string | number>>;
    readonly record?: Readonly<Record<string, string | number>>;
  }

  /** What is sent to a mailbox of modseq 20 and last UID 3 that has a message of modseq 5. */
  const FORCED: readonly Forced[] = [
    ...[{ SINCE_MODSEQ: 7 }, { SINCE_MODSEQ: 20, SINCE_CRC: 42 }].map((fields) => ({ fields })),
    ...[{ SINCE_MODSEQ: 20, SINCE_CRC_ANNOT: 42 }, { SYNC_CRC: 42 }].map((fields) => ({ fields })),
    ...[{ HIGHESTMODSEQ: 10 }, { LAST_UID: 1 }, { UIDVALIDITY: 9 }].map((fields) => ({ fields })),
    ...[{ UNIQUEID: "other" }, { MBOXTYPE: "c" }].map((fields) => ({ fields })),
    ...[{ GUID: "a".repeat(40) }, { UID: 3 }, { MODSEQ: 21 }].map((record) => ({ record })),
  ];

  /** How each of them is answered. */
  async function forced(port: number, isForced: boolean): Promise<string[]> {
    const answers: string[] = [];
    const print = (fields: object) => `%(${Object.entries(fields).flat().join(" ")})`;
    const written = { LAST_UPDATED: 5, FLAGS: "()", INTERNALDATE: 5, SIZE: message.length };
    const record = { UID: 1, MODSEQ: 5, ...written, GUID: guid };
    for (const [number, { fields = {}, record: change }] of FORCED.entries()) {
      const client = await Csync.signedIn(port);
      const name = `user.${isForced ? "forced" : "plain"}${number}`;
      const mailbox = {
        ...{ UNIQUEID: `id-${name.slice(5)}`, MBOXNAME: name, SYNC_CRC: 0, SYNC_CRC_ANNOT: 0 },
        ...{ LAST_UID: 3, HIGHESTMODSEQ: 20, RECENTUID: 0, RECENTTIME: 0, LAST_APPENDDATE: 0 },
        ...{ POP3_LAST_LOGIN: 0, UIDVALIDITY: 1600000000, PARTITION: "default", ACL: '""' },
        OPTIONS: '""',
      };
      await client.command(`APPLY MESSAGE (%{default ${guid} ${message.length}}\r\n${message})`);
      const whole = `APPLY MAILBOX ${print({ ...mailbox, RECORD: `(${print(record)})` })}`;
      expect((await client.command(whole)).status).toStartWith("OK ");
      if (isForced) expect((await client.command("APPLY FORCE %()")).status).toStartWith("OK ");
      const records = change === undefined ? "" : print({ ...record, MODSEQ: 6, ...change });
      const sent = { ...mailbox, HIGHESTMODSEQ: 21, ...fields, RECORD: `(${records})` };
      const { status } = await client.command(`APPLY MAILBOX ${print(sent)}`);
      answers.push(`${JSON.stringify({ ...fields, ...change })} ${status}`);
      client.close();
    }
    return answers;
  }

  test("FORCE lets pass what it lets pass in Cyrus", async () => {
    // Not forced first: in Cyrus it lasts as long as the process.
    for (const isForced of [false, true]) {
      const ours = await forced(server.port, isForced);
      expect(ours).toEqual(await forced(lab.syncPort, isForced));
      expect(ours.filter((one) => one.includes(" OK ")).length).toBe(isForced ? 5 : 1);
    }
  });
});

describe.skipIf(!hasLab)("sync_client -r", () => {
  const seconds = isLong ? 300 : 60;

  test(
    `rolls for ${seconds} s under constant change and leaves nothing undone`,
    async () => {
      const server = await testServer({ level: "debug" });
      const lab = await labUp("--set", "sync_log: yes");
      await lab.run("user", "zoe");
      const shutdown = join(lab.folder, "conf", "shutdown-rolling");
      // It goes to the background and keeps its output open, which must be no pipe.
      const rolling = ["-r", "-d", "1", "-F", shutdown];
      const command = ["bash", LAB, "sync-client", lab.folder, "127.0.0.1", String(server.port)];
      const child = Bun.spawn([...command, ...rolling], { stdout: "ignore", stderr: "ignore" });
      expect(await child.exited).toBe(0);
      try {
        const storm = await lab.storm("zoe", seconds);
        expect(storm.deliveries).toBeGreaterThan(seconds);
        expect(storm.changes).toBeGreaterThan(seconds);
        await until("all that was logged replicated", () => syncLogs(lab).length === 0, {
          ...{ withinMs: 120_000, everyMs: 100 },
        });
      } finally {
        // The client looks for this file after each cycle, and removes it when it goes.
        writeFileSync(shutdown, "");
        await until("the end of sync_client -r", () => !existsSync(shutdown), { everyMs: 100 });
      }
      expect(applies(await sync(lab, server, "-u", "zoe"))).toEqual([]);
      verifyStore(server.root);
      await lab.down();
      await server.stop();
    },
    (seconds + 240) * 1000,
  );
});

/** What sync_client -r has still to do: the log that is written and those that it works off. */
function syncLogs(lab: Lab): string[] {
  return readdirSync(join(lab.folder, "conf", "sync")).filter((name) => name.startsWith("log"));
}
