/** What does not differ between places that do not both hold it. */
import { describe, expect, test } from "bun:test";
import { ALL_HELD } from "../../../src/places/place.ts";
import { parseGreeting } from "../../../src/places/sync/peer.ts";
import { holdsOf } from "../../../src/places/sync/peer_holds.ts";
import { differingRecordFields } from "../../../src/replicate/plan/compare_records.ts";
import { record } from "../../support/store_fixture.ts";

const PREFIX = "/vendor/cmu/cyrus-imapd/";

describe("differingRecordFields()", () => {
  test("asks a server for nothing that its version does not keep", () => {
    const ours = record(1, { savedate: 5, cid: 0xa1n, createdmodseq: 2n });
    const theirs = { ...ours, savedate: 0, cid: 0n, createdmodseq: 0n };
    const differingAt = (version: string): readonly string[] => {
      const greeting = parseGreeting(`beta Cyrus sync server v${version}`);
      const peer = { ...greeting, capabilities: new Set<string>() };
      const holds = holdsOf(peer, { sieveFiles: true, sieveMailboxes: false });
      return differingRecordFields(ours, theirs, holds);
    };
    expect(differingAt("2.4.17")).toEqual([]);
    expect(differingAt("2.5.17")).toEqual(["cid"]);
    expect(differingAt("3.6.1")).toEqual(["cid", "savedate", "createdmodseq"]);
  });

  test("takes a virtual annotation and the field of it for the same", () => {
    const annotation = (text: string) => [
      { entry: `${PREFIX}savedate`, userid: "", modseq: 9n, value: Buffer.from(text) },
    ];
    const kept = record(1, { savedate: 0, annotations: annotation("1795346138") });
    const inField = { ...kept, annotations: [], savedate: 1795346138 };
    expect(differingRecordFields(kept, inField, ALL_HELD)).toEqual([]);
    expect(differingRecordFields(inField, kept, ALL_HELD)).toEqual([]);
    const other = { ...kept, annotations: annotation("1795346139") };
    expect(differingRecordFields(other, inField, ALL_HELD)).toEqual(["savedate"]);
  });
});
