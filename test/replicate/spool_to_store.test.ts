/** Real Cyrus spools into a store: every record and message as it was, and a second run has nothing to do. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { MailRecord } from "../../src/model/record.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../src/places/cyrus/spool_source.ts";
import type { Place } from "../../src/places/place.ts";
import { initStore } from "../../src/places/store/settings.ts";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import { nameOf, replicateUser } from "../../src/replicate/run.ts";
import { mustBeOk } from "../places/conformance.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";

async function recordsOf(place: Place, name: string): Promise<MailRecord[]> {
  const all: MailRecord[] = [];
  for await (const batch of mustBeOk(await place.readMailbox(name)).records.batches())
    all.push(...batch);
  return all;
}

async function usersOf(place: Place): Promise<string[]> {
  const users: string[] = [];
  for await (const owner of mustBeOk(await place.owners()))
    if (owner.kind === "user") users.push(owner.userid);
  return users;
}

/** Versions 6 to 9 of fixture index-versions: their records have no GUIDs. */
const OLD = /\.v[6-9]$/;

const SPOOLS = [
  "uuid-paths",
  "uuid-paths-3.12",
  "uuid-paths-master",
  "legacy-paths",
  "conversations-3.6",
  "index-versions",
];

describe("replicateUser()", () => {
  for (const name of SPOOLS) {
    for (const indexVersion of name === "uuid-paths-master"
      ? ([17, 20] as const)
      : ([17] as const)) {
      test(`replicateUser() brings ${name} into a store of version ${indexVersion}, once and whole`, async () => {
        const source = cyrusPlace(
          spoolSource({ data: join(readOnlyFixture(`cyrus-spools/${name}`)) }),
        );
        const root = join(tempDir("replica"), "store");
        initStore(root, { indexVersion });
        const target = openStorePlace(root);
        const users = await usersOf(source);
        expect(users.length).toBeGreaterThan(0);
        for (const userid of users) {
          const failed: string[] = [];
          const events = {
            failed: (box: string, refusal: { text: string }) =>
              failed.push(`${box}: ${refusal.text}`),
          };
          const first = mustBeOk(
            await replicateUser(source, target, { userid, dryRun: false, events }),
          );
          expect([failed, first.plan.extras]).toEqual([[], []]);
          const again = mustBeOk(
            await replicateUser(source, target, { userid, dryRun: false, events }),
          );
          // Mailboxes older than GUIDs have checksums of their own and are looked at again, no more.
          const steps = again.plan.steps.map(nameOf).filter((box) => !OLD.test(box));
          expect([steps, again.messages, failed]).toEqual([[], 0, []]);
          for (const { name: box } of mustBeOk(await source.user(userid)).mailboxes) {
            const ours = await recordsOf(source, box);
            const theirs = await recordsOf(target, box);
            const known = OLD.test(box)
              ? ours.map((one, at) => ({ ...one, guid: theirs[at]?.guid ?? "" }))
              : ours;
            expect(theirs.map(comparable)).toEqual(known.map(comparable));
          }
        }
        await target.close();
        verifyStore(root);
        await source.close();
      }, 60_000);
    }
  }
});

/** What must come back; whether a tombstone still has its file is each place's own affair. */
function comparable({ unlinked: _, annotations, ...record }: MailRecord): unknown {
  const texts = annotations.map(
    ({ entry, userid, value }) => `${entry} ${userid} ${Buffer.from(value)}`,
  );
  return { ...record, annotations: texts.sort() };
}
