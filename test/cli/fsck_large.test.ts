/**
 * Mailboxes far larger than any should be: checked in bounded memory. Full size in the long run.
 */
import { describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin } from "../support/cli.ts";
import { plantInHeader } from "../support/index_bytes.ts";
import { buildLinkedSpool, folderOf } from "../support/spool/build_spool.ts";
import { tempDir } from "../support/temp_dir.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const MESSAGES = LONG ? 200_000 : 20_000;
const RECORDS = LONG ? 1_000_000 : 100_000;
const PEAK_BYTES = 400 * 1024 * 1024;

describe("large mailboxes", () => {
  test(`a folder of ${MESSAGES} messages, every one read`, async () => {
    const spool = join(tempDir("many"), "spool");
    buildLinkedSpool(spool, { messages: MESSAGES, mailboxes: 1 });
    const { exit, stdout, peakBytes } = await bobbin(["fsck", spool]);
    expect({ exit, stdout }).toMatchObject({ exit: 0 });
    expect(stdout).toContain(`1 mailbox, ${MESSAGES.toLocaleString("en-US")} messages`);
    expect(peakBytes).toBeLessThan(PEAK_BYTES);
  });

  test(`an index of ${RECORDS} records whose files are all missing`, async () => {
    const spool = join(tempDir("records"), "spool");
    const built = buildLinkedSpool(spool, { messages: 1000, mailboxes: 1 });
    const folder = join(spool, folderOf(built.mailboxes[0]?.uniqueid ?? ""));
    const path = join(folder, "cyrus.index");
    const small = readFileSync(path);
    const records = small.subarray(160);
    // The same records again and again: UIDs out of order, as a hostile writer would have them.
    plantInHeader(small, "numRecords", BigInt(RECORDS));
    writeFileSync(path, small);
    for (let at = 1; at < RECORDS / 1000; at++) appendFileSync(path, records);
    const { exit, stdout, peakBytes } = await bobbin(["fsck", spool, "--json"]);
    expect(exit).toBe(1);
    expect(stdout).toContain(`${RECORDS - 1000 - 200} more of the same`);
    expect(peakBytes).toBeLessThan(PEAK_BYTES);
  });

  test(`a sound index of ${RECORDS} records`, async () => {
    const spool = join(tempDir("sound"), "spool");
    buildLinkedSpool(spool, { messages: RECORDS, mailboxes: 1 });
    const { exit, stdout, peakBytes } = await bobbin(["fsck", spool, "--quick"]);
    expect({ exit, stdout }).toMatchObject({ exit: 0 });
    expect(stdout).toContain(`${RECORDS.toLocaleString("en-US")} messages`);
    expect(peakBytes).toBeLessThan(PEAK_BYTES);
  });
});
