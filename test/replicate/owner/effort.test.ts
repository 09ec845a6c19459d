/** What a bar is told of an owner who is half done: messages count, not mailboxes. */
import { describe, expect, test } from "bun:test";
import type { WritablePlace } from "../../../src/places/place.ts";
import { diffOwner } from "../../../src/replicate/diff.ts";
import { watchEffort } from "../../../src/replicate/owner/effort.ts";
import { granted } from "../../support/places.ts";
import { newStorePlace, put, reconcile, replicate } from "../../support/replication.ts";
import { record } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const MANY = Array.from({ length: 30 }, (_, at) => record(at + 1));

type Part = readonly [done: number, of: number];

describe("watchEffort()", () => {
  test("counts the messages of a step, and a little for the step itself", () => {
    const told: Part[] = [];
    const effort = watchEffort([100, 0], (done, of) => told.push([done, of]));
    effort.reach(0);
    effort.add(60);
    effort.add(60); // some were sent twice
    effort.reach(1);
    effort.reach(2);
    expect(told).toEqual([
      [0, 110],
      [60, 110],
      [110, 110],
      [105, 110],
      [110, 110],
    ]);
  });
});

describe("an owner with a large and a small mailbox", () => {
  async function places(): Promise<{ a: WritablePlace; b: WritablePlace }> {
    const [a, b] = [newStorePlace(), newStorePlace()];
    await put(a, INBOX, [record(1)]);
    await put(a, `${INBOX}.large`, MANY);
    return { a, b };
  }

  test("goes by the messages that are new, one way and both ways", async () => {
    for (const bring of ["one way", "both ways"]) {
      const { a, b } = await places();
      const told: Part[] = [];
      const part = (done: number, of: number) => void told.push([done, of]);
      const run =
        bring === "one way"
          ? replicate(FRED, { source: a, target: b }, { part })
          : reconcile(FRED, { a, b }, { part });
      granted((await run).outcome);
      // One of the large one's messages is there already, in the INBOX.
      expect(told).toContainEqual([6, 41]);
      expect(told).toContainEqual([6 + MANY.length - 1, 41]);
      await Promise.all([a.close(), b.close()]);
    }
  });

  test("goes by the messages that are read, where they are compared", async () => {
    const { a, b } = await places();
    await put(b, INBOX, [record(1)]);
    await put(b, `${INBOX}.large`, MANY);
    for (const deep of [true, false]) {
      const told: Part[] = [];
      const part = (done: number, of: number) => void told.push([done, of]);
      const events = {
        difference: () => undefined,
        failed: (name: string, refusal: unknown) =>
          expect.unreachable(`${name}: ${JSON.stringify(refusal)}`),
        part,
      };
      granted(await diffOwner(FRED, { source: a, target: b }, { deep, ...events }));
      const whole = deep ? 2 * (1 + MANY.length) + 2 * 5 : undefined;
      expect([told.at(-1)?.[1], told.length]).toEqual([
        whole,
        deep ? 2 + 2 * (1 + MANY.length) : 0,
      ]);
    }
    await Promise.all([a.close(), b.close()]);
  });
});
