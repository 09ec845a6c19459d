/**
 * A sound Cyrus may hold messages that no mail program should write. What it keeps of them is right
 * by definition: fsck finds nothing wrong, and a store counts their headers as Cyrus does.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromLatin1 } from "../../src/core/bytes.ts";
import { sha1Of } from "../../src/hash/sha1.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { readSpool } from "../../src/places/cyrus/layout/spool.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { type Lab, labUpInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { HEADER_ENDS, ODD_MESSAGES } from "../support/odd_messages.ts";
import { pushMessages } from "../support/push_messages.ts";
import { tempDir } from "../support/temp_dir.ts";

const MESSAGES = [...HEADER_ENDS.map(([message]) => message), ...ODD_MESSAGES].map(fromLatin1);

const GUIDS = MESSAGES.map(sha1Of);

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
    await pushMessages(lab, MESSAGES);
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
