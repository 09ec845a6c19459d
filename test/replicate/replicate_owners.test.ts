/** Many owners: one that fails stops no other, and a connection that is lost is made again. */
import { afterEach, describe, expect, test } from "bun:test";
import { AppError, FormatError } from "../../src/core/errors.ts";
import type { Owner } from "../../src/model/names.ts";
import type { Refusal } from "../../src/model/outcome.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import {
  type Ends,
  type OwnerResult,
  replicateOwners,
} from "../../src/replicate/replicate_owners.ts";
import { livingUids, newStorePlace, put } from "../support/replication.ts";
import { type Answerer, type ScriptedPeer, scriptedPeer } from "../support/scripted_peer.ts";
import { testServer } from "../support/serve.ts";
import { standIn } from "../support/stand_in.ts";
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
  /** Is given what failed, as `name: text`. */
  readonly failures?: string[];
  readonly timeoutMs?: number;
}

/** What became of each user: `ok`, or why not. */
async function run(
  { source, target, open }: Ends,
  { jobs = 2, end, failures = [], timeoutMs }: Run = {},
): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  const events = {
    step: () => undefined,
    leftover: () => undefined,
    decided: () => undefined,
    failed: (name: string, { text }: Refusal) => void failures.push(`${name}: ${text}`),
  };
  await replicateOwners(
    listOf(USERS, end),
    { source, target, open },
    {
      ...{ mode: "merge", allowDelete: 20, jobs, bytesPerSecond: undefined, timeoutMs },
      retries: { count: 3, firstMs: 30 },
      events: () => events,
      done: (owner, result) => {
        if (owner.kind !== "user") return;
        results[owner.userid] = wordFor(result);
      },
    },
  );
  return results;
}

function wordFor({ ended, counts }: OwnerResult): string {
  if (ended instanceof AppError) return ended.code;
  if (ended instanceof Error) return "bug";
  if (ended.kind === "refused") return ended.reason;
  return counts.failures > 0 ? "failures" : "ok";
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
      expect(await run({ source, target, open }, { jobs })).toEqual({ ...others, bob: "failures" });
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
    const away = standIn(source, {
      user: (userid) => {
        if (userid === "bob") throw new AppError("unreachable", "gone");
        return source.user(userid);
      },
    });
    const started = performance.now();
    const again = () => target.openSession();
    expect(await run({ source: away, target, open: again }, { jobs: 1 })).toMatchObject({
      ...{ anne: "ok", bob: "unreachable", carl: "ok" },
    });
    expect(performance.now() - started).toBeGreaterThan(30 + 60 + 120);
  });

  test.each([
    [3, {}],
    [2, { unanswered: 1 }],
  ])(
    "leaves out what %d connections were lost over, and brings the rest",
    async (most, context) => {
      const [source, target] = [await filledStore(), emptyStore()];
      await put(source, "user.bob.more", [record(5)]);
      let deaths = 0;
      const open = failingFor("bob", target, () => {
        deaths += 1;
        throw new AppError("unreachable", "the server has gone", { context });
      });
      const failures: string[] = [];
      const results = await run({ source, target, open }, { jobs: 1, failures });
      expect(results).toEqual({ anne: "ok", bob: "failures", carl: "ok", dora: "ok" });
      expect([deaths, await livingUids(target, "user.bob.more")]).toEqual([most, [5]]);
      expect(failures).toEqual([expect.stringMatching(/^user\.bob: user\.bob is left out/)]);
    },
  );

  test("brings the other mailboxes of a user when one cannot be read", async () => {
    const [source, target] = [await filledStore(), emptyStore()];
    await put(source, "user.bob.more", [record(5)]);
    const unread = standIn(source, {
      readMailbox: (name) => {
        if (name === "user.bob") throw new AppError("bad_data", "two records of uid 7");
        return source.readMailbox(name);
      },
    });
    const failures: string[] = [];
    const open = failingFor("carl", target, () => {
      throw new FormatError(7, "a number");
    });
    expect(await run({ source: unread, target, open }, { jobs: 1, failures })).toEqual({
      ...{ anne: "ok", bob: "failures", carl: "failures", dora: "ok" },
    });
    expect(await livingUids(target, "user.bob.more")).toEqual([5]);
    expect(failures).toEqual([
      "user.bob: user.bob: two records of uid 7",
      "user.carl: user.carl: expected a number at byte 7",
    ]);
  });

  test("goes on with the next user after a bug", async () => {
    const [source, target] = [await filledStore(), emptyStore()];
    const open = failingFor("bob", target, () => {
      throw new TypeError("undefined is not a function");
    });
    expect(await run({ source, target, open }, { jobs: 1 })).toEqual({
      ...{ anne: "ok", bob: "bug", carl: "ok", dora: "ok" },
    });
  });

  test("gives up in time on a user without an answer, and brings the others", async () => {
    const target = emptyStore();
    const silent = new Set<number>();
    const [source] = await scriptedSource((line, connection) => {
      // A server answers in order: behind a command that it never ends it says nothing more.
      if (line === "GET USER anne" || line === "GET USER carl") silent.add(connection);
      return line.startsWith("GET") && !silent.has(connection) ? "OK success\r\n" : undefined;
    });
    const open = () => target.openSession();
    const started = performance.now();
    expect(await run({ source, target, open }, { jobs: 1, timeoutMs: 200 })).toEqual({
      ...{ anne: "busy", bob: "nonexistent", carl: "busy", dora: "nonexistent" },
    });
    // Two reads that follow each other are cut off together.
    expect(await run({ source, target, open }, { jobs: 2, timeoutMs: 200 })).toMatchObject({
      ...{ anne: "busy", carl: "busy" },
    });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test("does not wait again and again for a server that has gone, with any jobs", async () => {
    const target = emptyStore();
    const [source, peer] = await scriptedSource(() => "close", { staysFor: 1 });
    const open = () => target.openSession();
    const gone = { anne: "unreachable", bob: "unreachable", carl: "unreachable" };
    expect(await run({ source, target, open }, { jobs: 1 })).toEqual({
      ...{ ...gone, dora: "unreachable" },
    });
    // One at opening; anne: three tries of the first read, then three of the whole; one try for
    // each of the others.
    expect(peer.heard.length).toBe(1 + 2 + 3 + 3);
  });
});

/**
 * A server that answers as `answer` says once somebody has signed in, as a source. From the
 * connection `staysFor` on it lets nobody in.
 */
async function scriptedSource(
  answer: Answerer,
  { staysFor = Infinity }: { readonly staysFor?: number } = {},
): Promise<[WritablePlace, ScriptedPeer]> {
  const peer = await scriptedPeer(
    "* SASL PLAIN\r\n* OK a Cyrus sync server 3.6.1\r\n",
    (line, at) => {
      if (at >= staysFor) return "close";
      if (/^(AUTHENTICATE|APPLY CAPABILITIES)/.test(line)) return "OK success\r\n";
      return answer(line, at);
    },
  );
  const address = { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1" } as const;
  const place = await openSyncPlace({
    address: { ...address, port: peer.port },
    password: () => Promise.resolve("labpass"),
    retries: { count: 2, firstMs: 5 },
  });
  closing.push(
    () => peer.stop(),
    () => place.close(),
  );
  return [place, peer];
}
