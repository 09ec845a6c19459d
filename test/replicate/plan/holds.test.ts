import { expect, test } from "bun:test";
import { ALL_HELD } from "../../../src/places/place.ts";
import { notCompared, notKept } from "../../../src/replicate/plan/holds.ts";

test("notKept() names what would be lost, notCompared() what either side lacks", () => {
  const whole = { holds: ALL_HELD };
  const poor = { holds: { ...ALL_HELD, seen: false, keywords: 0, quotas: [] } };
  const other = { holds: { ...ALL_HELD, acls: false } };
  expect(notKept(poor, whole)).toEqual([]);
  const quotas = ALL_HELD.quotas.map((resource) => `quota ${resource}`);
  const lost = ["seen states of others' mailboxes", "keywords", ...quotas];
  expect(notKept(whole, poor)).toEqual(lost);
  expect(notKept(other, poor)).toEqual(lost);
  const seconds = { holds: { ...ALL_HELD, internaldateNsec: false } };
  expect([notKept(whole, seconds), notCompared(whole, seconds)]).toEqual([
    [],
    ["internaldateNsec"],
  ]);
  expect(notCompared(other, poor)).toEqual(["acls", "seen", "keywords", ...quotas]);
});
