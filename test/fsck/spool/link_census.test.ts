import { describe, expect, test } from "bun:test";
import { tell } from "../../../src/fsck/finding.ts";
import { LinkCensus } from "../../../src/fsck/spool/link_census.ts";

const FILE = { device: 1, inode: 7, links: 3, guid: "ab".repeat(20) };
/** One file that is in A twice and in B once. */
const MAILBOXES = {
  A: [
    { ...FILE, uid: 1 },
    { ...FILE, uid: 2 },
  ],
  B: [{ ...FILE, uid: 5 }],
};

describe("LinkCensus", () => {
  for (const order of [
    ["A", "B"],
    ["B", "A"],
  ] as const) {
    test(`finds a file that is in a mailbox twice, in the order ${order.join()}`, () => {
      const census = new LinkCensus();
      for (const name of order) census.add(name, MAILBOXES[name]);
      expect(census.findings().map(tell)).toMatchObject([
        { code: "MS11", severity: "info", mailbox: "A", field: "messages", found: 1 },
      ]);
    });
  }
});
