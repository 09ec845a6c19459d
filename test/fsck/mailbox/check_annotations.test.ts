import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseMessageAnnotation } from "../../../src/formats/cyrus/annotations_db.ts";
import { readDatabase } from "../../../src/formats/cyrus/databases/database.ts";
import { tell } from "../../../src/fsck/finding.ts";
import { checkMessageAnnotations } from "../../../src/fsck/mailbox/check_annotations.ts";
import { IndexImage } from "../../../src/mailbox/index_image.ts";
import { readSpool } from "../../../src/places/cyrus/layout/spool.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";

const none = { value: new Uint8Array(), modseq: 1n, userid: "", deleted: false };

describe("checkMessageAnnotations()", () => {
  for (const name of [
    "uuid-paths",
    "conversations-3.6",
    "index-versions",
    "index-versions-master",
  ]) {
    test(`finds nothing wrong in any mailbox of ${name}`, () => {
      let annotations = 0;
      const data = join(readOnlyFixture(`cyrus-spools/${name}`), "spool");
      for (const paths of readSpool({ data }).mailboxes) {
        if (!existsSync(paths.annotations)) continue;
        const index = IndexImage.open(readFileSync(paths.index), "cyrus.index");
        const uids = new Set([...index.records()].map(({ uid }) => uid));
        const database = readDatabase(readFileSync(paths.annotations));
        const entries = database.kind === "read" ? database.entries : [];
        annotations += entries.length;
        const found = checkMessageAnnotations({
          annotations: entries.map(parseMessageAnnotation),
          hasRecord: (uid) => uids.has(uid),
          minorVersion: index.header.minorVersion,
          path: paths.annotations,
        });
        expect(found).toEqual([]);
      }
      expect(annotations).toBeGreaterThan(0);
    });
  }

  test("reports annotations without a record, but no tombstones", () => {
    const annotations = [
      { ...none, uid: 1, entry: "/comment" },
      { ...none, uid: 2, entry: "/comment" },
      { ...none, uid: 3, entry: "/comment", deleted: true },
    ];
    const hasRecord = (uid: number) => uid === 1;
    const found = checkMessageAnnotations({ annotations, hasRecord, minorVersion: 17, path: "/a" });
    expect(found.map(tell)).toMatchObject([
      { code: "AN01", severity: "warning", uid: 2, field: "/comment" },
    ]);
  });

  test("remarks on what the records of the version hold themselves", () => {
    const prefix = "/vendor/cmu/cyrus-imapd/";
    const names = ["thrid", "savedate", "createdmodseq", "basethrid", "internaldate.nsec"];
    const annotations = names.map((name) => ({ ...none, uid: 1, entry: `${prefix}${name}` }));
    const stale = (minorVersion: number) =>
      checkMessageAnnotations({ annotations, hasRecord: () => true, minorVersion, path: "/a" })
        .map(tell)
        .map(({ severity, field }) => `${severity} ${field?.replace(prefix, "")}`);
    expect(stale(12)).toEqual([]);
    expect(stale(13)).toEqual(["info thrid"]);
    expect(stale(17)).toEqual(["info thrid", "info savedate", "info createdmodseq"]);
    expect(stale(20)).toHaveLength(5);
  });
});
