/** The memory of a first backup, whatever the number of messages. Full size in the long run. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin } from "../support/cli.ts";
import { folderOf } from "../support/spool/build_spool.ts";
import { sampleMail } from "../support/spool/sample_mail.ts";
import { placeAsFile, writeMailbox } from "../support/spool/write_mailbox.ts";
import { tempDir } from "../support/temp_dir.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const MESSAGES = LONG ? 100_000 : 10_000;
const PEAK_BYTES = (LONG ? 500 : 275) * 1024 * 1024;
/** A run that finds nothing new. */
const IDLE_PEAK_BYTES = 150 * 1024 * 1024;

test(`${MESSAGES} small messages in one mailbox are backed up in bounded memory`, async () => {
  const dir = tempDir("backup-memory");
  const uniqueid = "aaaaaaaa-1111-4111-8111-111111111111";
  const identity = { name: "user.big", user: "big", uniqueid, uidvalidity: 1_700_000_000 };
  function* mails() {
    for (let at = 0; at < MESSAGES; at++) yield sampleMail(at, 600, 1_700_000_000 + at);
  }
  const spool = join(dir, "spool");
  writeMailbox(join(spool, folderOf(uniqueid)), identity, { mails: mails(), place: placeAsFile });
  const args = ["backup", "run", "big", "--from", spool, "--to", join(dir, "archives")];
  for (const most of [PEAK_BYTES, IDLE_PEAK_BYTES]) {
    const { exit, stderr, peakBytes } = await bobbin(args);
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(peakBytes).toBeLessThan(most);
  }
  const { stdout } = await bobbin(["ls", `backup:${join(dir, "archives")}`, "--json"]);
  expect(stdout).toContain(`"messages":${MESSAGES}`);
});
