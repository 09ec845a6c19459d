import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { viewOf } from "../../../../src/core/bytes.ts";
import { readSkiplist, SKIPLIST_MAGIC } from "../../../../src/formats/cyrus/databases/skiplist.ts";
import { filesWithMagic, flipped, textsOf } from "../../../support/databases.ts";
import { fixturePath, readOnlyFixture } from "../../../support/fixtures.ts";
import { property } from "../../../support/property.ts";

function log(name: string): Uint8Array {
  return readFileSync(fixturePath(`databases/${name}.skiplist`));
}

function expectedLog(name: string): Record<string, string> {
  return JSON.parse(readFileSync(fixturePath(`databases/${name}.json`), "utf8"));
}

describe("readSkiplist()", () => {
  test("follows real logs of stores and deletes as Cyrus does", () => {
    for (const name of ["log-a", "log-b"]) {
      const contents = readSkiplist(log(name));
      expect(contents).toMatchObject({ problems: [], unfinished: false });
      expect(textsOf(contents)).toEqual(expectedLog(name));
    }
  });

  for (const fixture of [
    "conversations-3.6",
    "uuid-paths-3.12",
    "uuid-paths-master",
    "index-versions-master",
  ]) {
    test(`finds nothing wrong in the conversations of ${fixture}`, () => {
      const paths = filesWithMagic(readOnlyFixture(`cyrus-spools/${fixture}`), SKIPLIST_MAGIC);
      expect(paths.length).toBeGreaterThan(0);
      for (const path of paths) {
        const { entries, problems } = readSkiplist(readFileSync(path));
        expect(problems).toEqual([]);
        expect(entries.length).toBeGreaterThan(30);
      }
    });
  }

  test("rolls a broken-off transaction back, wherever the log is cut", () => {
    const bytes = log("log-a");
    const states = new Set<string>();
    for (let length = 48; length <= bytes.length; length++) {
      const contents = readSkiplist(bytes.subarray(0, length));
      states.add(JSON.stringify(textsOf(contents)));
      // The file was never checkpointed: all of it is log, and every cut of a log is legal.
      if (length >= 144) expect(contents.problems).toEqual([]);
      else expect(contents.problems).toHaveLength(1);
    }
    expect(states).toContain(JSON.stringify(expectedLog("log-a")));
    expect(states.size).toBeGreaterThan(20);
    expect(states.size).toBeLessThanOrEqual(41);
  });

  test("skips the zeros that an old recovery left between records", () => {
    const bytes = log("log-b");
    const start = viewOf(bytes).getUint32(40);
    const padded = new Uint8Array(bytes.length + 16);
    padded.set(bytes.subarray(0, start));
    padded.set(bytes.subarray(start), start + 16);
    // Offsets in DELETE records count from the start of the file, so only the first records hold.
    const { problems } = readSkiplist(padded.subarray(0, start + 16));
    expect(problems).toEqual([]);
  });

  test("reports an unknown record, a DELETE of nothing and a wrong header", () => {
    const bytes = log("log-b");
    const unknown = new Uint8Array([...bytes, 0, 0, 0, 9, 0, 0, 0, 0]);
    expect(readSkiplist(unknown).problems).toMatchObject([
      { offset: bytes.length, what: "log record" },
    ]);
    const astray = new Uint8Array([...bytes, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 255]);
    expect(readSkiplist(astray).problems).toMatchObject([{ what: "DELETE record", found: "5" }]);
    expect(readSkiplist(flipped(bytes, 23)).problems).toMatchObject([{ what: "version" }]);
    expect(readSkiplist(flipped(bytes, 43)).problems).toMatchObject([{ what: "start of the log" }]);
    expect(readSkiplist(flipped(bytes, 51)).problems).toMatchObject([{ what: "first record" }]);
  });

  test("never throws or loops on random bytes behind the head", () => {
    const words = fc.array(fc.constantFrom(0, 1, 2, 4, 8, 48, 255, 257, 0xffff_ffff), {
      maxLength: 200,
    });
    property(words, (numbers) => {
      const bytes = new Uint8Array(144 + 4 * numbers.length);
      bytes.set(log("log-a").subarray(0, 144));
      numbers.forEach((number, at) => {
        viewOf(bytes).setUint32(144 + 4 * at, number);
      });
      readSkiplist(bytes);
    });
    property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      const bytes = log("log-a").slice(0, 400);
      bytes.set(noise, 20);
      readSkiplist(bytes);
    });
  });
});
