import { describe, expect, test } from "bun:test";
import { ok } from "../../src/model/outcome.ts";
import type { Place } from "../../src/places/place.ts";
import { wrapPlace } from "../../src/places/wrap_place.ts";
import { identified } from "../../src/replicate/owner/identified_place.ts";
import { asUser } from "../../src/replicate/owner/renamed_place.ts";
import { granted } from "../support/places.ts";
import { newStorePlace } from "../support/replication.ts";
import { standIn } from "../support/stand_in.ts";

const SCRIPT = "keep;\n";

/** A place whose answers say whether they were asked for with a signal. */
function patientPlace(): Place {
  const bytesOf = (text: string) => async () => ok(new TextEncoder().encode(text));
  const place: Place = newStorePlace();
  return standIn(place, {
    caveat: "read from afar",
    sieveScript: bytesOf(SCRIPT),
    until: () => standIn(place, { sieveScript: bytesOf("in time") }),
  });
}

async function scriptOf(place: Place): Promise<string> {
  return new TextDecoder().decode(granted(await place.sieveScript("fred", "a.script")));
}

describe("wrapPlace()", () => {
  const wrappers: readonly (readonly [string, (place: Place) => Place])[] = [
    ["wrapPlace()", (place) => wrapPlace(place, () => ({}))],
    ["identified()", identified],
    ["asUser()", (place) => asUser(place, { from: "fred", to: "bert" })],
  ];
  test.each(wrappers)("%s passes on what is optional", async (_, wrap) => {
    const wrapped = wrap(patientPlace());
    expect(wrapped.caveat).toBe("read from afar");
    expect(await scriptOf(wrapped)).toBe(SCRIPT);
    const { signal } = new AbortController();
    expect(await scriptOf(wrapped.until?.(signal) ?? wrapped)).toBe("in time");
    expect(wrap(newStorePlace()).until).toBeUndefined();
  });

  test("wraps the place that waits until a signal comes in the same way", async () => {
    const change = { sieveScript: async () => ok(new TextEncoder().encode("changed")) };
    const wrapped = wrapPlace(patientPlace(), () => change);
    const { signal } = new AbortController();
    expect(await scriptOf(wrapped)).toBe("changed");
    expect(await scriptOf(wrapped.until?.(signal) ?? patientPlace())).toBe("changed");
  });
});
