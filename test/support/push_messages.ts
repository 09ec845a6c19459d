/** Messages put into a real Cyrus as they are, by replication, which refuses none. */
import { expect } from "bun:test";
import { sha1Of } from "../../src/hash/sha1.ts";
import { Csync } from "./csync.ts";
import type { Lab } from "./lab.ts";

/** Messages of one command. */
const BATCH = 100;

/** Sends messages to user.ann.Odd of the lab; the UIDs are in their order from 1 on. */
export async function pushMessages(
  { syncPort }: Lab,
  messages: readonly Uint8Array[],
): Promise<void> {
  const guids = messages.map(sha1Of);
  const client = await Csync.signedIn(syncPort);
  for (let first = 0; first < messages.length; first += BATCH) {
    client.send("APPLY MESSAGE (");
    for (const bytes of messages.slice(first, first + BATCH)) {
      client.send(`%{default ${sha1Of(bytes)} ${bytes.length}}\r\n`);
      client.send(bytes);
      client.send(" ");
    }
    expect((await client.command(")")).status).toStartWith("OK");
  }
  const records = messages.map(
    (bytes, at) =>
      `%(UID ${at + 1} MODSEQ 4 LAST_UPDATED 1700000100 FLAGS () INTERNALDATE 1700000000 ` +
      `SIZE ${bytes.length} GUID ${guids[at]})`,
  );
  const made = await client.command(
    `APPLY MAILBOX %(UNIQUEID oddodd MBOXNAME user.ann.Odd SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
      `LAST_UID ${messages.length} HIGHESTMODSEQ 5 RECENTUID 0 RECENTTIME 0 ` +
      `LAST_APPENDDATE 1700000000 POP3_LAST_LOGIN 0 POP3_SHOW_AFTER 0 UIDVALIDITY 1700000000 ` +
      `PARTITION default ACL "ann\tlrswipkxtecdan\t" OPTIONS P CREATEDMODSEQ 1 ` +
      `FOLDERMODSEQ 1 RECORD (${records.join(" ")}))`,
  );
  expect(made.status).toStartWith("OK");
  client.close();
}
