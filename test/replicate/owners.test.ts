/** Many owners: one that fails stops no other, and a connection that is lost is made again. */
import { afterEach, describe, expect, test } from "bun:test";
import { AppError } from "../../src/core/errors.ts";
import type { Owner } from "../../src/model/names.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { type Ends, replicateOwners } from "../../src/replicate/owners.ts";
import { livingUids, newStorePlace, put } from "../support/replication.ts";
import { testServer } from "../support/serve.ts";
import { record } from "../support/store_fixture.ts";
import { tcpProxy } from "../support/tcp_proxy.ts";

const USERS = ["anne", "bob", "carl", "dora"];
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function filledStore(): Promise<WritablePlace> {
  const place = newStorePlace();
  closing.push(() => place.close());
  for (const [at, user] of USERS.entries()) {
    await put(place, `user.${user}`, [record(1 + at * 10), record(2 + at * 10)]);
  }
  return place;
}

function emptyStore(): WritablePlace {
  const place = newStorePlace();
  closing.push(() => place.close());
  return place;
}

async function* listOf(users: readonly string[], end?: AppError): AsyncGenerator<Owner, void> {
  for (const userid of users) yield { kind: "user", userid };
  if (end !== undefined) throw end;
}

interface Run {
  readonly jobs?: number;
  readonly end?: AppError;
}

/** What became of each user: `ok`, or why not. */
async function run(
  { source, target, open }: Ends,
  { jobs = 2, end }: Run = {},
): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  const events = {
    step: () => undefined,
    leftover: () => undefined,
    decided: () => undefined,
    failed: () => undefined,
  };
  await replicateOwners(
    listOf(USERS, end),
    { source, target, open },
    {
      ...{ mode: "merge", allowDelete: 20, jobs, bytesPerSecond: undefined, timeoutMs: undefined },
      retries: { count: 3, firstMs: 30 },
      events: () => events,
      done: (owner, result) => {
        if (owner.kind !== "user") return;
        const isApp = result instanceof AppError;
        results[owner.userid] = isApp ? result.code : result.kind === "ok" ? "ok" : result.reason;
      },
    },
  );
  return results;
}

/** A target whose sessions answer `apply` of bob's mailboxes as `fail` does. */
function failingFor(bob: string, target: WritablePlace, fail: () => never): Ends["open"] {
  return async (): Promise<PlaceSession> => {
    const session = await target.openSession();
    return {
      reserve: (request) => session.reserve(request),
      stage: (message) => session.stage(message),
      flush: () => session.flush(),
      apply: async (command, options) =>
        command.kind === "mailbox" && command.state.name === `user.${bob}`
          ? fail()
          : session.apply(command, options),
      restart: () => session.restart(),
      close: () => session.close(),
    };
  };
}

describe("replicateOwners()", () => {
  test("brings all but the one whose session fails, with any number of jobs", async () => {
    for (const jobs of [1, 3]) {
      const [source, target] = [await filledStore(), emptyStore()];
      const open = failingFor("bob", target, () => {
        throw new AppError("protocol", "what is this?");
      });
      const others = { anne: "ok", carl: "ok", dora: "ok" };
      expect(await run({ source, target, open }, { jobs })).toEqual({ ...others, bob: "protocol" });
      for (const user of ["anne", "carl", "dora"]) {
        expect(await livingUids(target, `user.${user}`)).toHaveLength(2);
      }
    }
  });

  test("ends whoever is under way before it tells that the list broke off", async () => {
    const [source, target] = [await filledStore(), emptyStore()];
    const end = new AppError("bad_data", "the list is cut off");
    const open = () => target.openSession();
    await expect(run({ source, target, open }, { jobs: 4, end })).rejects.toThrow(/cut off/);
    for (const user of USERS) expect(await livingUids(target, `user.${user}`)).toHaveLength(2);
  });

  test("makes a connection again that is lost, and gives up one that stays away", async () => {
    const source = await filledStore();
    const server = await testServer();
    const proxy = await tcpProxy(server.port);
    const target = await openSyncPlace({
      address: {
        ...{ flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1" },
        port: proxy.port,
      },
      password: () => Promise.resolve("labpass"),
      retries: { count: 3, firstMs: 10 },
    });
    closing.push(
      () => server.stop(),
      () => proxy.stop(),
      () => target.close(),
    );
    let drops = 2;
    const dropping = failingFor("bob", target, () => {
      drops -= 1;
      proxy.drop();
      throw new AppError("unreachable", "BYE");
    });
    const open = () => (drops > 0 ? dropping?.() : undefined) ?? target.openSession();
    expect(await run({ source, target, open }, { jobs: 1 })).toEqual({
      ...{ anne: "ok", bob: "ok", carl: "ok", dora: "ok" },
    });
    expect([drops, await livingUids(server.place, "user.bob")]).toEqual([0, [11, 12]]);
    const away = failingFor("bob", target, () => {
      throw new AppError("unreachable", "gone");
    });
    await put(source, "user.bob", [record(11), record(12), record(13)]);
    const started = performance.now();
    expect(await run({ source, target, open: away }, { jobs: 1 })).toMatchObject({
      ...{ anne: "ok", bob: "unreachable", carl: "ok" },
    });
    expect(performance.now() - started).toBeGreaterThan(30 + 60 + 120);
  });
});
