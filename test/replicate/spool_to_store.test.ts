/**
 * Real Cyrus spools into a store, and from there into another: once and whole, and the second run
 * does nothing.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { MailboxState } from "../../src/model/mailbox.ts";
import { type MailRecord, withVirtualFields } from "../../src/model/record.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../src/places/cyrus/spool_source.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { readOwnerState } from "../../src/replicate/owner/owner_state.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { granted, ownersIn, recordsIn } from "../support/places.ts";
import { NOTHING_DONE, newStorePlace, replicate } from "../support/replication.ts";
import { verifyStore } from "../support/store_verify.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

/** Those that go on into a second store; the others only into the first, to save time. */
const SPOOLS = [
  { name: "uuid-paths", indexVersion: 17, goesOn: isLong },
  { name: "uuid-paths-3.12", indexVersion: 17, goesOn: isLong },
  { name: "uuid-paths-master", indexVersion: 17, goesOn: isLong },
  { name: "uuid-paths-master", indexVersion: 20, goesOn: true },
  { name: "legacy-paths", indexVersion: 17, goesOn: isLong },
  { name: "conversations-3.6", indexVersion: 17, goesOn: true },
  { name: "index-versions", indexVersion: 17, goesOn: false },
] as const;

/**
 * What must come back. Whether an expunged message still has its file is each place's own affair,
 * and what an old index keeps as an annotation is a field in a newer one.
 */
function comparable(given: MailRecord): unknown {
  const { unlinked: _, annotations, ...record } = withVirtualFields(given);
  const texts = annotations.map(
    ({ entry, userid, value }) => `${entry} ${userid} ${Buffer.from(value)}`,
  );
  return { ...record, annotations: texts.sort() };
}

/** Versions 6 to 9 of fixture index-versions: their messages get GUIDs on the way. */
const OLD = /\.v[6-9]$/;

async function contentsOf(place: Place, states: readonly MailboxState[]): Promise<unknown> {
  const found: [string, string, unknown[]][] = [];
  for (const { name, uniqueid } of states) {
    const { records } = granted(await place.readMailbox(name));
    const comparables = (await recordsIn(records)).map((record) =>
      comparable(OLD.test(name) ? { ...record, guid: "" } : record),
    );
    found.push([name, uniqueid, comparables]);
  }
  return found.sort();
}

async function bringAll(source: Place, target: WritablePlace): Promise<void> {
  const owners = await ownersIn(source);
  expect(owners.length).toBeGreaterThan(0);
  for (const owner of owners) {
    const first = await replicate(owner, { source, target });
    expect([first.failures, first.leftovers]).toEqual([[], []]);
    expect(granted(first.outcome).steps).toBeGreaterThan(0);
    const { outcome, ...again } = await replicate(owner, { source, target });
    expect(again).toEqual(NOTHING_DONE);
    expect(granted(outcome)).toMatchObject({ steps: 0, messages: 0 });
    const ours = granted(await readOwnerState(source, owner)).mailboxes;
    expect(await contentsOf(target, ours)).toEqual(await contentsOf(source, ours));
  }
}

describe("replicateOwner()", () => {
  for (const { name, indexVersion, goesOn } of SPOOLS) {
    test(`brings ${name} into a store of version ${indexVersion}`, async () => {
      const data = join(readOnlyFixture(`cyrus-spools/${name}`), "spool");
      const source = cyrusPlace(spoolSource({ data }));
      const target = newStorePlace({ indexVersion });
      const further = newStorePlace();
      await bringAll(source, target);
      if (goesOn) await bringAll(target, further);
      for (const place of [source, target, further]) await place.close();
      verifyStore(target.locator.slice("store:".length));
      verifyStore(further.locator.slice("store:".length));
    }, 60_000);
  }
});
