import { describe, expect, test } from "bun:test";
import { refused } from "../../../src/model/outcome.ts";
import { ALL_HELD } from "../../../src/places/place.ts";
import { takenBy } from "../../../src/replicate/owner/owner_state.ts";
import { NOBODY } from "../../support/plan_model.ts";
import { stateOf } from "../../support/store_fixture.ts";

describe("takenBy()", () => {
  test("names what the target is known to refuse, and leaves placeholders out in silence", () => {
    const [inbox, odd] = [stateOf("user.ann", []), stateOf("user.ann.a(b)", [])];
    const place = stateOf("user.ann.p", [], { type: "i" });
    const ours = { ...NOBODY, mailboxes: [inbox, odd, place] };
    const refusal = refused("notSupported", "no such name");
    const objectionTo = ({ name }: { readonly name: string }) =>
      name === "user.ann" ? undefined : refusal;
    const target = { holds: { ...ALL_HELD, placeholders: false }, objectionTo };
    expect(takenBy(target, ours)).toEqual({
      ...ours,
      mailboxes: [inbox, place],
      unreadable: [{ name: odd.name, uniqueid: odd.uniqueid, refusal }],
    });
    expect(takenBy({ holds: ALL_HELD }, ours)).toBe(ours);
  });
});
