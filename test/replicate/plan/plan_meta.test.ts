/** Settings that mean the same and are written otherwise: nothing is to be done about them. */
import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { NULL_GUID } from "../../../src/model/guid.ts";
import type { MailboxState, UserState } from "../../../src/model/mailbox.ts";
import { ALL_HELD } from "../../../src/places/place.ts";
import { wrapPlace } from "../../../src/places/wrap_place.ts";
import { readOwnerState } from "../../../src/replicate/owner/owner_state.ts";
import { planOwner } from "../../../src/replicate/plan/plan_owner.ts";
import type { Plan } from "../../../src/replicate/plan/steps.ts";
import { granted } from "../../support/places.ts";
import { NOBODY, OWNER } from "../../support/plan_model.ts";
import { newStorePlace } from "../../support/replication.ts";
import { stateOf } from "../../support/store_fixture.ts";

const plan = (source: UserState, target: UserState, mode: "merge" | "mirror"): Plan =>
  planOwner({ owner: OWNER, mode, source, target, holds: ALL_HELD });
const fred = (change: Partial<MailboxState> = {}) => stateOf("user.fred", [], change);
const seen = { uniqueid: "other", lastRead: 1, lastUid: 9, lastChange: 1 };
const script = { filename: "main.script", lastUpdate: 5, guid: NULL_GUID, isActive: true };
const comment = { entry: "/comment", userid: "", modseq: 0n, value: utf8("hello") };

const PAIRS: Readonly<Record<string, readonly [Partial<UserState>, Partial<UserState>]>> = {
  "ACL entries and rights in another order, and in older letters": [
    { mailboxes: [fred({ acl: "fred\tlrswipkxtecdan\tanyone\tlr\t-bob\tw\t" })] },
    { mailboxes: [fred({ acl: "-bob\tw\tanyone\trl\tfred\tnaetxkpiwsrl\tbert\t\t" })] },
  ],
  "options in another order": [
    { mailboxes: [fred({ options: "PS" })] },
    { mailboxes: [fred({ options: "SP" })] },
  ],
  "an annotation that is listed twice": [
    { mailboxes: [fred({ annotations: [comment, comment] })] },
    { mailboxes: [fred({ annotations: [comment] })] },
  ],
  "the same UIDs in other ranges": [
    { seen: [{ ...seen, seenUids: "1:3,5" }] },
    { seen: [{ ...seen, seenUids: "5,1,2:3" }] },
  ],
  "scripts as a mailbox, of which one side makes files": [
    { mailboxes: [fred(), stateOf("user.fred.#sieve", [], { type: "f" })], sieve: [script] },
    { mailboxes: [fred(), stateOf("user.fred.#sieve", [], { type: "f" })] },
  ],
};

describe("planOwner() of settings", () => {
  test.each(Object.entries(PAIRS))("has nothing to do for %s", (_, [one, other]) => {
    const [a, b] = [one, other].map((state) => ({ ...NOBODY, mailboxes: [fred()], ...state }));
    for (const mode of ["merge", "mirror"] as const) {
      for (const [source, target] of [[a, b] as const, [b, a] as const]) {
        if (source === undefined || target === undefined) continue;
        expect(plan(source, target, mode)).toEqual({ steps: [], leftovers: [] });
      }
    }
  });

  test("leaves a quota above the user alone where only the target has it", () => {
    const domain = { root: "example.com!", limits: { STORAGE: 9 } };
    const [source, target] = [
      { ...NOBODY, mailboxes: [fred()] },
      { ...NOBODY, mailboxes: [fred()], quotas: [domain] },
    ];
    for (const mode of ["merge", "mirror"] as const) {
      expect(plan(source, target, mode)).toEqual({ steps: [], leftovers: [] });
    }
    expect(plan(target, source, "merge").steps).toMatchObject([{ command: { kind: "quota" } }]);
  });

  test("reads each thing once, and quotas above a user that the other side has", async () => {
    const domain = { root: "example.com!", limits: { STORAGE: 9 } };
    const quota = { root: "user.fred", limits: { STORAGE: 5 } };
    const listed: UserState = {
      ...{ mailboxes: [fred()], quotas: [{ ...quota, limits: {} }, quota] },
      subscriptions: ["user.fred", "user.fred"],
      ...{
        seen: [
          { ...seen, seenUids: "1" },
          { ...seen, seenUids: "1:2" },
        ],
        sieve: [script, script],
      },
    };
    const place = wrapPlace(newStorePlace(), () => ({
      user: async () => ({ kind: "ok", value: listed }),
      quota: async (root) => ({ kind: "ok", value: root === domain.root ? domain : undefined }),
    }));
    const known = { mailboxes: [], quotas: [domain] };
    expect(granted(await readOwnerState(place, OWNER, known))).toMatchObject({
      ...{ quotas: [quota, domain], subscriptions: ["user.fred"] },
      ...{ seen: [{ seenUids: "1:2" }], sieve: [script] },
    });
    await place.close();
  });
});
