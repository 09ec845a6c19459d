/** Messages as entries of an mbox file. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { latin1, utf8 } from "../../../src/core/bytes.ts";
import { printMboxEntry } from "../../../src/formats/mbox/print_mbox.ts";
import { has } from "../../support/needs.ts";
import { tempDir } from "../../support/temp_dir.ts";

const entry = (text: string, flags: readonly string[] = []) =>
  latin1(printMboxEntry(utf8(text), { flags, internaldate: 1_615_457_472 }));
const FROM = "From MAILER-DAEMON Thu Mar 11 10:11:12 2021\n";

describe("printMboxEntry()", () => {
  test("quotes every From_ line, and those that look quoted", () => {
    const message = "Subject: a\r\n\r\nFrom here\r\n>From there\r\n From\r\nFromage\r\n";
    const body = ">From here\n>>From there\n From\nFromage\n";
    expect(entry(message)).toBe(`${FROM}Subject: a\nStatus: O\n\n${body}\n`);
  });

  test("has the flags in its headers, and none of the message's own", () => {
    const message = "Status: X\nSubject: a\nX-Keywords: old\n older\nTo: b\n\nStatus: text\n";
    const flags = ["\\Seen", "\\Flagged", "\\Answered", "work", "$Label1"];
    expect(entry(message, flags)).toBe(
      `${FROM}Subject: a\nTo: b\nStatus: RO\nX-Status: AF\nX-Keywords: work $Label1\n\n` +
        "Status: text\n\n",
    );
  });

  test.each([
    ["Subject: a", "Subject: a\nStatus: O\n\n\n"],
    ["\r\nbody", "Status: O\n\nbody\n\n"],
    ["", "Status: O\n\n\n"],
    ["Subject: a\r\n\r\n", "Subject: a\nStatus: O\n\n\n"],
  ])("keeps %j an entry of its own", (message, wanted) => {
    expect(entry(message)).toBe(FROM + wanted);
  });

  test.skipIf(!has("python3"))("is read by Python as so many messages with these flags", () => {
    const folder = tempDir("mbox");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "box");
    const texts = ["Subject: a\r\n\r\nFrom x\r\n", "Subject: b", "\r\nbody\r\n\r\nFrom y\r\n"];
    writeFileSync(
      path,
      texts.map((text) => entry(text, ["\\Seen", "\\Flagged"])).join(""),
      "latin1",
    );
    const program =
      "import mailbox,sys\n" +
      "for m in mailbox.mbox(sys.argv[1]): print(m['subject'], m.get_flags(), m.get_from())";
    const { stdout } = Bun.spawnSync(["python3", "-c", program, path]);
    const from = FROM.slice("From ".length).trim();
    expect(stdout.toString()).toBe(`a ROF ${from}\nb ROF ${from}\nNone ROF ${from}\n`);
  });
});
