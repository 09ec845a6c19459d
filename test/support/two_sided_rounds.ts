/**
 * Rounds of deeds at two sides with a run both ways after each: the same at both, nothing lost,
 * nothing left to do.
 */
import { expect } from "bun:test";
import { AppError } from "../../src/core/errors.ts";
import type { Owner } from "../../src/model/names.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import type { ImapClient } from "./imap.ts";
import { granted } from "./places.ts";
import { reconcile } from "./replication.ts";
import { randomOf } from "./spool/random.ts";
import { standIn } from "./stand_in.ts";
import { type Below, chooseDeeds, doDeeds, livingMessages, tellDeeds } from "./two_sided.ts";

interface BothPlaces {
  readonly a: WritablePlace;
  readonly b: WritablePlace;
}

export interface Rounds {
  readonly seed: number;
  readonly rounds: number;
  /** At each side between two runs, at most. */
  readonly deeds: number;
  /** Of the Cyrus behind a side: its deeds are told to it. */
  readonly imap?: { readonly [side in "a" | "b"]?: ImapClient };
  /** Before each run there is one whose connections break somewhere. */
  readonly breaks?: boolean;
}

export interface RoundsResult {
  readonly rounds: number;
  readonly deeds: number;
  readonly decisions: number;
  /** Messages that had to be at both sides, over all rounds. */
  readonly checked: number;
}

/** Plays; throws at the first round that does not come out. */
export async function playRounds(
  owner: Extract<Owner, { kind: "user" }>,
  places: BothPlaces,
  { seed, rounds, deeds: most, imap = {}, breaks = false }: Rounds,
): Promise<RoundsResult> {
  const random = randomOf(seed).below;
  const { userid } = owner;
  const result = { rounds: 0, deeds: 0, decisions: 0, checked: 0 };
  const look = (side: "a" | "b") => livingMessages(places[side], userid);
  const known = { a: await look("a"), b: await look("b") };
  let number = 1000;
  for (; result.rounds < rounds; result.rounds++) {
    const where = `seed ${seed} round ${result.rounds}`;
    const expected = new Map<string, Set<number>>();
    const gone = new Set<string>();
    for (const side of ["a", "b"] as const) {
      const place = places[side];
      const before = known[side];
      // The first run brings the user to the side that does not have him.
      if (before.names.length > 0) {
        const chosen = chooseDeeds(before, {
          ...{ random, count: random(most + 1), inbox: `user.${userid}` },
          number: () => number++,
        });
        const client = imap[side];
        const seconds = Math.floor(Date.now() / 1000);
        const now = client === undefined ? 1_800_000_000 + result.rounds * 60 : seconds;
        if (client !== undefined) await tellDeeds(client, chosen.deeds);
        else await doDeeds(place, chosen.deeds, { userid, now, random });
        result.deeds += chosen.deeds.length;
        for (const key of chosen.gone) gone.add(key);
      }
      const { messages } = await look(side);
      for (const { uniqueid, guid, uid } of messages) {
        const key = `${uniqueid} ${guid}`;
        expected.set(key, (expected.get(key) ?? new Set()).add(uid));
      }
    }
    if (breaks) await runBroken(owner, places, random);
    const told = await reconcile(owner, places);
    expect([where, told.failures, told.leftovers]).toEqual([where, [], []]);
    granted(told.outcome);
    result.decisions += told.decisions.length;
    const again = await reconcile(owner, places, { dryRun: true });
    expect([where, again.steps, again.decisions]).toEqual([where, [], []]);
    expect([where, await differencesOf(owner, places)]).toEqual([where, []]);
    await expectSameSums(where, userid, places);
    for (const side of ["a", "b"] as const) {
      known[side] = await look(side);
      const { messages } = known[side];
      const living = Map.groupBy(messages, ({ uniqueid, guid }) => `${uniqueid} ${guid}`);
      const lost = [...expected.keys()].filter((key) => !gone.has(key) && !living.has(key));
      expect([where, side, lost]).toEqual([where, side, []]);
      const doubled = [...living].filter(
        ([key, copies]) => copies.length > (expected.get(key)?.size ?? 0),
      );
      expect([where, side, doubled]).toEqual([where, side, []]);
      result.checked += expected.size - gone.size;
    }
  }
  return result;
}

/**
 * A run whose connection to either side is lost at some command, before or after the side has done
 * it.
 */
async function runBroken(owner: Owner, places: BothPlaces, random: Below): Promise<void> {
  const sides = { a: breaking(places.a, random), b: breaking(places.b, random) };
  try {
    await reconcile(owner, sides);
  } catch (error) {
    if (!(error instanceof AppError && error.code === "unreachable")) throw error;
  }
}

function breaking(place: WritablePlace, random: Below): WritablePlace {
  let left = random(4);
  const isDone = random(2) === 0;
  const apply = async (
    session: PlaceSession,
    ...args: Parameters<PlaceSession["apply"]>
  ): ReturnType<PlaceSession["apply"]> => {
    left -= 1;
    if (left === -1 && isDone) await session.apply(...args);
    if (left < 0) throw new AppError("unreachable", "The connection is lost");
    return session.apply(...args);
  };
  return standIn(place, {
    openSession: async () => {
      const session = await place.openSession();
      return standIn(session, { apply: (...args) => apply(session, ...args) });
    },
  });
}

async function expectSameSums(where: string, userid: string, { a, b }: BothPlaces): Promise<void> {
  const sums = async (place: WritablePlace) =>
    granted(await place.user(userid))
      .mailboxes.map(({ name, syncCrc, uidvalidity, highestmodseq, lastUid }) =>
        [name, syncCrc, uidvalidity, highestmodseq, lastUid].join(" "),
      )
      .sort();
  expect([where, await sums(b)]).toEqual([where, await sums(a)]);
}

/** What `diff` tells of two places. */
export async function differencesOf(
  owner: Owner,
  { a, b }: BothPlaces,
  { deep = false }: { readonly deep?: boolean } = {},
): Promise<string[]> {
  const found: string[] = [];
  const outcome = await diffOwner(
    owner,
    { source: a, target: b },
    {
      deep,
      difference: ({ name, uid, text }) => found.push(`${name} ${uid ?? ""}: ${text}`),
      failed: (name, { text }) => found.push(`${name}: ${text}`),
    },
  );
  granted(outcome);
  return found;
}
