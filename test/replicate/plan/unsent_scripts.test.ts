import { describe, expect, test } from "bun:test";
import { ALL_HELD } from "../../../src/places/place.ts";
import { planMeta } from "../../../src/replicate/plan/plan_meta.ts";
import { NOBODY, OWNER } from "../../support/plan_model.ts";
import { stateOf } from "../../support/store_fixture.ts";

describe("planMeta()", () => {
  const files = { ...NOBODY, sieve: [{ filename: "a.script", lastUpdate: 5, isActive: false }] };
  const box = { ...NOBODY, mailboxes: [stateOf("user.fred.#sieve", [], { type: "f" })] };

  test("names scripts in a form that the target does not take, whichever that is", () => {
    const left = (source: typeof NOBODY, sieveFiles: boolean, sieveMailboxes: boolean) => {
      const holds = { ...ALL_HELD, sieveFiles, sieveMailboxes };
      const request = { owner: OWNER, userid: "fred", mode: "merge", target: NOBODY } as const;
      return planMeta({ ...request, source, holds }).leftovers.map(({ name }) => name);
    };
    expect(left(files, true, true)).toEqual([]);
    expect(left(files, false, true)).toEqual(["a.script"]);
    expect(left(box, true, true)).toEqual([]);
    expect(left(box, true, false)).toEqual(["user.fred.#sieve"]);
    expect(left(box, false, false)).toEqual(["user.fred.#sieve"]);
    // A Cyrus on disk tells the scripts of the mailbox as files too.
    expect(left({ ...box, sieve: files.sieve }, true, false)).toEqual([]);
  });
});
