/**
 * `replicate` and servers of every version of Cyrus: stand-ins that answer as the transcripts of
 * those versions do. First they are held to those transcripts themselves.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Owner } from "../../src/model/names.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { serverSource } from "../../src/places/cyrus/server_source.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { Csync } from "../support/csync.ts";
import { testServer } from "../support/cyrus_server.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { granted, recordsIn } from "../support/places.ts";
import { applyTo, newStorePlace, put, reconcile, replicate } from "../support/replication.ts";
import { record } from "../support/store_fixture.ts";
import {
  FIXTURE_VERSIONS,
  type FixtureVersion,
  readScript,
  type Said,
} from "../support/version_answers.ts";
import { type VersionPeer, versionPeer } from "../support/version_peer.ts";

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function started(version: FixtureVersion, told: boolean): Promise<VersionPeer> {
  const peer = await versionPeer(version, { told });
  closing.push(() => peer.stop());
  return peer;
}

const statusOf = (status: string | undefined): string =>
  /^(OK|BAD|closed|NO IMAP_\w+|NO .*)/.exec(status ?? "closed")?.[0] ?? "?";

/** The last words of a server that dies of an assertion: no status, data in a transcript. */
const isFarewell = (line: string): boolean => /^\* Fatal error/.test(line);

/** The scripts begin with an INBOX that nobody has sent. */
const INBOX =
  "APPLY MAILBOX %(UNIQUEID 3aa87e826b0d929e MBOXNAME user.ann LAST_UID 0 HIGHESTMODSEQ 1 " +
  "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1796051614 " +
  'PARTITION default ACL "" OPTIONS P RECORD ())';

/** Plays a script to the stand-in; what it says otherwise than its version did. */
async function playedWrong(said: readonly Said[], port: number): Promise<string[]> {
  const { client } = await Csync.open(port);
  const wrong: string[] = [];
  for (const { command, status, data } of said) {
    const reply = await client.command(command);
    const isDead = isFarewell(reply.status);
    const [expected, got] = [statusOf(status), isDead ? "closed" : statusOf(reply.status)];
    const isData = data.length === reply.data.length + (isDead ? 1 : 0);
    if (expected !== got || !isData) {
      wrong.push(
        `${command.slice(0, 70)}: ${expected}+${data.length}, ${got}+${reply.data.length}`,
      );
    }
    if (got === "closed") break;
  }
  client.close();
  return wrong;
}

/** The raw script as it was played to a server of that version; to master beside the 3.10. */
function rawScriptOf(version: FixtureVersion): string {
  const isMaster = version === "master";
  const folder = isMaster ? "captures-3.10" : `captures-${version}`;
  const file = isMaster ? "56-raw-of-master.txt" : "55-raw-by-script.txt";
  return join(readOnlyFixture(`captures-versions/${folder}`), folder, file);
}

describe("the stand-ins", () => {
  test.each(FIXTURE_VERSIONS)(
    "%s answers the script of that version as it did",
    async (version) => {
      const peer = await started(version, false);
      const path = rawScriptOf(version);
      const wrong: string[] = [];
      const client = await Csync.signedIn(peer.port);
      expect((await client.command(INBOX)).status).toBe("OK success");
      client.close();
      for (const said of readScript(path).connections) {
        wrong.push(...(await playedWrong(said, peer.port)));
      }
      expect(wrong).toEqual([]);
    },
  );
});

/** The server of `version` as its own sync server shows it. */
async function placeOf(peer: VersionPeer): Promise<WritablePlace> {
  const { port } = peer;
  const place = await openSyncPlace({
    address: { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port },
    password: () => Promise.resolve("labpass"),
    retries: { count: 1, firstMs: 5 },
    silenceMs: 10_000,
  });
  closing.push(() => place.close());
  return place;
}

function diskOf(version: FixtureVersion): Place {
  const place = cyrusPlace(serverSource(testServer(`cyrus-${version}`).conf));
  closing.push(() => place.close());
  return place;
}

const OWNERS: readonly Owner[] = [
  ...["ann", "bob", "cal"].map((userid) => ({ kind: "user", userid }) as const),
  { kind: "shared", toplevel: "shared" },
];

/** Who is on the server of that version. */
function ownersOf(version: FixtureVersion): readonly Owner[] {
  const hasCal = FIXTURE_VERSIONS.indexOf(version) >= FIXTURE_VERSIONS.indexOf("3.0");
  return OWNERS.filter((one) => hasCal || !("userid" in one && one.userid === "cal"));
}

/** In what two places differ about all of `owners`, and what could not be compared. */
async function differences(
  owners: readonly Owner[],
  places: { readonly source: Place; readonly target: Place },
): Promise<string[]> {
  const found: string[] = [];
  for (const owner of owners) {
    const outcome = await diffOwner(owner, places, {
      deep: true,
      difference: ({ kind, name, uid, text }) =>
        found.push(`${kind} ${name}${uid === undefined ? "" : ` uid ${uid}`}: ${text}`),
      failed: (name, { text }) => found.push(`failed ${name}: ${text}`),
    });
    granted(outcome);
  }
  return found;
}

/** Commands of which a version dies or that it does not know, and up to which version that is. */
const DEADLY: readonly (readonly [FixtureVersion, RegExp])[] = [
  ["2.5", /^APPLY UNANNOTATION/],
  ["3.0", /savedate|createdmodseq/], // these would be annotations there that somebody has made
  ["3.4", /^GET UNIQUEIDS|^APPLY CAPABILITIES/],
  ["master", / VERSION \d|FLAGS \([^)"]*\bNIL\b/],
];

function deadlyTo(version: FixtureVersion, commands: readonly string[]): string[] {
  const at = FIXTURE_VERSIONS.indexOf(version);
  const rules = DEADLY.filter(([last]) => FIXTURE_VERSIONS.indexOf(last) >= at);
  const nil = version === "2.5" || version === "3.0" ? [/VALUE NIL/] : [];
  const wrong = [...rules.map(([, rule]) => rule), ...nil];
  return commands.filter((one) => wrong.some((rule) => rule.test(one)));
}

/** 3.2 never names what only holds a place in the tree; its disk does. */
const UNSAID: Partial<Record<FixtureVersion, readonly string[]>> = {
  "3.2": ["mailbox user.ann.Archive: only at A", "mailbox user.ann.Lists: only at A"],
};

describe("a server of each version as a source", () => {
  test.each(FIXTURE_VERSIONS)("%s: its own words say what its disk does", async (version) => {
    const peer = await started(version, true);
    const target = await placeOf(peer);
    const owners = ownersOf(version);
    expect(await differences(owners, { source: diskOf(version), target })).toEqual([]);
    expect(await differences(owners, { source: target, target: diskOf(version) })).toEqual([]);
  });

  test.each(FIXTURE_VERSIONS)(
    "%s: what is brought from it is what its disk has",
    async (version) => {
      const peer = await started(version, true);
      const source = await placeOf(peer);
      const target = newStorePlace();
      closing.push(() => target.close());
      const users = ownersOf(version).filter(({ kind }) => kind === "user");
      for (const owner of users) {
        const told = await replicate(owner, { source, target });
        expect(told).toMatchObject({ leftovers: [], failures: [], outcome: { kind: "ok" } });
        const again = await replicate(owner, { source, target });
        expect(again).toMatchObject({ steps: [], leftovers: [], failures: [] });
      }
      const unlike = await differences(users, { source: diskOf(version), target });
      expect(unlike).toEqual([...(UNSAID[version] ?? [])]);
      expect(peer.deaths).toEqual([]);
      expect(peer.commands.filter((one) => !/^GET |^APPLY CAPABILITIES/.test(one))).toEqual([]);
      expect(deadlyTo(version, peer.commands)).toEqual([]);
    },
  );
});

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

/** From each version to itself, to the next and back, and all the way; every pair if long. */
const PAIRS = FIXTURE_VERSIONS.flatMap((from, at) =>
  FIXTURE_VERSIONS.flatMap((to, other): [FixtureVersion, FixtureVersion][] => {
    const isNear = Math.abs(other - at) <= 1;
    const isWhole = Math.abs(other - at) === FIXTURE_VERSIONS.length - 1;
    return isLong || isNear || isWhole ? [[from, to]] : [];
  }),
);

const SCRIPTS = ["main.script", "other.script"];

/** 2.x runs no bytecode newer than its own, and since 3.6 there is none to be had. */
function unrunnable(from: FixtureVersion, to: FixtureVersion): readonly string[] {
  const [source, target] = [FIXTURE_VERSIONS.indexOf(from), FIXTURE_VERSIONS.indexOf(to)];
  return source > 1 && target <= 1 ? SCRIPTS : [];
}

describe("a server of each version as a target", () => {
  test.each(PAIRS)(
    "from %s to %s: all arrives, and a second run has nothing to do",
    async (from, to) => {
      const source = await placeOf(await started(from, true));
      const peer = await started(to, false);
      const target = await placeOf(peer);
      const left = unrunnable(from, to);
      const isLeft = (text: string) => left.some((name) => text.startsWith(`${name}: `));
      for (const owner of ownersOf(from)) {
        const places = { source: owner.kind === "user" ? source : diskOf(from), target };
        const planned = await replicate(owner, places, { dryRun: true });
        const told = await replicate(owner, places);
        expect(told).toMatchObject({ leftovers: [], outcome: { kind: "ok" } });
        expect(told.failures.filter((one) => !isLeft(one))).toEqual([]);
        expect([planned.steps, planned.failures]).toEqual([told.steps, told.failures]);
        const again = await replicate(owner, places);
        expect(again).toMatchObject({ steps: [], leftovers: [], failures: told.failures });
        if (left.length > 0 && "userid" in owner && owner.userid === "ann") {
          expect(told.failures.map((one) => one.split(":", 1)[0])).toEqual([...SCRIPTS]);
          continue;
        }
        expect(await differences([owner], places)).toEqual([]);
      }
      expect(peer.deaths).toEqual([]);
      expect(deadlyTo(to, peer.commands)).toEqual([]);
    },
  );
});

describe("a mailbox that has mail of its own at the target", () => {
  const FRED = { kind: "user", userid: "fred" } as const;

  test.each(FIXTURE_VERSIONS)("%s: takes the rest beside it", async (version) => {
    const source = newStorePlace();
    const target = await placeOf(await started(version, false));
    closing.push(() => source.close());
    await put(source, "user.fred", [record(1), record(2)]);
    expect(await replicate(FRED, { source, target })).toMatchObject({ failures: [] });
    await put(target, "user.fred", [record(3, { savedate: 0, createdmodseq: 0n })], {
      change: { syncCrc: 0, syncCrcAnnot: 0 },
    });
    const [one, two] = [record(1, { flags: ["\\Seen"], modseq: 9n }), record(2)];
    await put(source, "user.fred", [one, two], { change: { highestmodseq: 9n } });
    const told = await replicate(FRED, { source, target });
    expect(told).toMatchObject({ failures: [], leftovers: ["message user.fred 3"] });
    const { records } = granted(await target.readMailbox("user.fred"));
    const found = (await recordsIn(records)).map(({ uid, flags }) => [uid, flags]);
    expect(found).toEqual([
      [1, ["\\Seen"]],
      [2, []],
      [3, []],
    ]);
  });
});

describe("both ways", () => {
  const ANN = { kind: "user", userid: "ann" } as const;

  test("a server that compiles nothing gets the bytecode of scripts, and runs them", async () => {
    const peer = await started("2.5", false);
    const b = await placeOf(peer);
    const a = await placeOf(await started("2.4", false));
    await replicate(ANN, { source: diskOf("2.4"), target: a });
    expect(await reconcile(ANN, { a, b })).toMatchObject({ failures: [], leftovers: [] });
    const sent = peer.commands.filter((one) => /SIEVE/.test(one));
    expect(sent.map((one) => /^APPLY (\w+) .*FILENAME ([\w.]+)/.exec(one)?.slice(1))).toEqual([
      ["SIEVE", "main.script"],
      ["SIEVE", "other.script"],
      ["SIEVE", "main.bc"],
      ["SIEVE", "other.bc"],
      ["ACTIVATE_SIEVE", "main.bc"],
    ]);
    expect(await reconcile(ANN, { a, b })).toMatchObject({ steps: [], failures: [] });
  });

  test("a store keeps bytecode on the way from one server that needs it to another", async () => {
    const store = newStorePlace();
    closing.push(() => store.close());
    const target = await placeOf(await started("2.5", false));
    for (const places of [
      { source: diskOf("2.5"), target: store },
      { source: store, target },
    ]) {
      expect(await replicate(ANN, places)).toMatchObject({ failures: [], leftovers: [] });
      expect(await replicate(ANN, places)).toMatchObject({ steps: [], failures: [] });
    }
    const { sieve } = granted(await target.user("ann"));
    expect(sieve.map(({ filename, isActive }) => [filename, isActive]).sort()).toEqual([
      ["main.bc", true],
      ["main.script", false],
      ["other.bc", false],
      ["other.script", false],
    ]);
  });

  test("two masters: mailboxes made on each at one modseq get no JMAPID in common", async () => {
    const [a, b] = [
      await placeOf(await started("master", false)),
      await placeOf(await started("master", false)),
    ];
    for (const [place, id] of [
      [a, "11"],
      [b, "22"],
    ] as const) {
      const born = { createdmodseq: 136n, jmapid: "P-136", uidvalidity: 7, version: 20 };
      await put(place, "user.ann", [], { change: { createdmodseq: 1n, jmapid: "P-1" } });
      const change = { ...born, uniqueid: `0000${id}` };
      const mail = [record(1, {}, Number(id))];
      await put(place, "user.ann.both", mail, { change, numbers: [Number(id)] });
    }
    expect(await reconcile(ANN, { a, b })).toMatchObject({ failures: [], leftovers: [] });
    expect(await reconcile(ANN, { a, b })).toMatchObject({ steps: [], failures: [] });
    for (const place of [a, b]) {
      const { mailboxes } = granted(await place.user("ann"));
      expect(mailboxes.map(({ lastUid }) => lastUid).sort()).toEqual([0, 1, 1]);
      expect(new Set(mailboxes.map(({ jmapid }) => jmapid)).size).toBe(3);
      expect(new Set(mailboxes.map(({ createdmodseq }) => createdmodseq)).size).toBe(3);
    }
    expect(await differences([ANN], { source: a, target: b })).toEqual([]);
  });

  test("scripts that are files at one side and messages at the other are the same", async () => {
    const [a, b] = [
      await placeOf(await started("3.4", false)),
      await placeOf(await started("3.8", false)),
    ];
    await replicate(ANN, { source: diskOf("3.4"), target: a });
    for (const place of [a, b]) {
      await applyTo(place, {
        ...{ kind: "sieve", userid: "ann", filename: "late.script", lastUpdate: 1_800_000_000 },
        content: Buffer.from(place === a ? "keep;" : "stop;"),
      });
    }
    const told = await reconcile(ANN, { a, b });
    expect(told).toMatchObject({ failures: [], leftovers: [] });
    expect(told.decisions.filter((one) => one.startsWith("sieve"))).toHaveLength(1);
    expect(await reconcile(ANN, { a, b })).toMatchObject({ steps: [], failures: [] });
    expect(await differences([ANN], { source: a, target: b })).toEqual([]);
  });
});
