/** Messages that are read ahead: bounded, in order, and let go of whatever ends the run. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { AppError } from "../../../src/core/errors.ts";
import { ok, refused } from "../../../src/model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../../../src/places/place.ts";
import { granted, withSessions } from "../../support/places.ts";
import { livingUids, newStorePlace, put, replicate } from "../../support/replication.ts";
import { standIn } from "../../support/stand_in.ts";
import { message, record } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const LARGE = 3 * 1024 * 1024;

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

/** What ran before in this process may close files of its own meanwhile. */
function expectNoneMore(opened: readonly number[]): void {
  expect(opened.length).toBe(6);
  expect(opened.at(-1) ?? Number.NaN).toBeLessThanOrEqual(opened[0] ?? Number.NaN);
}

describe("sending messages", () => {
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

  /** Of messages that were given and neither read nor let go of. */
  const held = new Set<number>();
  /** The source, whose messages are large and keep a file open until they are read or let go of. */
  const holding = (isGiven: (uid: number) => boolean): WritablePlace =>
    standIn(source, {
      message: async ({ uid }) => {
        if (!isGiven(uid)) return refused("damaged", `message ${uid} is damaged`);
        const fd = openSync("/dev/null", "r");
        held.add(fd);
        const chunks = function* () {
          try {
            for (let sent = 0; sent < LARGE; sent += LARGE / 3) yield new Uint8Array(LARGE / 3);
          } finally {
            closeSync(fd);
            held.delete(fd);
          }
        };
        return ok({ size: LARGE, chunks });
      },
    });
  const throwing = (at: "stage" | "write"): WritablePlace =>
    withSessions(target, (session) => ({
      stage: (file): ReturnType<PlaceSession["stage"]> => {
        const lost = () => {
          throw new AppError("unreachable", "the server has gone");
        };
        if (at === "stage") return lost();
        const writer = session.stage(file);
        return at === "write" ? { ...writer, write: lost, abort: () => writer.abort() } : writer;
      },
    }));

  test.each(["stage", "write"] as const)(
    "leaves no file open where the target fails at %s",
    async (at) => {
      await put(
        source,
        INBOX,
        [1, 2, 3, 4].map((uid) => record(uid)),
      );
      const places = { source: holding(() => true), target: throwing(at) };
      const opened: number[] = []; // the first round opens what a store keeps open
      for (let round = 0; round < 6; round++) {
        await expect(replicate(FRED, places)).rejects.toThrow("the server has gone");
        opened.push(openFiles());
        expect([...held]).toEqual([]);
      }
      expectNoneMore(opened);
    },
  );

  test("leaves no file open where a message behind them is damaged", async () => {
    await put(
      source,
      INBOX,
      [1, 2, 3, 4].map((uid) => record(uid)),
    );
    const places = { source: holding((uid) => uid < 4), target: swallowing(target) };
    const opened: number[] = []; // the first round opens what a store keeps open
    for (let round = 0; round < 6; round++) {
      const { failures } = await replicate(FRED, places);
      expect(failures).toEqual([`${INBOX}: message 4 is damaged`]);
      opened.push(openFiles());
      expect([...held]).toEqual([]);
    }
    expectNoneMore(opened);
  });

  test("asks for as many messages and bytes ahead as the place says, in order", async () => {
    const uids = Array.from({ length: 40 }, (_, at) => at + 1);
    await put(
      source,
      INBOX,
      uids.map((uid) => record(uid)),
    );
    const size = message(1).length;
    for (const [readAhead, most] of [
      [{ messages: 7, bytes: 1e9 }, 7],
      [{ messages: 100, bytes: size * 5 }, 5],
    ] as const) {
      const empty = newStorePlace();
      const { place, seen } = slowly(source, readAhead);
      const staged: string[] = [];
      const noting = withSessions(empty, (session) => ({
        stage: (file) => {
          staged.push(file.guid);
          return session.stage(file);
        },
      }));
      granted((await replicate(FRED, { source: place, target: noting })).outcome);
      expect(seen.most).toBe(most);
      expect(staged).toEqual(uids.map((uid) => record(uid).guid));
      expect(await livingUids(empty, INBOX)).toEqual(uids);
      await empty.close();
    }
  });
});

/** A target that takes messages of any content. */
function swallowing(target: WritablePlace): WritablePlace {
  const writer = { write: () => undefined, end: () => undefined, abort: () => undefined };
  return withSessions(target, () => ({ stage: () => writer }));
}

/** `place`, which takes its time to give a message; the most that were asked for at once. */
function slowly(place: WritablePlace, readAhead: NonNullable<Place["readAhead"]>) {
  const seen = { now: 0, most: 0 };
  const slow: WritablePlace = standIn(place, {
    readAhead,
    message: async (address) => {
      seen.now += 1;
      seen.most = Math.max(seen.most, seen.now);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      seen.now -= 1;
      return place.message(address);
    },
  });
  return { place: slow, seen };
}
