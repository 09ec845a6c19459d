/** What no target can take is named before anything of it is sent, and by the dry run too. */
import { describe, expect, test } from "bun:test";
import { type MailboxState, recordsOf } from "../../../src/model/mailbox.ts";
import { ok } from "../../../src/model/outcome.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { wrapPlace } from "../../../src/places/wrap_place.ts";
import { granted, recordsIn } from "../../support/places.ts";
import { newStorePlace, put, replicate } from "../../support/replication.ts";
import { record } from "../../support/store_fixture.ts";

interface Unfit {
  readonly state?: Partial<MailboxState>;
  readonly record?: Partial<MailRecord>;
  /** What the words of the failure hold. */
  readonly why: RegExp;
}

const UNFIT: readonly (readonly [name: string, unfit: Unfit])[] = [
  ["user.kim.a%b", { why: /the character "%" is not allowed/ }],
  [`user.kim.${"x".repeat(490)}`, { why: /at most 490 are allowed/ }],
  [
    "user.kim.a",
    { state: { userflags: ["two words"] }, why: /the keyword "two words" is no atom/ },
  ],
  ["user.kim.b", { state: { acl: "kim lrs" }, why: /is no ACL/ }],
  ["user.kim.c", { state: { lastAppenddate: -1 }, why: /LAST_APPENDDATE -1 is no time/ }],
  ["user.kim.d", { record: { flags: ["(x)"] }, why: /message 1: the keyword "\(x\)" is no atom/ }],
  [
    "user.kim.e",
    { record: { lastUpdated: 2 ** 32 }, why: /message 1: LAST_UPDATED .* is no time/ },
  ],
  ["user.kim.f", { record: { internaldate: 0 }, why: /UID 1: it has no internaldate/ }],
];

describe("withMessages() and takenBy()", () => {
  for (const [name, { state = {}, record: change = {}, why }] of UNFIT) {
    test(`names ${name.slice(0, 20)} for ${why.source} in the dry run as in the run`, async () => {
      const [place, target] = [newStorePlace(), newStorePlace()];
      await put(place, "user.kim", [record(1)], { change: { uniqueid: "kim" } });
      await put(place, "user.kim.Odd", [record(1)], { change: { uniqueid: "odd" } });
      const shown = (one: MailboxState): MailboxState =>
        one.uniqueid === "odd" ? { ...one, name, ...state } : one;
      const source = wrapPlace(place, (inner) => ({
        user: async (userid) => {
          const found = granted(await inner.user(userid));
          return ok({ ...found, mailboxes: found.mailboxes.map(shown) });
        },
        readMailbox: async (wanted) => {
          if (wanted !== name) return inner.readMailbox(wanted);
          const reading = granted(await inner.readMailbox("user.kim.Odd"));
          const records = (await recordsIn(reading.records)).map((one) => ({ ...one, ...change }));
          return ok({ state: shown(reading.state), records: recordsOf(records) });
        },
      }));
      for (const mode of ["merge", "mirror"] as const) {
        for (const dryRun of [true, false, true, false]) {
          const told = await replicate(
            { kind: "user", userid: "kim" },
            { source, target },
            {
              ...{ mode, dryRun },
            },
          );
          expect(told.failures).toEqual([expect.stringMatching(why)]);
          expect(told.steps).not.toContain(`mailbox ${name}`);
          expect(granted(told.outcome)).toMatchObject({ failures: 1, left: 0 });
        }
      }
      const { mailboxes } = granted(await target.user("kim"));
      expect(mailboxes.map((one) => one.name)).toEqual(["user.kim"]);
      await place.close();
      await target.close();
    });
  }
});
