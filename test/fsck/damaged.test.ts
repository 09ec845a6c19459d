/** Damage planted in real Cyrus mailboxes (damaged.tar.gz): all of it is found, where it is. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fixturePath, unpackFixture } from "../support/fixtures.ts";
import { codesOf, type Found, fsckSpool } from "../support/fsck.ts";

/** The codes that each planted damage must raise, and no others. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "00-clean": [],
  "01-body-flip": ["MS04 uid 2"],
  "02-header-line-flip": ["MS04 uid 2"],
  "03-truncated": ["MS03 uid 2", "MS04 uid 2"],
  "04-empty": ["MS02 uid 2"],
  "05-grown": ["MS03 uid 2", "MS04 uid 2"],
  "06-missing": ["MS01 uid 2"],
  "07-orphan": ["MS07 uid 77"],
  "08-odd-file": ["MS08"],
  "10-record-flip": ["IX03 uid 2"],
  "11-record-guid-flip": ["IX03 uid 2"],
  "12-record-crc-flip": ["IX03 uid 2"],
  "13-guid-recrc": ["IX12", "MS04 uid 2"],
  "14-size-recrc": ["CA04 uid 2", "IX11", "MS03 uid 2"],
  // The file of UID 3 is not that of the record moved there, and nobody claims that of UID 2 and
  // its annotation.
  "15-uid-recrc": ["AN01 uid 2", "IX06 uid 3", "MS04 uid 3", "MS06 uid 2"],
  "16-cacheoffset-recrc": ["CA01 uid 2"],
  "20-header-flip": ["IX02"],
  "21-header-crc-flip": ["IX02"],
  "22-exists-recrc": ["IX09"],
  "23-numrecords-recrc": ["IX04"],
  "24-synccrc-recrc": ["IX12"],
  "25-lastuid-recrc": ["IX07 uid 5"],
  "26-quota-recrc": ["IX11"],
  "27-index-truncated": ["IX04"],
  "28-index-missing": ["IX01"],
  "29-index-zero": ["IX03"],
  "30-cache-flip": ["CA02 uid 2"],
  "31-cache-truncated": ["CA01 uid 5"],
  "32-cache-missing": ["CA01 uid 1"],
  "40-headerfile-flip": ["IX14"],
  "41-headerfile-magic": ["HD01", "IX14"],
  "42-headerfile-missing": ["HD01"],
  "43-dup-a": [],
  "44-dup-b": ["DB05", "HD02"],
  "50-annotations-flip": ["AN01"],
};

interface Planted {
  readonly mailbox: string;
  /** Folder below the fixture. */
  readonly folder: string;
}

const planted: readonly Planted[] = readFileSync(
  fixturePath("cyrus-spools/damaged.manifest.tsv"),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [mailbox = "", path = ""] = line.split("\t");
    return { mailbox, folder: path.slice(0, path.lastIndexOf("/")) };
  });

describe("fsck of damaged.tar.gz", () => {
  let root = "";
  let found: Found[] = [];

  beforeAll(async () => {
    root = unpackFixture("cyrus-spools/damaged");
    found = await fsckSpool(join(root, "spool"));
  });

  test("the manifest and the expectations name the same mailboxes", () => {
    expect(planted.map(({ mailbox }) => mailbox).sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  for (const { mailbox, folder } of planted) {
    test(`${mailbox}: ${EXPECTED[mailbox]?.join(", ") || "nothing"}`, () => {
      const own = found.filter(({ path = "" }) => `${path}/`.startsWith(`${join(root, folder)}/`));
      expect(codesOf(own)).toEqual([...(EXPECTED[mailbox] ?? [])]);
    });
  }

  test("every finding stands under the mailbox in whose folder it is", () => {
    // Without cyrus.header there is no name to be had from the spool alone.
    const nameless = ["41-headerfile-magic", "42-headerfile-missing"];
    for (const { mailbox, folder } of planted) {
      const own = found.filter(({ path = "" }) => path.startsWith(join(root, folder)));
      const expected = nameless.includes(mailbox) ? folder.slice("spool/".length) : mailbox;
      for (const { mailbox: name } of own) expect(name).toEndWith(expected);
    }
    const folders = planted.map(({ folder }) => join(root, folder));
    const elsewhere = found.filter(
      ({ path = "" }) => !folders.some((folder) => path.startsWith(folder)),
    );
    expect(elsewhere).toEqual([]);
  });

  test("the duplicate uniqueid names the mailbox that it was copied from", () => {
    const duplicates = found.filter(({ code }) => code === "DB05");
    expect(duplicates).toMatchObject([
      { mailbox: "user.dan.44-dup-b", other: "user.dan.43-dup-a", severity: "critical" },
    ]);
  });

  test("a flipped byte under a CRC is named with its field and what it should be", () => {
    const text = (mailbox: string) => {
      const one = found.find((other) => other.mailbox === `user.dan.${mailbox}`);
      return one?.text.split(": ")[1];
    };
    expect(text("10-record-flip")).toBe("byte 0x68 at 279 should be 0x78 (internaldate)");
    expect(text("11-record-guid-flip")).toBe("byte 0x58 at 337 should be 0x59 (guid)");
    expect(text("12-record-crc-flip")).toBe("the checksum itself has a changed byte");
    expect(text("20-header-flip")).toBe("byte 0x05 at 87 should be 0x04 (exists)");
    expect(text("40-headerfile-flip")).toBe("byte 0x73 at 187 should be 0x72");
  });
});
