/**
 * A sound Cyrus may hold messages that no mail program should write. What it keeps of them is right
 * by definition: fsck finds nothing wrong, and a store counts their headers as Cyrus does.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromLatin1 } from "../../src/core/bytes.ts";
import { beginSha1 } from "../../src/hash/sha1.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { readSpool } from "../../src/places/cyrus/layout/spool.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { type Lab, labUpInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { HEADER_ENDS, ODD_MESSAGES } from "../support/odd_messages.ts";
import { tempDir } from "../support/temp_dir.ts";

const MESSAGES = [...HEADER_ENDS.map(([message]) => message), ...ODD_MESSAGES].map(fromLatin1);

const GUIDS = MESSAGES.map((bytes) => {
  const hash = beginSha1();
  hash.update(bytes);
  return hash.digest();
});

/** Sends all messages to user.ann.Odd of the lab; the UIDs are in their order from 1 on. */
async function push({ syncPort }: Lab): Promise<void> {
  const client = await Csync.signedIn(syncPort);
  for (const [at, bytes] of MESSAGES.entries()) {
    client.send(`APPLY MESSAGE (%{default ${GUIDS[at]} ${bytes.length}}\r\n`);
    client.send(bytes);
    expect((await client.command(")")).status).toStartWith("OK");
  }
  const records = MESSAGES.map(
    (bytes, at) =>
      `%(UID ${at + 1} MODSEQ 4 LAST_UPDATED 1700000100 FLAGS () INTERNALDATE 1700000000 ` +
      `SIZE ${bytes.length} GUID ${GUIDS[at]})`,
  );
  const made = await client.command(
    `APPLY MAILBOX %(UNIQUEID oddodd MBOXNAME user.ann.Odd SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
      `LAST_UID ${MESSAGES.length} HIGHESTMODSEQ 5 RECENTUID 0 RECENTTIME 0 ` +
      `LAST_APPENDDATE 1700000000 POP3_LAST_LOGIN 0 POP3_SHOW_AFTER 0 UIDVALIDITY 1700000000 ` +
      `PARTITION default ACL "ann\tlrswipkxtecdan\t" OPTIONS P CREATEDMODSEQ 1 ` +
      `FOLDERMODSEQ 1 RECORD (${records.join(" ")}))`,
  );
  expect(made.status).toStartWith("OK");
  client.close();
}

/** What fsck finds that counts, and its exit code. */
async function fsck(place: string): Promise<unknown> {
  const { exit, stdout } = await bobbin(["--json", "fsck", place]);
  const found = jsonLines(stdout).filter(
    ({ type, severity }) => type === "finding" && severity !== "info",
  );
  return { exit, found };
}

/** header_size by GUID, of every record in the mailboxes below a folder. */
function headerSizes(data: string): Map<string, number> {
  const records = readSpool({ data }).mailboxes.flatMap(({ index }) => [
    ...IndexImage.open(readFileSync(index), "cyrus.index").records(),
  ]);
  return new Map(records.map(({ guid, headerSize }) => [guid, headerSize]));
}

describe.skipIf(!has("a Cyrus server"))("odd messages in a real Cyrus", () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await labUpInMemory();
    await lab.run("user", "ann", "--plain");
    await push(lab);
  });

  afterAll(async () => {
    await lab.down();
  });

  test("are sound to fsck, there and in a store", async () => {
    expect(await fsck(lab.conf)).toEqual({ exit: 0, found: [] });
    const store = join(tempDir("odd"), "store");
    expect((await bobbin(["store", "init", store])).exit).toBe(0);
    const brought = await bobbin(["replicate", "ann", "--from", lab.conf, "--to", store]);
    expect(brought).toMatchObject({ exit: 0 });
    expect(await fsck(store)).toEqual({ exit: 0, found: [] });
    const cyrus = headerSizes(lab.spool);
    expect(headerSizes(store)).toEqual(cyrus);
    const expected = HEADER_ENDS.map(([message, size], at) => ({ message, size, guid: GUIDS[at] }));
    for (const { message, size, guid = "" } of expected) {
      expect({ message, size: cyrus.get(guid) }).toEqual({ message, size });
    }
    expect(cyrus.size).toBe(MESSAGES.length);
  });
});
