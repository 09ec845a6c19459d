/**
 * Clients that mean harm: the server stays up, in bounds, inside its store, and others are
 * unharmed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Csync } from "../support/csync.ts";
import { type TestServer, testServer, untilSessions } from "../support/serve.ts";
import { randomOf } from "../support/spool/random.ts";
import { verifyStore } from "../support/store_verify.ts";
import { until } from "../support/until.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
/**
 * Sessions of nonsense, each from a seed of its own; in the long run as many as five minutes hold.
 */
const SESSIONS = isLong ? Number.POSITIVE_INFINITY : 300;
const LONG_MS = 300_000;
const MEMORY_BYTES = 250 * 1024 * 1024;
const GUID = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // of "foo"

const NAMES = [
  ...["user.anne", "user.anne.Sub", "user.anne.Other", "DELETED.user.anne.Sub.5F3A2B1C"],
  ...[
    "../../../tmp/evil",
    "user.../../evil",
    "user.anne./etc/passwd",
    '"user.a\\\\b"',
    '""',
    "user.",
  ],
  ...[
    "example.org!user.bob",
    "!!",
    "user.%41",
    '"user.a b"',
    "NIL",
    "()",
    "user.\xff\xfe",
    "lists.dev",
  ],
  ...[
    "{9+}\r\nuser.a\r\nb",
    "{5}\r\nuser.",
    "user.anne.\x01",
    "x".repeat(600),
    '"user.anne\t"',
    ".",
  ],
];
const USERS = [
  "anne",
  "bob",
  "..",
  "/",
  ".catalogue.sqlite",
  '""',
  "a".repeat(300),
  "a/b",
  "NIL",
  "\xe9",
];
const IDS = [
  "a1",
  "a2",
  "..",
  "../../x",
  "a/b",
  ".pool",
  "x".repeat(100),
  '""',
  "A-1",
  "uniqueids.sqlite",
];
const NUMBERS = [
  "0",
  "1",
  "2",
  "7",
  "4294967295",
  "4294967296",
  "18446744073709551615",
  "-1",
  "x",
  "9".repeat(30),
];
const GUIDS = [
  GUID,
  GUID.toUpperCase(),
  "0".repeat(40),
  "../../../../etc/passwd",
  "zz",
  "",
  "a".repeat(41),
];
const FILES = [
  "x.script",
  "x.bc",
  "../../x.script",
  "/etc/x.script",
  '""',
  "a\tb.script",
  ".script",
];

type Pick = (below: number) => number;
const of = (pick: Pick, list: readonly string[]) => list[pick(list.length)] ?? "";

function record(pick: Pick): string {
  const flags = of(pick, [
    "()",
    "(\\Seen)",
    "(\\Expunged)",
    "($A $a \\Nonsense)",
    "NIL",
    `(${"k ".repeat(200)})`,
  ]);
  return (
    `%(UID ${of(pick, NUMBERS)} MODSEQ ${of(pick, NUMBERS)} LAST_UPDATED 1700000000 FLAGS ` +
    `${flags} ` +
    `INTERNALDATE ${of(pick, NUMBERS)} SIZE ${of(pick, ["3", "0", "5"])} GUID ${of(pick, GUIDS)} ` +
    `ANNOTATIONS (%(ENTRY ${of(pick, ["/comment", "../x", '""'])} USERID ${of(pick, USERS)} ` +
    "MODSEQ 1 VALUE v)))"
  );
}

function mailbox(pick: Pick): string {
  const records = Array.from({ length: pick(4) }, () => record(pick)).join(" ");
  return (
    `MAILBOX %(UNIQUEID ${of(pick, IDS)} MBOXNAME ${of(pick, NAMES)} ` +
    `${pick(4) === 0 ? `MBOXTYPE ${of(pick, ["ei", "q", "f", "c", '""'])} ` : ""}` +
    `SYNC_CRC ${pick(2)} SYNC_CRC_ANNOT ${pick(2)} LAST_UID ${of(pick, NUMBERS)} ` +
    `HIGHESTMODSEQ ${of(pick, NUMBERS)} ` +
    `RECENTUID 0 RECENTTIME ${of(pick, ["0", "0", "18446744073709551615"])} LAST_APPENDDATE 0 ` +
    `POP3_LAST_LOGIN 0 UIDVALIDITY ${of(pick, NUMBERS)} ` +
    `PARTITION ${of(pick, ["default", "../p", "NIL"])} ACL ` +
    `${of(pick, ['""', "NIL", '"a\tlrs\t"'])} ` +
    `OPTIONS ${of(pick, ["P", '""', "XYZ"])} RECORD (${records}))`
  );
}

/** One command that may be right, wrong, or murderous. */
function command(pick: Pick): string {
  const makers: readonly (() => string)[] = [
    () => `GET USER ${of(pick, USERS)}`,
    () => `GET META ${of(pick, USERS)}`,
    () => `GET MAILBOXES (${of(pick, NAMES)} ${of(pick, NAMES)})`,
    () => `GET UNIQUEIDS (${of(pick, IDS)})`,
    () => `GET OWNERS ${of(pick, ["NIL", "x", "()"])}`,
    () => `GET SHARED ${of(pick, NAMES)}`,
    () => `GET FULLMAILBOX ${of(pick, NAMES)}`,
    () => `GET ANNOTATION ${of(pick, NAMES)}`,
    () => `GET QUOTA ${of(pick, NAMES)}`,
    () =>
      `GET FETCH %(MBOXNAME ${of(pick, NAMES)} PARTITION ${of(pick, ["default", "../.."])} ` +
      `UNIQUEID ${of(pick, IDS)} GUID ${of(pick, GUIDS)} UID ${of(pick, NUMBERS)})`,
    () => `GET FETCH_SIEVE %(USERID ${of(pick, USERS)} FILENAME ${of(pick, FILES)})`,
    () =>
      `APPLY MESSAGE (%{${of(pick, ["default", "../..", '"a b"'])} ${of(pick, GUIDS)} 3}\r\nfoo)`,
    () => `APPLY MESSAGE (%{default ${GUID} ${of(pick, ["3", "2", "0"])}}\r\nfoo) {3}\r\nabc`,
    () => `APPLY ${mailbox(pick)}`,
    () => `APPLY LOCAL_${mailbox(pick)}`,
    () => `RESTORE ${mailbox(pick)}`,
    () => `APPLY UNMAILBOX ${of(pick, NAMES)}`,
    () =>
      `APPLY RENAME %(OLDMBOXNAME ${of(pick, NAMES)} NEWMBOXNAME ${of(pick, NAMES)} PARTITION p)`,
    () =>
      `APPLY EXPUNGE %(MBOXNAME ${of(pick, NAMES)} UNIQUEID ${of(pick, IDS)} UID ` +
      `(${of(pick, NUMBERS)}))`,
    () =>
      `APPLY SEEN %(USERID ${of(pick, USERS)} UNIQUEID ${of(pick, IDS)} LASTREAD 1 LASTUID 1 ` +
      `LASTCHANGE 1 SEENUIDS ${of(pick, ["1:*", "1", '""'])})`,
    () => `APPLY SUB %(USERID ${of(pick, USERS)} MBOXNAME ${of(pick, NAMES)})`,
    () => `APPLY UNSUB %(USERID ${of(pick, USERS)} MBOXNAME ${of(pick, NAMES)})`,
    () =>
      `APPLY ANNOTATION %(MBOXNAME ${of(pick, NAMES)} ENTRY /x USERID ${of(pick, USERS)} VALUE y)`,
    () =>
      `APPLY SIEVE %(USERID ${of(pick, USERS)} FILENAME ${of(pick, FILES)} LAST_UPDATE 1 ` +
      "CONTENT x)",
    () => `APPLY ACTIVATE_SIEVE %(USERID ${of(pick, USERS)} FILENAME ${of(pick, FILES)})`,
    () =>
      `APPLY QUOTA %(ROOT ${of(pick, NAMES)} LIMIT ${of(pick, NUMBERS)} STORAGE ` +
      `${of(pick, NUMBERS)})`,
    () => `APPLY UNQUOTA ${of(pick, NAMES)}`,
    () => `APPLY RESERVE %(PARTITION x MBOXNAME (${of(pick, NAMES)}) GUID (${of(pick, GUIDS)}))`,
    () => `APPLY UNUSER ${of(pick, USERS)}`,
    () => "APPLY FORCE %()",
    () => "RESTART",
    () => "NOOP",
  ];
  return (makers[pick(makers.length)] ?? (() => "NOOP"))();
}

/** Damages a command: bytes changed, cut out, doubled. */
function mangle(text: string, pick: Pick): string {
  let mangled = text;
  for (let count = pick(4); count > 0; count--) {
    const at = pick(mangled.length + 1);
    const junk = of(pick, [
      "(",
      ")",
      "%",
      "{",
      "}",
      '"',
      "\\",
      " ",
      "\r\n",
      "\0",
      "{3}\r\n",
      "%{a b 3}\r\n",
      "\xff",
    ]);
    mangled = mangled.slice(0, at) + junk + mangled.slice(at + pick(3));
  }
  return mangled;
}

/** One session of commands from a seed, the last one broken; how many were sent and answered. */
async function talkNonsense(
  port: number,
  seed: number,
): Promise<{ sent: number; answered: number }> {
  const pick = randomOf(seed).below;
  const client = await Csync.signedIn(port, pick(3) === 0 ? "anne" : "admin");
  let [sent, answered] = [0, 0];
  for (let count = 0; count < 60; count++) {
    const line = command(pick);
    const isBroken = pick(12) === 0;
    client.send(`${isBroken ? mangle(line, pick) : line}\r\n`);
    sent++;
    // A broken line may want more, or be several: what has come is read with the next one.
    if (isBroken) break;
    const { status } = await client.reply();
    if (!/^(OK|NO|BAD) /.test(status)) throw new Error(`seed ${seed}, ${line}: ${status}`);
    answered++;
  }
  client.end();
  while ((await client.reply()).status !== "closed") answered++;
  client.close();
  return { sent, answered };
}

describe("a hostile client", () => {
  let server: TestServer;
  let outside: string[];

  beforeAll(async () => {
    // Refusals are no news here, and a line for each would be the only thing that grows.
    server = await testServer({ level: "error" });
    mkdirSync(`${dirname(server.root)}/beside`, { recursive: true });
    outside = readdirSync(dirname(server.root)).sort();
  });

  afterAll(async () => {
    await server.stop();
  });

  /**
   * A bystander's own mailbox, which it must find unchanged and soon after each session of
   * nonsense.
   */
  const OWN =
    "APPLY MAILBOX %(UNIQUEID own-id MBOXNAME user.bystander LAST_UID 0 HIGHESTMODSEQ 1 " +
    "RECENTUID 0 RECENTTIME 0 " +
    'LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION p ACL "" OPTIONS "" RECORD ())';

  test("is refused keywords and ACLs that could not be given back, and goes on", async () => {
    const client = await Csync.signedIn(server.port);
    const apply = async (flags: string, change: readonly [string, string] = ["", ""]) => {
      const record =
        `%(UID 1 MODSEQ 1 LAST_UPDATED 1 FLAGS (${flags} \\Expunged) INTERNALDATE 1 ` +
        `SIZE 3 GUID ${GUID})`;
      const line = OWN.replace("own-id", "words-id").replace("bystander", "words");
      const whole = line
        .replace("RECORD ()", `RECORD (${record})`)
        .replace("LAST_UID 0", "LAST_UID 1");
      return (await client.command(whole.replace(...change))).status;
    };
    const bad = [
      '"a b"',
      '"a)b"',
      '"a{b"',
      '"a*"',
      '"a%b"',
      '""',
      '"a\tb"',
      '"a\\"b"',
      "{3+}\r\na\nb",
    ];
    for (const flag of bad) {
      expect([flag, await apply(flag)]).toEqual([flag, expect.stringMatching(/^NO IMAP_PROTOCOL/)]);
    }
    const acl = ['ACL ""', "ACL {9+}\r\nann\tl\nx\tl"] as const;
    expect(await apply("good", acl)).toStartWith("NO IMAP_PROTOCOL_BAD_PARAMETERS");
    expect((await client.command("GET USER words")).data).toEqual([]);
    expect(await apply("NIL")).toBe("OK success");
    const { data } = await client.command("GET FULLMAILBOX user.words");
    expect(data.join("")).toContain('FLAGS (\\Expunged "NIL")');
    client.close();
  });

  test(`cannot break it with seeded nonsense${isLong ? " for five minutes" : ""}`, async () => {
    const bystander = await Csync.signedIn(server.port);
    expect((await bystander.command(OWN)).status).toBe("OK success");
    const own = await bystander.command("GET USER bystander");
    const before = process.memoryUsage().rss;
    const until = Date.now() + LONG_MS;
    let [sent, answered, slowestMs, seed] = [0, 0, 0, 0];
    while (seed < SESSIONS && Date.now() < until) {
      seed++;
      const done = await talkNonsense(server.port, seed);
      sent += done.sent;
      answered += done.answered;
      const asked = performance.now();
      expect(await bystander.command("GET USER bystander")).toEqual(own);
      slowestMs = Math.max(slowestMs, performance.now() - asked);
    }
    expect(sent).toBeGreaterThan(100);
    expect(answered).toBeGreaterThan(sent / 2);
    // What went wrong inside would stand in the log.
    expect(
      server.log.filter((line) => /promise inside|unexpected error|broke off/.test(line)),
    ).toEqual([]);
    expect(readdirSync(dirname(server.root)).sort()).toEqual(outside);
    Bun.gc(true);
    const more = process.memoryUsage().rss - before;
    if (isLong) {
      const mib = Math.round(more / 1024 / 1024);
      console.log(
        `nonsense: seeds 1 to ${seed}, ${sent} commands, ${mib} MiB more memory, a bystander ` +
          "waited " +
          `${slowestMs.toFixed(0)} ms at most`,
      );
    }
    expect(more).toBeLessThan(MEMORY_BYTES);
    expect(slowestMs).toBeLessThan(5000);
    bystander.close();
  });

  test("leaves a store that is sound", () => {
    verifyStore(server.root);
  });

  test("a message of 4 GB is taken as it comes and dropped when the client goes", async () => {
    const client = await Csync.signedIn(server.port);
    const staging = `${server.root}/.staging`;
    const before = process.memoryUsage().rss;
    client.send(`APPLY MESSAGE (%{default ${GUID} 4294967295}\r\n`);
    const chunk = new Uint8Array(1024 * 1024).fill(120);
    for (let count = 1; count <= 64; count++) {
      client.send(chunk);
      // All but what is on its way has been taken and lies on the disk.
      const taken = count * chunk.length - 2 * 1024 * 1024;
      await until(`${taken} bytes staged`, () => bytesBelow(staging) >= taken);
    }
    client.close();
    await untilSessions(server, 0);
    expect(readdirSync(staging)).toEqual([]);
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_BYTES);
  });

  test("a client that never reads its answers holds up nobody else", async () => {
    const deaf = await Csync.signedIn(server.port);
    deaf.pause();
    for (let count = 0; count < 2000; count++) deaf.send("GET USER anne\r\nNOOP\r\n");
    const other = await Csync.signedIn(server.port);
    expect((await other.command("NOOP")).status).toBe("OK Nothing done");
    deaf.close();
    other.close();
  });
});

/** The bytes of all files below `folder`, some of which may go meanwhile. */
function bytesBelow(folder: string): number {
  const sizes = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    return stat?.isFile() ? stat.size : 0;
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}
