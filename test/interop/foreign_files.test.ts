/**
 * Mailboxes that others wrote and published, which are not part of this tree: they are read only
 * where BOBBIN_SHARED names the folder that has them in `fixtures/cyrus-old-mailboxes`.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readTwoskip } from "../../src/formats/cyrus/databases/twoskip.ts";
import { parseHeaderFile, printHeaderFile } from "../../src/formats/cyrus/header_file.ts";
import { parseIndexHeader } from "../../src/formats/cyrus/index/index_header.ts";
import { effectiveModseq } from "../../src/formats/cyrus/index/index_record.ts";
import { parseMailboxesDb } from "../../src/formats/cyrus/mailboxes_db.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { imapdConfOf } from "../../src/places/cyrus/server/imapd_conf.ts";
import { shownFindings } from "../support/cyrus_server.ts";
import { sharedFixture, unpackArchive } from "../support/fixtures.ts";
import { codesOf, fsckSpool } from "../support/fsck.ts";

/** Where the mailboxes lie in each archive, and what fsck finds: version 9 has a genuine fault. */
const OLD = [
  ["version9", "version9", ["IX08 uid 1"]],
  ["version10", "version10", []],
  ["version12", "version12", []],
  ["version19", "data", []],
] as const;

const absent = sharedFixture("fixtures/cyrus-old-mailboxes/version9.tar.gz") === undefined;

function unpacked(name: string): string {
  const archive = sharedFixture(`fixtures/cyrus-old-mailboxes/${name}.tar.gz`);
  return unpackArchive(archive ?? expect.unreachable());
}

describe.skipIf(absent)("files of others", () => {
  test.each(OLD)("%s: fsck finds what is wrong in them and no more", async (name, data, codes) => {
    expect(codesOf(await fsckSpool(join(unpacked(name), data)), "warning")).toEqual([...codes]);
  });

  test.each(["version9", "version10", "version12"])("%s: its text header is kept", (name) => {
    const bytes = readFileSync(join(unpacked(name), name, "cyrus.header"));
    const header = parseHeaderFile(bytes);
    expect(header.form).toBe("text");
    expect(Buffer.from(printHeaderFile(header))).toEqual(bytes);
  });

  test("version9: the modseqs that Cyrus 2.5 put into the upper half are mended", () => {
    const bytes = readFileSync(join(unpacked("version9"), "version9", "cyrus.index"));
    const header = parseIndexHeader(bytes);
    const records = [...IndexImage.open(bytes, "cyrus.index").records()];
    expect(records).toHaveLength(10);
    for (const record of records) {
      expect(record.modseq).toBeGreaterThan(header.highestmodseq);
      expect(effectiveModseq(record, header)).toBeLessThanOrEqual(header.highestmodseq);
      expect(effectiveModseq(record, header)).toBeGreaterThan(0n);
    }
  });

  test("version19: mailboxes.db is read whole, and fsck of the server finds nothing", async () => {
    const root = unpacked("version19");
    const records = readTwoskip(readFileSync(join(root, "conf/mailboxes.db"))).entries;
    const db = parseMailboxesDb(records);
    expect(db.problems).toEqual([]);
    expect(db.names.map(({ name, type }) => `${name} ${type.text}`)).toEqual([
      "DELETED.user.cassandane.bar.686BCF8B el",
      "user.abc el",
      "user.cassandane el",
      "user.cassandane.bar edl",
      "user.cassandane.foo el",
    ]);
    expect(db.names[2]?.acl).toContainEqual({ identifier: "anyone", rights: "p" });
    const options = { configdirectory: `${root}/conf`, "partition-default": `${root}/data` };
    const conf = imapdConfOf("", new Map(Object.entries({ ...options, conversations: "yes" })));
    expect(await shownFindings({ conf })).toEqual([]);
  });
});
