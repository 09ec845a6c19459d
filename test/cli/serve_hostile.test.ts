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
