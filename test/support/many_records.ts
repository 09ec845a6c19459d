/**
 * Requests of many records that share few messages: the size of the request is what matters, not
 * the disk's.
 */
import type { Csync } from "./csync.ts";
import { guidOf, message } from "./store_fixture.ts";

const DISTINCT = 20;

function recordText(uid: number): string {
  const bytes = message((uid % DISTINCT) + 1);
  return (
    `%(UID ${uid} MODSEQ 2 LAST_UPDATED 1700000000 FLAGS () INTERNALDATE 1700000000 ` +
    `SIZE ${bytes.length} GUID ${guidOf(bytes)})`
  );
}

/** APPLY MAILBOX of a new mailbox `user.<user>` with `count` records. */
export function applyManyLine(user: string, count: number): string {
  const records = Array.from({ length: count }, (_, at) => recordText(at + 1));
  return (
    `APPLY MAILBOX %(UNIQUEID id-${user} MBOXNAME user.${user} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    `LAST_UID ${count} HIGHESTMODSEQ 2 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 ` +
    "POP3_LAST_LOGIN 0 " +
    `UIDVALIDITY 1 PARTITION default ACL "" OPTIONS "" RECORD (${records.join(" ")}))`
  );
}

/** Sends the messages that all those records share. */
export async function stageDistinct(client: Csync): Promise<void> {
  client.send("APPLY MESSAGE (");
  for (let number = 1; number <= DISTINCT; number++) {
    const bytes = message(number);
    client.send(`${number === 1 ? "" : " "}%{default ${guidOf(bytes)} ${bytes.length}}\r\n`);
    client.send(bytes);
  }
  await mustBeOk(client, ")");
}

/** Brings a user of a few messages. */
export async function fillSmall(client: Csync, user: string): Promise<void> {
  await stageDistinct(client);
  await mustBeOk(client, applyManyLine(user, DISTINCT));
}

async function mustBeOk(client: Csync, line: string): Promise<void> {
  const { status } = await client.command(line);
  if (!status.startsWith("OK")) throw new Error(status);
}
