/** The protocol of a session, but for what commands do to mail. */
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { AppError } from "../../../src/core/errors.ts";
import { makeClientFinal, makeClientFirst } from "../../../src/formats/sasl/scram.ts";
import { PATIENCE } from "../../../src/server/server_settings.ts";
import { Csync } from "../../support/csync.ts";
import { has, outsideAddress } from "../../support/needs.ts";
import {
  type TestServer,
  type TestServerOptions,
  testServer,
  untilSessions,
  untilTaken,
} from "../../support/serve.ts";
import { randomOf } from "../../support/spool/random.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";

const servers: TestServer[] = [];
const clients: Csync[] = [];

async function serve(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await testServer(options);
  servers.push(server);
  return server;
}

async function stranger(server: TestServer): Promise<Csync> {
  const { client } = await Csync.open(server.port);
  clients.push(client);
  return client;
}

async function admin(server: TestServer): Promise<Csync> {
  const client = await Csync.signedIn(server.port);
  clients.push(client);
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) await server.stop();
});

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const PLAIN = base64("\0admin\0labpass");

describe("banner", () => {
  test("offers what there is, one line each, and ends with OK", async () => {
    const server = await serve();
    const { client, banner } = await Csync.open(server.port);
    clients.push(client);
    expect(banner).toEqual({
      data: ["SASL SCRAM-SHA-256 PLAIN", "COMPRESS DEFLATE", "SIEVE-MAILBOX"],
      status: "* OK test Bobbin sync server 0",
    });
  });

  test("offers STARTTLS, and after it neither that nor COMPRESS", async () => {
    const server = await serve({ tls: TEST_TLS });
    const { client, banner } = await Csync.open(server.port);
    clients.push(client);
    expect(banner.data).toContain("STARTTLS");
    const second = await client.startTls();
    expect(second.data).toEqual(["SASL SCRAM-SHA-256 PLAIN", "SIEVE-MAILBOX"]);
    expect((await client.command("STARTTLS")).status).toBe(
      "BAD STARTTLS is refused: the session has TLS",
    );
    expect((await client.command("COMPRESS DEFLATE")).status).toStartWith("NO ");
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toBe(
      "OK Signed in with TLS",
    );
    expect((await client.command("GET USER nobody")).status).toBe("OK success");
    expect((await client.command("STARTTLS")).status).toBe(
      "BAD STARTTLS is refused: the session is signed in",
    );
  });

  test("speaks TLS at once on a port for that", async () => {
    const server = await serve({ tls: TEST_TLS });
    const { client, banner } = await Csync.open(server.tlsPort, { tls: true });
    clients.push(client);
    expect(banner.data).toEqual(["SASL SCRAM-SHA-256 PLAIN", "SIEVE-MAILBOX"]);
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
  });

  test("does not offer what was turned off", async () => {
    const server = await serve({ settings: { compress: false } });
    const { client, banner } = await Csync.open(server.port);
    clients.push(client);
    expect(banner.data).not.toContain("COMPRESS DEFLATE");
    expect((await client.command("COMPRESS DEFLATE")).status).toStartWith("NO ");
    expect((await client.command("STARTTLS")).status).toBe(
      "BAD IMAP_PROTOCOL_ERROR The command is not known",
    );
  });
});

describe("AUTHENTICATE", () => {
  test("takes PLAIN in any letter case, with and without an initial response", async () => {
    const server = await serve();
    const first = await stranger(server);
    expect((await first.command(`authenticate plain ${PLAIN}`)).status).toBe(
      "OK Signed in without TLS",
    );
    expect((await first.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toBe(
      "BAD The session is signed in already",
    );
    const second = await stranger(server);
    expect((await second.command("AUTHENTICATE PLAIN")).status).toBe("+ ");
    expect((await second.command(PLAIN)).status).toBe("OK Signed in without TLS");
  });

  test("takes SCRAM-SHA-256 and proves itself", async () => {
    const server = await serve();
    const client = await stranger(server);
    const first = makeClientFirst("admin", "abcdefgh");
    const challenge = await client.command(`AUTHENTICATE SCRAM-SHA-256 ${base64(first.text)}`);
    const serverFirst = Buffer.from(challenge.status.slice(2), "base64").toString();
    const final = makeClientFinal(serverFirst, first, "labpass");
    const proof = await client.command(base64(final.text));
    expect(Buffer.from(proof.status.slice(2), "base64").toString()).toBe(final.serverFinal);
    expect((await client.command("")).status).toBe("OK Signed in without TLS");
    expect((await client.command("GET USER nobody")).status).toBe("OK success");
  });

  test("a wrong password and an unknown name answer alike, by both mechanisms", async () => {
    const server = await serve();
    for (const [name, password] of [
      ["admin", "wrong"],
      ["nobody", "labpass"],
    ] as const) {
      const client = await stranger(server);
      const initial = base64(`\0${name}\0${password}`);
      expect((await client.command(`AUTHENTICATE PLAIN ${initial}`)).status).toBe(
        "NO Wrong name or password",
      );
      expect((await client.command("GET USER admin")).status).toBe("NO Sign in first");
    }
    const salts: string[] = [];
    for (const name of ["nobody", "nobody", "admin"]) {
      const client = await stranger(server);
      const first = makeClientFirst(name, "abcdefgh");
      const challenge = await client.command(`AUTHENTICATE SCRAM-SHA-256 ${base64(first.text)}`);
      const serverFirst = Buffer.from(challenge.status.slice(2), "base64").toString();
      salts.push(/s=([^,]*),i=16384$/.exec(serverFirst)?.[1] ?? "");
      const final = makeClientFinal(serverFirst, first, "wrong");
      expect((await client.command(base64(final.text))).status).toBe("NO Wrong name or password");
    }
    expect(salts[0]).toBe(salts[1] ?? "");
    expect(salts[0]).not.toBe(salts[2] ?? "");
    expect(salts.every((salt) => salt.length === 24)).toBe(true);
    expect(server.log.filter((line) => line.includes("Sign-in refused"))).toHaveLength(5);
    expect(server.log.join()).not.toMatch(/wrong|labpass/);
  }, 30_000);

  test("refuses what is no mechanism, no base64, cancelled, or acts for another", async () => {
    const server = await serve();
    const client = await stranger(server);
    const replies: [string, string][] = [
      ["AUTHENTICATE XYZZY", "NO No such mechanism is offered"],
      ["AUTHENTICATE", "NO No such mechanism is offered"],
      ["AUTHENTICATE PLAIN a b", "NO No such mechanism is offered"],
      ["AUTHENTICATE PLAIN !!!!", "NO Malformed sign-in"],
      ["AUTHENTICATE PLAIN =", "NO Malformed sign-in"],
      ["AUTHENTICATE SCRAM-SHA-256 AAAA", "NO Malformed sign-in"],
      [`AUTHENTICATE PLAIN ${base64("anne\0admin\0labpass")}`, "NO Wrong name or password"],
    ];
    for (const [line, status] of replies) expect((await client.command(line)).status).toBe(status);
    await client.command("AUTHENTICATE PLAIN");
    expect((await client.command("*")).status).toBe("BAD Sign-in was given up");
    expect((await client.command("NOOP")).status).toBe("OK Nothing done");
  });

  test.each(["AUTHENTICATE PLAIN", `AUTHENTICATE PLAIN ${PLAIN}`, "STARTTLS"])(
    "%s ends the session if bytes come with it",
    async (line) => {
      const server = await serve({ tls: TEST_TLS });
      const client = await stranger(server);
      client.send(`${line}\r\nAPPLY UNUSER admin\r\n`);
      expect((await client.reply()).status).toStartWith("* Fatal error: bytes after ");
      expect((await client.reply()).status).toBe("closed");
    },
  );
});

describe("a plain password", () => {
  const isAlone = !has("an address besides loopback");
  test.skipIf(isAlone)("is taken from elsewhere under TLS only", async () => {
    const server = await serve({ tls: TEST_TLS });
    const { client, banner } = await Csync.open(server.port, { from: outsideAddress() ?? "" });
    clients.push(client);
    expect(banner.data[0]).toBe("SASL SCRAM-SHA-256");
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toBe(
      "NO No such mechanism is offered",
    );
    expect((await client.startTls()).data[0]).toBe("SASL SCRAM-SHA-256 PLAIN");
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
  });

  test.skipIf(isAlone)("is taken from anywhere if that is allowed", async () => {
    const server = await serve({ settings: { allowPlaintext: true } });
    const { client, banner } = await Csync.open(server.port, { from: outsideAddress() ?? "" });
    clients.push(client);
    expect(banner.data[0]).toBe("SASL SCRAM-SHA-256 PLAIN");
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
  });
});

describe("before sign-in", () => {
  test("bytes that come while a password is checked end the session", async () => {
    const gate = Promise.withResolvers<void>();
    const checked = Promise.withResolvers<void>();
    const sleep = () => {
      checked.resolve();
      return gate.promise;
    };
    const server = await serve({ sleep });
    const client = await stranger(server);
    client.send(`AUTHENTICATE PLAIN ${PLAIN}\r\n`);
    await checked.promise;
    client.send("APPLY UNUSER admin\r\n");
    await untilTaken(server);
    gate.resolve();
    expect((await client.reply()).status).toBe("* Fatal error: bytes after AUTHENTICATE");
    expect((await client.reply()).status).toBe("closed");
    expect(server.log.join()).not.toContain("Signed in");
  });

  test("GET and APPLY are refused and swallowed with their literals and files", async () => {
    const server = await serve();
    const client = await stranger(server);
    const guid = "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";
    for (const line of [
      "GET USER anne",
      "APPLY SUB %(USERID {6+}\r\nNOOP\r\n MBOXNAME x)",
      `APPLY MESSAGE (%{default ${guid} 6}\r\nNOOP\r\n)`,
      "APPLY )(",
      "APPLY",
      "RESTORE MAILBOX %()",
    ]) {
      expect((await client.command(line)).status).toBe("NO Sign in first");
    }
    expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    expect((await client.command("RESTART")).status).toBe("OK Begun anew");
    expect((await client.command("EXIT")).status).toBe("OK Goodbye");
    expect((await client.reply()).status).toBe("closed");
    expect(readdirSync(`${server.root}/.staging`)).toEqual([]);
  });

  test("a stranger's command is not held, however long it is", async () => {
    const server = await serve();
    const client = await stranger(server);
    const name = `{60000}\r\n${"x".repeat(60_000)} `;
    const line = `GET MAILBOXES (${name.repeat(50)} {100000}\r\n${"y".repeat(100_000)})`;
    expect((await client.command(line)).status).toBe("NO Sign in first");
    expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    const friend = await admin(server);
    expect((await friend.command(line)).status).toBe("OK success");
  });

  test("a stranger has few tries", async () => {
    const server = await serve();
    const client = await stranger(server);
    for (let count = 0; count < 20; count++) await client.command("NOOP");
    expect((await client.command("NOOP")).status).toStartWith("* Fatal error:");
    expect((await client.reply()).status).toBe("closed");
  });

  test("an IMAP client is answered at once", async () => {
    const server = await serve();
    const client = await stranger(server);
    expect((await client.command("C01 CAPABILITY")).status).toStartWith("C01 BAD ");
    expect((await client.command("Q01 LOGOUT")).status).toStartWith("Q01 BAD ");
    expect((await client.reply()).status).toBe("closed");
  });
});

describe("commands that are none", () => {
  const replies: readonly [string, string][] = [
    ["FOO", "BAD IMAP_PROTOCOL_ERROR The command is not known"],
    ["LOGOUT", "BAD IMAP_PROTOCOL_ERROR The command is not known"],
    ["", "BAD The line is empty"],
    ["NOOP extra", "BAD Nothing may follow NOOP"],
    ["EXIT extra", "BAD Nothing may follow EXIT"],
    ["RESTART x y", "BAD Nothing may follow RESTART"],
    ["COMPRESS LZ4", "NO The server compresses with DEFLATE only, not with LZ4"],
    ["GET", "BAD IMAP_PROTOCOL_ERROR This GET cannot be read"],
    ["APPLY", "BAD IMAP_PROTOCOL_ERROR This APPLY cannot be read"],
    ["RESTORE ()", "BAD IMAP_PROTOCOL_ERROR This RESTORE cannot be read"],
    ["GET NONSENSE x", "NO IMAP_PROTOCOL_ERROR Protocol error"],
    ["APPLY NONSENSE %(A B)", "NO IMAP_PROTOCOL_ERROR Protocol error"],
    ["RESTORE NONSENSE %(A B)", "NO IMAP_PROTOCOL_ERROR Protocol error"],
    ["GET USER (a)", "NO IMAP_PROTOCOL_BAD_PARAMETERS near USER"],
    ["GET FETCH %(MBOXNAME a)", "NO IMAP_PROTOCOL_BAD_PARAMETERS near PARTITION"],
    ["APPLY MAILBOX %(UNIQUEID abc)", "NO IMAP_PROTOCOL_BAD_PARAMETERS near MBOXNAME"],
    ["APPLY MAILBOX (a b c)", "NO IMAP_PROTOCOL_BAD_PARAMETERS near MAILBOX"],
    ["APPLY SUB %(USERID)", "BAD IMAP_PROTOCOL_ERROR This APPLY cannot be read"],
    ["APPLY SUB %(USERID anne MBOXNAME {3}\r\nabc)", "OK success"],
    ["APPLY MESSAGE (%{a xyz 5}\r\nabcde)", "BAD IMAP_PROTOCOL_ERROR This APPLY cannot be read"],
  ]; // biome-ignore format: a table

  test("are told apart, and the session stays in step", async () => {
    const client = await admin(await serve());
    for (const [line, status] of replies) {
      expect([line, (await client.command(line)).status]).toEqual([line, status]);
      expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    }
  });

  test("end the session when there is nothing else", async () => {
    const client = await admin(await serve());
    for (let count = 0; count < 100; count++) await client.command("FOO");
    expect((await client.command("FOO")).status).toBe("* Fatal error: too many errors");
    expect((await client.reply()).status).toBe("closed");
  });

  test("the rest of a line that never ended is answered when the client has gone", async () => {
    const client = await admin(await serve());
    client.send("APPLY MAILBOX %(UNIQUEID\r\nNOOP\r\nEXIT\r\n");
    client.end();
    expect((await client.reply()).status).toBe("BAD IMAP_PROTOCOL_ERROR This APPLY cannot be read");
  });

  test("commands sent in one go are answered one by one, after the end too", async () => {
    const client = await admin(await serve());
    client.send("NOOP\r\nGET USER nobody\r\nAPPLY CAPABILITIES (SIEVE-MAILBOX FOO)\r\nEXIT\r\n");
    client.end();
    expect((await client.reply()).status).toBe("OK Nothing done");
    expect((await client.reply()).status).toBe("OK success");
    expect(await client.reply()).toEqual({
      data: ["ENABLED (SIEVE-MAILBOX)"],
      status: "OK success",
    });
    expect((await client.reply()).status).toBe("OK Goodbye");
    expect((await client.reply()).status).toBe("closed");
  });
});

describe("COMPRESS", () => {
  test("compresses from the byte after OK, before and after sign-in", async () => {
    const server = await serve();
    const before = await stranger(server);
    await before.compress();
    expect((await before.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
    expect((await before.command("COMPRESS DEFLATE")).status).toBe(
      "NO The session is compressed already",
    );
    const after = await admin(server);
    await after.compress();
    expect((await after.command("GET USER nobody")).status).toBe("OK success");
    expect((await after.command("EXIT")).status).toBe("OK Goodbye");
  });
});

describe("limits", () => {
  test("sessions, in all and of one address", async () => {
    const server = await serve({ limits: { sessionsOfAddress: 2 } });
    await stranger(server);
    await stranger(server);
    const { banner } = await Csync.open(server.port);
    expect(banner.status).toBe("* Fatal error: too many connections");
    clients.pop()?.close();
    await untilSessions(server, 1);
    expect((await (await stranger(server)).command("NOOP")).status).toBe("OK Nothing done");
  });

  test("sessions of all addresses", async () => {
    const server = await serve({ limits: { sessions: 1 } });
    await stranger(server);
    const { banner } = await Csync.open(server.port);
    expect(banner.status).toBe("* Fatal error: too many connections");
    expect(server.log.at(-1)).toMatch(/warning Connection refused peer=127.0.0.1 why="too many/);
  });

  test("the time to sign in", async () => {
    const server = await serve({ settings: { patience: { ...PATIENCE, signInMs: 60 } } });
    const silent = await stranger(server);
    const asked = await stranger(server);
    await asked.command("AUTHENTICATE PLAIN");
    expect((await silent.reply()).status).toBe("BYE idle for too long");
    // In the middle of the dialog the connection just ends.
    expect((await asked.reply()).status).toMatch(/^(BAD Sign-in was given up|closed)/);
    expect((await asked.reply()).status).toBe("closed");
  });

  test("the time of a TLS handshake on both kinds of port, which is a session", async () => {
    const patience = { ...PATIENCE, handshakeMs: 150 };
    const server = await serve({ tls: TEST_TLS, settings: { patience } });
    const after = await stranger(server);
    expect((await after.command("STARTTLS")).status).toBe("OK Ready for TLS");
    const atOnce = connect({ host: "127.0.0.1", port: server.tlsPort });
    const closed = Promise.withResolvers<void>();
    atOnce.on("close", () => closed.resolve());
    await untilSessions(server, 2);
    await closed.promise;
    expect((await after.reply()).status).toBe("closed");
    await untilSessions(server, 0);
    expect(server.log.join("\n").match(/info TLS handshake failed .*timed out/g)?.length).toBe(2);
    expect(server.log.join("\n")).not.toContain("error");
  });

  describe.each([false, true])("an answer that nobody takes, compressed: %p", (isCompressed) => {
    /** A client that has asked for some 20 MB, which do not get smaller, and reads nothing. */
    async function deaf(server: TestServer): Promise<void> {
      const client = await admin(server);
      const { below } = randomOf(1);
      const value = Uint8Array.from({ length: 1_000_000 }, () => below(256));
      client.send('APPLY ANNOTATION %(MBOXNAME "" ENTRY /x USERID "" VALUE {1000000}\r\n');
      client.send(value);
      expect((await client.command(")")).status).toBe("OK success");
      if (isCompressed) await client.compress();
      client.pause();
      client.send('GET ANNOTATION ""\r\n'.repeat(20));
    }

    const limits = { atomBytes: 8 * 1024 * 1024 };

    test("ends the session after a while", async () => {
      const patience = { ...PATIENCE, stalledMs: 100 };
      const server = await serve({ settings: { patience }, limits });
      await deaf(server);
      await untilSessions(server, 0);
    });

    test("does not keep the server from stopping", async () => {
      const server = await serve({ limits });
      await deaf(server);
      await untilTaken(server);
      expect(server.server.sessionCount()).toBe(1);
      await server.server.stop(2000);
      await untilSessions(server, 0); // what it was compressing may be done a moment later
      expect(server.log.join("\n")).toMatch(/warning Cut off a session peer=127.0.0.1/);
    });
  });

  test("a line, records, flags, a message: refused, and the session goes on", async () => {
    const limits = { lineBytes: 20_000, applyRecords: 3, userFlags: 4, messageBytes: 1000 };
    const client = await admin(await serve({ limits }));
    const guid = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // foo
    const apply = (records: readonly string[]) =>
      "APPLY MAILBOX %(UNIQUEID id-anne MBOXNAME user.anne LAST_UID 9 HIGHESTMODSEQ 9 " +
      "RECENTUID 0 " +
      'RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION p ACL "" ' +
      'OPTIONS "" ' +
      `RECORD (${records.join(" ")}))`;
    const record = (uid: number, flags = "") =>
      `%(UID ${uid} MODSEQ 2 LAST_UPDATED 5 FLAGS (${flags}) INTERNALDATE 5 SIZE 3 GUID ${guid})`;
    await client.command(`APPLY MESSAGE (%{p ${guid} 3}\r\nfoo)`);
    const names = Array.from({ length: 2000 }, (_, number) => `user.anne${number}`);
    const tooMuch: readonly [string, string][] = [
      [`GET MAILBOXES (${names.join(" ")})`, "BAD IMAP_PROTOCOL_ERROR This GET cannot be read"],
      [apply([1, 2, 3, 4].map((uid) => record(uid))), "NO IMAP_PROTOCOL_ERROR Protocol error"],
      [apply([record(1, "a b c d e")]), "NO "],
      [
        `APPLY MESSAGE (%{p ${guid} 1001}\r\n${"x".repeat(1001)})`,
        "BAD IMAP_PROTOCOL_ERROR This APPLY cannot be read",
      ],
    ];
    for (const [line, status] of tooMuch) {
      expect((await client.command(line)).status).toStartWith(status);
      expect((await client.command("GET USER anne")).data).toEqual([]);
    }
    expect((await client.command(apply([record(1, "a b c d")]))).status).toBe("OK success");
  });

  test("what all sessions of an account have staged", async () => {
    const server = await serve({ limits: { accountStagingBytes: 5 } });
    const [first, second] = [await admin(server), await admin(server)];
    const guid = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // foo
    const command = `APPLY MESSAGE (%{default ${guid} 3}\r\nfoo)`;
    expect((await first.command(command)).status).toBe("OK success");
    expect((await second.command(command)).status).toStartWith("NO ");
    first.close();
    await untilSessions(server, 1);
    expect((await second.command(command)).status).toBe("OK success");
  });

  test("silence", async () => {
    const server = await serve({ settings: { idleMs: 50 } });
    const client = await admin(server);
    expect((await client.reply()).status).toBe("BYE idle for too long");
    expect((await client.reply()).status).toBe("closed");
  });

  test("atoms, literals, nesting, lists: the command is refused, the session goes on", async () => {
    const limits = { atomBytes: 1000, literalBytes: 2000, nesting: 5, listItems: 10 };
    const client = await admin(await serve({ limits }));
    for (const value of [
      "x".repeat(1001),
      `"${"x".repeat(1001)}"`,
      `{2001+}\r\n${"x".repeat(2001)}`,
      "((((((a))))))",
      "(1 2 3 4 5 6 7 8 9 10 11)",
    ]) {
      expect((await client.command(`GET MAILBOXES ${value}`)).status).toStartWith("BAD ");
      expect((await client.command("NOOP")).status).toBe("OK Nothing done");
    }
  });

  test("staging", async () => {
    const server = await serve({ limits: { stagingBytes: 10 } });
    const client = await admin(server);
    const guid = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // foo
    const command = `APPLY MESSAGE (%{default ${guid} 3}\r\nfoo)`;
    for (let count = 0; count < 3; count++) {
      expect((await client.command(command)).status).toBe("OK success");
    }
    expect((await client.command(command)).status).toStartWith("NO ");
    await client.command("RESTART");
    expect((await client.command(command)).status).toBe("OK success");
  });

  test("staging, without what a mailbox has: sync_client -A never says RESTART", async () => {
    const server = await serve({ limits: { stagingBytes: 4, accountStagingBytes: 4 } });
    const client = await admin(server);
    const guidOf = (text: string) => new Bun.CryptoHasher("sha1").update(text).digest("hex");
    const stage = (text: string) => `APPLY MESSAGE (%{default ${guidOf(text)} 3}\r\n${text})`;
    const mailbox = (name: string, text: string, uidvalidity = "1") =>
      `APPLY MAILBOX %(UNIQUEID id-${name} MBOXNAME user.${name} LAST_UID 1 HIGHESTMODSEQ 2 ` +
      "RECENTUID 0 " +
      `RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY ${uidvalidity} PARTITION ` +
      `p ACL "" ` +
      `OPTIONS "" RECORD (%(UID 1 MODSEQ 2 LAST_UPDATED 5 FLAGS () INTERNALDATE 5 SIZE 3 GUID ` +
      `${guidOf(text)})))`;
    for (const text of ["foo", "bar", "baz"]) {
      expect((await client.command(stage(text))).status).toBe("OK success");
      expect((await client.command(stage("qux"))).status).toBe("NO Disk is full");
      expect((await client.command(mailbox(text, text, "x"))).status).toStartWith("NO ");
      expect((await client.command(stage("qux"))).status).toBe("NO Disk is full");
      expect((await client.command(mailbox(text, text))).status).toBe("OK success");
    }
    // They are staged still, for a client sends a message once.
    expect((await client.command(mailbox("copy", "foo"))).status).toBe("OK success");
  });
});

describe("a disk that is nearly full", () => {
  test("takes no mail, but goes on deleting, until there is room again", async () => {
    let room = 1000;
    const server = await serve({ settings: { hasRoom: (bytes) => bytes <= room } });
    const client = await admin(server);
    const guid = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // foo
    const message = `APPLY MESSAGE (%{default ${guid} 3}\r\nfoo)`;
    const mailbox = (name: string) =>
      `APPLY MAILBOX %(UNIQUEID id-${name} MBOXNAME user.${name} LAST_UID 0 HIGHESTMODSEQ 1 ` +
      "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION p " +
      'ACL "" OPTIONS "" RECORD ())';
    expect((await client.command(mailbox("anne"))).status).toBe("OK success");
    room = -1;
    expect((await client.command(message)).status).toBe("NO Disk is full");
    expect((await client.command(mailbox("bob"))).status).toBe("NO Disk is full");
    expect((await client.command("APPLY UNMAILBOX user.anne")).status).toBe("OK success");
    expect(server.log.join("\n")).toMatch(/error Refused a command .*reason=noSpace .*nearly full/);
    room = 1000;
    expect((await client.command(message)).status).toBe("OK success");
    expect((await client.command(mailbox("bob"))).status).toBe("OK success");
  });

  test("keeps its reserve from whatever would grow, by what it would grow", async () => {
    let room = 1000;
    const server = await serve({ settings: { hasRoom: (bytes) => bytes <= room } });
    const client = await admin(server);
    const script = (bytes: number) =>
      "APPLY SIEVE %(USERID anne FILENAME x.script LAST_UPDATE 1 " +
      `CONTENT {${bytes}+}\r\n${"#".repeat(bytes)})`;
    expect((await client.command(script(100))).status).toBe("OK success");
    // It is written to a journal and then to the file.
    room = 300_000;
    expect((await client.command(script(200_000))).status).toBe("NO Disk is full");
    room = -1;
    const grows = [
      script(1),
      "APPLY SEEN %(USERID anne UNIQUEID u LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)",
      "APPLY SUB %(USERID anne MBOXNAME user.anne)",
      "APPLY QUOTA %(ROOT user.anne STORAGE 9)",
      'APPLY ANNOTATION %(MBOXNAME "" ENTRY /x USERID "" VALUE y)',
      "APPLY RENAME %(OLDMBOXNAME user.anne NEWMBOXNAME user.bob PARTITION p UIDVALIDITY 1)",
      "APPLY ACTIVATE_SIEVE %(USERID anne FILENAME x.script)",
      `APPLY RESERVE %(PARTITION p MBOXNAME (user.anne) GUID (${"a".repeat(40)}))`,
    ];
    for (const line of grows) {
      expect([line, (await client.command(line)).status]).toEqual([line, "NO Disk is full"]);
    }
    const goesOn = [
      "APPLY UNSUB %(USERID anne MBOXNAME user.anne)",
      "APPLY UNSIEVE %(USERID anne FILENAME x.script)",
      "APPLY UNUSER anne",
    ];
    for (const line of goesOn) {
      expect([line, (await client.command(line)).status]).toEqual([line, "OK success"]);
    }
  });
});

describe("what is damaged", () => {
  const message = "Subject: x\r\n\r\nhello\r\n";
  const guid = new Bun.CryptoHasher("sha1").update(message).digest("hex");
  const file = `%{p ${guid} ${message.length}}\r\n${message}`;
  const mailbox = (name: string) =>
    `APPLY MAILBOX %(UNIQUEID id-${name} MBOXNAME user.${name} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    "LAST_UID 1 " +
    "HIGHESTMODSEQ 2 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 " +
    "POP3_SHOW_AFTER 0 " +
    `UIDVALIDITY 1 PARTITION p ACL "" OPTIONS "" RECORD (%(UID 1 MODSEQ 2 LAST_UPDATED 5 ` +
    "FLAGS () " +
    `INTERNALDATE 5 SIZE ${message.length} GUID ${guid})))`;
  const fetch = `GET FETCH %(MBOXNAME user.fred PARTITION p UNIQUEID id-fred GUID ${guid} UID 1)`;

  /** Turns a bit of a file round. */
  function damage(path: string, at: number): void {
    const bytes = readFileSync(path);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }

  test("is not served, and stands in the log with mailbox and reason", async () => {
    const server = await serve();
    const client = await admin(server);
    for (const name of ["fred", "eve"]) {
      expect((await client.command(`APPLY MESSAGE (${file})`)).status).toBe("OK success");
      expect((await client.command(mailbox(name))).status).toBe("OK success");
    }
    const folder = `${server.root}/user/f/fred`;
    damage(`${folder}/id-fred/1.`, 3); // a hard link of the one in the pool
    expect(await client.command(fetch)).toEqual({ data: ["MESSAGE NIL"], status: "OK success" });
    const said = /error Message is damaged and not served (.*)/.exec(server.log.join("\n"))?.[1];
    expect(said).toMatch(/account=admin .*mailbox=user.fred uid=1 guid=\w+ why=/);
    damage(`${folder}/id-fred/cyrus.index`, 200); // in the one record
    expect(await client.command("GET FULLMAILBOX user.fred")).toEqual({
      data: [],
      status: "NO Stored data is damaged",
    });
    damage(`${folder}/id-fred/cyrus.index`, 20); // in the header
    for (const line of [
      "GET FULLMAILBOX user.fred",
      "GET MAILBOXES (user.fred)",
      mailbox("fred"),
    ]) {
      expect(await client.command(line)).toEqual({ data: [], status: "NO Stored data is damaged" });
      const told = /error Refused a command (.*)/.exec(server.log.at(-1) ?? "")?.[1];
      expect(told).toMatch(
        /peer=127.0.0.1 session=1 account=admin command=.* reason=damaged .*why=".*CRC/,
      );
    }
    // All or nothing: a client would take a mailbox that is left out for deleted.
    expect(await client.command("GET USER fred")).toEqual({
      data: [],
      status: "NO Stored data is damaged",
    });
    expect(server.log.join("\n")).toMatch(
      /error Mailbox is damaged and not served .*user=fred mailbox=user\/fred why=".*CRC/,
    );
    expect((await client.command("GET USER eve")).status).toBe("OK success");
  });
});

describe("a store that cannot be used", () => {
  test("is answered with NO, and the administrator reads why and what to do", async () => {
    const server = await serve();
    const failed = new AppError("io", "Cannot make /s/.staging: EIO", {
      hint: "Look at the disk.",
    });
    const open = spyOn(server.place, "openSession").mockRejectedValueOnce(failed);
    const client = await stranger(server);
    const { status } = await client.command(`AUTHENTICATE PLAIN ${PLAIN}`);
    expect(status).toBe("NO the store cannot be used now, its administrator can read why");
    expect(server.log.at(-1)).toEndWith(
      "error Cannot make /s/.staging: EIO (the disk fails) " +
        'peer=127.0.0.1 session=1 account=admin hint="Look at the disk."',
    );
    open.mockRestore();
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
  });
});

describe("the end", () => {
  test("a stop waits for a command in flight and says BYE to the others", async () => {
    const server = await serve();
    const idle = await admin(server);
    const busy = await admin(server);
    busy.send("APPLY CAPABILITIES (SIEVE-");
    await untilTaken(server);
    const stopped = server.server.stop(10_000);
    expect((await idle.reply()).status).toBe("BYE shutting down");
    expect((await idle.reply()).status).toBe("closed");
    busy.send("MAILBOX)\r\n");
    expect((await busy.reply()).status).toBe("OK success");
    expect((await busy.reply()).status).toBe("BYE shutting down");
    await stopped;
  });

  test("a stop cuts off who does not come to an end", async () => {
    const server = await serve();
    const client = await admin(server);
    client.send("APPLY CAPABILITIES (");
    await untilTaken(server);
    const started = performance.now();
    await server.server.stop(100);
    expect(performance.now() - started).toBeLessThan(5000);
    expect((await client.reply()).status).toBe("closed");
  });
});
