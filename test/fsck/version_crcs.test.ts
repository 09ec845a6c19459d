/** The disks of small servers of all versions: what they hold is what their own servers said. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseHeaderFile } from "../../src/formats/cyrus/header_file.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { readSpool } from "../../src/places/cyrus/layout/spool.ts";
import { answersOf, FIXTURE_VERSIONS, serverOf } from "../support/version_answers.ts";

const MAILBOX = /^\* MAILBOX %\(.*\bUNIQUEID (\S+) .*\bSYNC_CRC (\d+)( SYNC_CRC_ANNOT (\d+))?/;

describe("the SYNC_CRCs of a server's own answers", () => {
  test.each(FIXTURE_VERSIONS)("%s: are those of its indexes", (version) => {
    const said = answersOf(version).connections.flat();
    const lines = said.flatMap(({ data }) => data.join("").split("\n"));
    const crcs = new Map<string, readonly [number, number]>();
    for (const line of lines) {
      if (/ MBOXTYPE (i|ei|d) /.test(line)) continue; // has no folder
      const [, uniqueid = "", basic, , annot = "0"] = MAILBOX.exec(line) ?? [];
      if (basic !== undefined) crcs.set(uniqueid, [Number(basic), Number(annot)]);
    }
    const { mailboxes } = readSpool({ data: `${serverOf(version)}/spool` });
    const found = mailboxes.flatMap((paths) => {
      const { uniqueid } = parseHeaderFile(readFileSync(paths.header));
      const { syncCrc: basic, syncCrcAnnot: annot } = IndexImage.open(
        readFileSync(paths.index),
        "cyrus.index",
      ).header;
      return [[uniqueid ?? "", [basic, annot]] as const];
    });
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(crcs));
  });
});
