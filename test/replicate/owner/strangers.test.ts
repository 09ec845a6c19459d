/** Users renamed, and names given to others: told by uniqueids before anything is sent. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Owner } from "../../../src/model/names.ts";
import type { WritablePlace } from "../../../src/places/place.ts";
import { wrapPlace } from "../../../src/places/wrap_place.ts";
import { granted } from "../../support/places.ts";
import { newStorePlace, put, reconcile, replicate } from "../../support/replication.ts";
import { record } from "../../support/store_fixture.ts";

const user = (userid: string): Owner => ({ kind: "user", userid });
const [KIM, LOU] = [user("kim"), user("lou")];
const box = (place: WritablePlace, name: string, uniqueid: string) =>
  put(place, name, [record(1)], { change: { uniqueid } });

describe("withoutMoved()", () => {
  let source: WritablePlace;
  let target: WritablePlace;

  beforeEach(() => {
    source = newStorePlace();
    target = newStorePlace();
  });
  afterEach(async () => {
    await source.close();
    await target.close();
  });

  const mailboxesOf = async (place: WritablePlace, userid: string) =>
    granted(await place.user(userid)).mailboxes;

  test("refuses a renamed user, and the new one of his name, in every mode and order", async () => {
    await box(target, "user.kim", "old-kim");
    await box(target, "user.kim.Keep", "old-keep");
    await box(source, "user.lou", "old-kim");
    await box(source, "user.lou.Keep", "old-keep");
    const before = await mailboxesOf(target, "kim");
    const renamed = { kind: "refused", reason: "permissionDenied" };
    for (const isAgain of [false, true]) {
      if (isAgain) await box(source, "user.kim", "new-kim");
      for (const owner of [KIM, LOU, KIM]) {
        for (const dryRun of [true, false]) {
          const both = await reconcile(owner, { a: source, b: target }, { dryRun });
          const back = await reconcile(owner, { a: target, b: source }, { dryRun });
          expect([both.outcome, back.outcome]).toMatchObject([renamed, renamed]);
          for (const mode of ["merge", "mirror"] as const) {
            const options = { mode, dryRun, allowDelete: 100 };
            const told = await replicate(owner, { source, target }, options);
            expect(told).toMatchObject({ outcome: renamed, steps: [] });
            const text = told.outcome.kind === "refused" ? told.outcome.text : "";
            expect(text).toMatch(/user\/kim at .* renamed to another owner/);
          }
        }
      }
    }
    expect(await mailboxesOf(target, "kim")).toEqual(before);
    expect(await mailboxesOf(target, "lou")).toEqual([]);
  });

  test("names a folder that is another user's at the target, and brings the others", async () => {
    await box(target, "user.kim", "kim");
    await box(target, "user.kim.Sub", "sub");
    await box(source, "user.kim", "kim");
    await box(source, "user.lou", "lou");
    await box(source, "user.lou.Sub", "sub");
    for (const dryRun of [true, false]) {
      const told = await replicate(LOU, { source, target }, { dryRun });
      expect(told.steps).toEqual(["mailbox user.lou"]);
      expect(told.failures).toEqual([expect.stringContaining("user/lou/Sub at")]);
      expect(granted(told.outcome)).toMatchObject({ steps: 1, failures: 1, left: 0 });
    }
    expect((await mailboxesOf(target, "lou")).map(({ name }) => name)).toEqual(["user.lou"]);
  });
});

describe("readOwnerState()", () => {
  test("names a mailbox without a uniqueid before anything of it is sent", async () => {
    const [place, target] = [newStorePlace(), newStorePlace()];
    await box(place, "user.kim", "kim");
    await box(place, "user.kim.Old", "old");
    const source = wrapPlace(place, (inner) => ({
      user: async (userid) => {
        const found = granted(await inner.user(userid));
        const mailboxes = found.mailboxes.map((state) =>
          state.uniqueid === "old" ? { ...state, uniqueid: "" } : state,
        );
        return { kind: "ok", value: { ...found, mailboxes } };
      },
    }));
    for (const mode of ["merge", "mirror"] as const) {
      for (const dryRun of [true, false]) {
        const told = await replicate(KIM, { source, target }, { mode, dryRun });
        expect(told.failures).toEqual([expect.stringContaining("user/kim/Old has no uniqueid")]);
        expect(told.steps).not.toContain("mailbox user.kim.Old");
      }
    }
    const { mailboxes } = granted(await target.user("kim"));
    expect(mailboxes.map(({ name }) => name)).toEqual(["user.kim"]);
    await place.close();
    await target.close();
  });
});
