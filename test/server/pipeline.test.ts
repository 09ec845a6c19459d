/** A client that sends its next commands while a mailbox of its is still being applied. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { WritablePlace } from "../../src/places/place.ts";
import { Csync } from "../support/csync.ts";
import { withSessions } from "../support/places.ts";
import { newStorePlace } from "../support/replication.ts";
import { type TestServer, testServer, untilTaken } from "../support/serve.ts";
import { guidOf, message } from "../support/store_fixture.ts";
import { until } from "../support/until.ts";

/**
 * What the store under the server was asked, in order; every APPLY MAILBOX waits until it may go
 * on.
 */
let asked: string[];
let mayApply: PromiseWithResolvers<void>;
let place: WritablePlace;
let server: TestServer;
let client: Csync;

beforeEach(async () => {
  asked = [];
  mayApply = Promise.withResolvers();
  place = newStorePlace();
  server = await testServer({ place: watched(place) });
  client = await Csync.signedIn(server.port);
});
afterEach(async () => {
  mayApply.resolve();
  client.close();
  await server.stop();
});

function watched(inner: WritablePlace): WritablePlace {
  return withSessions(inner, (session) => ({
    stage: (file) => {
      asked.push(`stage ${file.guid}`);
      return session.stage(file);
    },
    apply: async (command, options) => {
      asked.push(command.kind === "mailbox" ? `apply ${command.state.name}` : command.kind);
      await mayApply.promise;
      asked.push("applied");
      return session.apply(command, options);
    },
    close: () => {
      asked.push("close");
      return session.close();
    },
  }));
}

const BYTES = [message(1), message(2)];
const GUIDS = BYTES.map(guidOf);

/** A message as the client sends it. */
function sendMessage(number: 0 | 1): void {
  const bytes = BYTES[number] ?? new Uint8Array();
  client.send(`APPLY MESSAGE (%{default ${GUIDS[number]} ${bytes.length}}\r\n`);
  client.send(bytes);
  client.send(")\r\n");
}

function mailboxLine(name: string, number: 0 | 1): string {
  const size = BYTES[number]?.length;
  return (
    `APPLY MAILBOX %(UNIQUEID id-${number} MBOXNAME ${name} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    "LAST_UID 1 HIGHESTMODSEQ 2 " +
    "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION " +
    "default " +
    `ACL "" OPTIONS "" RECORD (%(UID 1 MODSEQ 2 LAST_UPDATED 1700000000 FLAGS () INTERNALDATE ` +
    "1700000000 " +
    `SIZE ${size} GUID ${GUIDS[number]})))`
  );
}

/** Waits until the store has been asked this. */
async function untilAsked(what: string): Promise<void> {
  await until(what, () => asked.includes(what));
}

test("its next messages are staged meanwhile, and every answer comes in its turn", async () => {
  sendMessage(0);
  expect((await client.reply()).status).toBe("OK success");
  client.send(`${mailboxLine("user.fred", 0)}\r\n`);
  sendMessage(1);
  client.send(`${mailboxLine("user.fred.two", 1)}\r\nGET USER fred\r\n`);
  await untilAsked(`stage ${GUIDS[1]}`);
  expect(asked).toEqual([`stage ${GUIDS[0]}`, "apply user.fred", `stage ${GUIDS[1]}`]);
  mayApply.resolve();
  for (let command = 0; command < 3; command++) {
    expect(await client.reply()).toEqual({ data: [], status: "OK success" });
  }
  const { data, status } = await client.reply();
  expect(status).toBe("OK success");
  expect(data.filter((line) => line.startsWith("MAILBOX")).length).toBe(2);
  expect(asked.slice(3)).toEqual(["applied", "apply user.fred.two", "applied"]);
});

test("a refused mailbox leaves the next one as it is, and the session in step", async () => {
  mayApply.resolve();
  client.send(`${mailboxLine("user.fred", 0)}\r\n`); // its message was never sent
  sendMessage(1);
  client.send(`${mailboxLine("user.fred.two", 1)}\r\nNOOP\r\n`);
  expect((await client.reply()).status).toStartWith("NO IMAP_SYNC_CHECKSUM");
  for (const status of ["OK success", "OK success", "OK Nothing done"]) {
    expect((await client.reply()).status).toBe(status);
  }
});

test("a client that goes meanwhile has its mailbox applied before the end", async () => {
  sendMessage(0);
  expect((await client.reply()).status).toBe("OK success");
  client.send(`${mailboxLine("user.fred", 0)}\r\n`);
  await untilAsked("apply user.fred");
  client.close();
  await untilTaken(server);
  expect(asked).not.toContain("close");
  mayApply.resolve();
  await untilAsked("close");
  expect(asked.slice(-2)).toEqual(["applied", "close"]);
});

test("a server that is told to stop meanwhile answers first", async () => {
  sendMessage(0);
  expect((await client.reply()).status).toBe("OK success");
  client.send(`${mailboxLine("user.fred", 0)}\r\n`);
  await untilAsked("apply user.fred");
  const idle = await Csync.signedIn(server.port);
  const stopped = server.stop();
  expect((await idle.reply()).status).toStartWith("BYE");
  mayApply.resolve();
  expect((await client.reply()).status).toBe("OK success");
  expect((await client.reply()).status).toStartWith("BYE");
  await stopped;
});
