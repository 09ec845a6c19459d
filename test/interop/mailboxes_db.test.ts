import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTwoskip } from "../../src/formats/cyrus/databases/twoskip.ts";
import { TWOSKIP_MAGIC } from "../../src/formats/cyrus/databases/twoskip_record.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import type { MailboxEntry } from "../../src/formats/cyrus/mailbox_entry.ts";
import { parseMailboxesDb } from "../../src/formats/cyrus/mailboxes_db.ts";
import { cyrusTools } from "../support/cyrus_tools.ts";
import { filesWithMagic } from "../support/databases.ts";
import { fixturePath, readOnlyFixture } from "../support/fixtures.ts";
import { printNameRecord, printUniqueidRecord } from "../support/formats/mailboxes_writer.ts";

const tools = cyrusTools();

function hasUniqueid(entry: MailboxEntry): entry is MailboxEntry & { uniqueid: string } {
  return entry.uniqueid !== undefined;
}

describe("ctl_mboxlist", () => {
  for (const fixture of ["legacy-paths", "uuid-paths"]) {
    test.skipIf(tools === undefined)(`lists what Bobbin wrote anew of ${fixture}`, () => {
      if (tools === undefined) return;
      const root = readOnlyFixture(`cyrus-spools/${fixture}`);
      const bytes = readFileSync(join(root, "conf/mailboxes.db"));
      const db = parseMailboxesDb(readTwoskip(bytes).entries);
      const records = [
        ...db.names.map(printNameRecord),
        ...db.uniqueids.filter(hasUniqueid).map(printUniqueidRecord),
      ];
      tools.write("conf/mailboxes.db", writeTwoskip(records));
      const listed: Record<string, unknown> = JSON.parse(tools.run("ctl_mboxlist", ["-d"]));
      const expected: Record<string, unknown> = JSON.parse(
        readFileSync(fixturePath(`cyrus-spools/${fixture}.mailboxes.json`), "utf8"),
      );
      expect(listed).toEqual(expected);
    });
  }
});

describe("reconstruct", () => {
  test.skipIf(tools === undefined)("finds a spool sound whose databases Bobbin wrote anew", () => {
    const cyrus = cyrusTools({ hashimapspool: "yes", unixhierarchysep: "yes" });
    if (cyrus === undefined) return;
    cpSync(readOnlyFixture("cyrus-spools/uuid-paths"), cyrus.folder, {
      recursive: true,
      filter: (path) => !path.endsWith("imapd.conf"),
    });
    const databases = filesWithMagic(cyrus.folder, TWOSKIP_MAGIC);
    expect(databases.length).toBeGreaterThan(40);
    for (const path of databases) {
      writeFileSync(path, writeTwoskip(readTwoskip(readFileSync(path)).entries));
    }
    cyrus.own(cyrus.folder);
    const said = cyrus.run("reconstruct", ["-n", "-G", "-r", "user/ann", "user/dan"]);
    const mailboxes = said.trim().split("\n");
    expect(mailboxes.length).toBeGreaterThan(40);
    expect(mailboxes.filter((line) => !/^user\/(ann|dan)[^:]*$/.test(line))).toEqual([]);
  });
});
