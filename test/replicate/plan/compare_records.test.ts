/** What does not differ between places that do not both hold it. */
import { describe, expect, test } from "bun:test";
import { holdsOf, parseGreeting } from "../../../src/places/sync/peer.ts";
import { differingFields } from "../../../src/replicate/plan/compare_records.ts";
import { record } from "../../support/store_fixture.ts";

describe("differingFields()", () => {
  test("asks a server for nothing that its version does not keep", () => {
    const ours = record(1, { savedate: 5, cid: 0xa1n, createdmodseq: 2n });
    const theirs = { ...ours, savedate: 0, cid: 0n, createdmodseq: 0n };
    const differingAt = (version: string): readonly string[] => {
      const greeting = parseGreeting(`beta Cyrus sync server v${version}`);
      const peer = { ...greeting, capabilities: new Set<string>() };
      const holds = holdsOf(peer, { sieveFiles: true, sieveMailboxes: false });
      return differingFields(ours, theirs, holds);
    };
    expect(differingAt("2.4.17")).toEqual([]);
    expect(differingAt("2.5.17")).toEqual(["cid", "createdmodseq"]);
    expect(differingAt("3.6.1")).toEqual(["cid", "savedate", "createdmodseq"]);
  });
});
