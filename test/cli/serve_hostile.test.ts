/**
 * `bobbin serve`, as built, under clients that have signed in and mean harm: what they can make it
 * hold in memory is bounded, and others are served meanwhile.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { constants, deflateRawSync } from "node:zlib";
import { Csync } from "../support/csync.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";

/** 500 MB. */
const MEMORY_MIB = 500_000_000 / 1024 / 1024;
const NO_ROOM = "NO IMAP_MAILBOX_LOCKED Mailbox is locked";

describe("bobbin serve", () => {
  let served: ServedBinary;

  beforeEach(async () => {
    served = await serveBinary({ args: ["--quiet"] });
  });

  afterEach(() => {
    served.child.kill("SIGKILL");
  });

  /** Expects others to be served, and the store to take a mailbox. */
  async function expectWell(): Promise<void> {
    const other = await Csync.signedIn(served.port);
    expect((await other.command(`${mailboxHead("bob", 1)} RECORD ())`)).status).toBe("OK success");
    expect((await other.command("GET USER bob")).data).toHaveLength(1);
    other.close();
    expect(served.peakMib()).toBeLessThan(MEMORY_MIB);
  }

  test("refuses a mailbox of 400,000 records with eight annotations each", async () => {
    const anne = await Csync.signedIn(served.port, "anne");
    await anne.compress();
    let [plainBytes, packedBytes] = [0, 0];
    const send = (text: string): void => {
      const packed = deflated(text);
      plainBytes += text.length;
      packedBytes += packed.length;
      anne.sendRaw(packed);
    };
    send(`${mailboxHead("anne", 400_000)} RECORD (`);
    for (let uid = 1; uid <= 400_000; uid += 4000) {
      send(`${Array.from({ length: 4000 }, (_, at) => annotated(uid + at)).join(" ")} `);
    }
    send("))\r\n");
    expect([plainBytes > 190_000_000, packedBytes < 6_000_000]).toEqual([true, true]);
    expect((await anne.reply()).status).toBe(NO_ROOM);
    await expectWell();
    send(`${mailboxHead("anne", 1)} RECORD ())\r\n`);
    expect((await anne.reply()).status).toBe("OK success");
    anne.close();
  }, 120_000);

  test.each(Object.entries(FORMS))(
    "bounds what four sessions hold in %s",
    async (_, { begins, repeats, ends, answered }) => {
      const packed = deflated(repeats.repeat(BYTES / repeats.length));
      const rest = deflated("x".repeat(BYTES % repeats.length));
      const [head, tail] = [deflated(begins), deflated(ends)];
      const isCut = ends === "";
      const clients: Csync[] = [];
      for (let count = 0; count < 4; count++) {
        const client = await Csync.signedIn(served.port, "anne");
        await client.compress();
        for (const piece of [head, packed, rest, tail]) client.sendRaw(piece);
        if (isCut) client.sendRaw(deflated(`${"x".repeat(BYTES)})\r\n`));
        clients.push(client);
      }
      for (const client of clients) expect((await client.reply()).status).toMatch(answered);
      await expectWell();
      for (const client of clients) {
        client.sendRaw(deflated("NOOP\r\n"));
        expect((await client.reply()).status).toBe("OK Nothing done");
        client.close();
      }
    },
    120_000,
  );

  test("bounds what sixty sessions hold in answers that they do not take", async () => {
    const clients: Csync[] = [];
    for (let count = 0; count < 60; count++) {
      clients.push(await Csync.signedIn(served.port, "anne"));
    }
    const script = "#".repeat(8 * 1024 * 1024);
    const status = (await clients[0]?.command(`${SCRIPT} {${script.length}+}\r\n${script})`))
      ?.status;
    expect(status).toBe("OK success");
    for (const client of clients) {
      client.pause();
      client.send("GET FETCH_SIEVE %(USERID anne FILENAME x.script)\r\n");
    }
    // The account holds all that it may; another one is served.
    await expectWell();
    for (const client of clients) client.resume();
    const told = new Map<string, number>();
    for (const client of clients) {
      const { data, status: answer } = await client.reply();
      if (answer === "OK success") expect(data.join().length).toBeGreaterThan(script.length);
      told.set(answer, (told.get(answer) ?? 0) + 1);
    }
    expect([...told.keys()].toSorted()).toEqual([NO_ROOM, "OK success"]);
    expect(told.get("OK success")).toBeGreaterThan(3);
    await expectWell();
    for (const client of clients) client.close();
  }, 120_000);

  test.each([
    ["empty lists", "() "],
    ["strings", "a "],
    ["kvlists", "%(a b) "],
    ["flags", "\\a "],
  ])(
    "bounds what sixteen sessions hold in %s",
    async (_, value) => {
      const packed = deflated(value.repeat(30_000_000 / value.length));
      expect(packed.length).toBeLessThan(140_000);
      const clients: Csync[] = [];
      for (let count = 0; count < 16; count++) {
        const client = await Csync.signedIn(served.port, "anne");
        await client.compress();
        client.sendRaw(deflated("GET MAILBOXES ("));
        client.sendRaw(packed);
        clients.push(client);
      }
      await expectWell();
      for (const client of clients) client.sendRaw(deflated(")\r\n"));
      for (const client of clients) expect((await client.reply()).status).toBe(NO_ROOM);
      await expectWell();
      for (const client of clients) client.close();
    },
    120_000,
  );
});

/** A line in latin1: how it begins, what of it is repeated up to `bytes`, and how it ends. */
interface Form {
  readonly begins: string;
  readonly repeats: string;
  readonly ends: string;
  /** The status; a client that is refused for want of memory is told `NO_ROOM`. */
  readonly answered: RegExp;
}

const BYTES = 60_000_000;
const BAD = /^BAD IMAP_PROTOCOL_ERROR/;
const REFUSED = /^NO IMAP_(PROTOCOL_BAD_PARAMETERS|MAILBOX_LOCKED)/;
const FULL_OR_DONE = /^(NO IMAP_MAILBOX_LOCKED|OK)/;
const SCRIPT = "APPLY SIEVE %(USERID anne FILENAME x.script LAST_UPDATE 1 CONTENT";

const FORMS: Readonly<Record<string, Form>> = {
  "lists in lists": { begins: "GET MAILBOXES ", repeats: "(", ends: "\r\n", answered: BAD },
  "an atom": { begins: "GET USER ", repeats: "a", ends: "\r\n", answered: BAD },
  "a quoted string": { begins: 'GET USER "', repeats: "a ", ends: '"\r\n', answered: BAD },
  "text that is no command": { begins: "", repeats: "x", ends: "\r\n", answered: /^BAD/ },
  "names of mailboxes": {
    ...{
      begins: "GET MAILBOXES (",
      repeats: "user.anne.abcdefghijklmnopqrstuvwxyz ",
      ends: ")\r\n",
    },
    answered: FULL_OR_DONE,
  },
  "a script": {
    ...{ begins: `${SCRIPT} {${BYTES}+}\r\n`, repeats: "# keep;\r\n", ends: ")\r\n" },
    answered: REFUSED,
  },
  "a literal larger than is taken": {
    ...{ begins: `${SCRIPT} {${BYTES * 2}+}\r\n`, repeats: "xxxxxxxx", ends: "" },
    answered: BAD,
  },
  "an ACL": {
    begins: `${mailboxHead("anne", 1).replace('ACL ""', "")} RECORD () ACL {${BYTES}+}\r\n`,
    ...{ repeats: "anne\tl\t", ends: ")\r\n", answered: REFUSED },
  },
  "flags of one record": {
    begins: `${mailboxHead("anne", 1)} RECORD (%(UID 1 MODSEQ 4 FLAGS (`,
    ...{ repeats: "$abcdefgh ", ends: "))))\r\n", answered: REFUSED },
  },
  "uids to expunge": {
    begins: "APPLY EXPUNGE %(MBOXNAME user.anne UNIQUEID id-anne UID (",
    ...{ repeats: "4294967295 ", ends: "))\r\n", answered: REFUSED },
  },
};

/** Raw deflate that ends on a byte, so that more may follow. */
function deflated(text: string): Uint8Array {
  return deflateRawSync(Buffer.from(text, "latin1"), { finishFlush: constants.Z_FULL_FLUSH });
}

function mailboxHead(user: string, lastUid: number): string {
  return (
    `APPLY MAILBOX %(UNIQUEID id-${user} MBOXNAME user.${user} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    `LAST_UID ${lastUid} HIGHESTMODSEQ 4 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 ` +
    'POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION default ACL "" OPTIONS ""'
  );
}

const NOTES = Array.from(
  { length: 8 },
  (_, at) => `%(ENTRY /e${at} USERID "" MODSEQ 4 VALUE v)`,
).join(" ");

/** An expunged record, which needs no message. */
function annotated(uid: number): string {
  return (
    `%(UID ${uid} MODSEQ 4 LAST_UPDATED 1700000000 FLAGS (\\Expunged) INTERNALDATE 1700000000 ` +
    `SIZE 10 GUID ${String((uid % 7) + 1).padStart(40, "0")} ANNOTATIONS (${NOTES}))`
  );
}
