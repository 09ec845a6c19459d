/** A real Cyrus, read from its disk while it lives, into a store, and on into an empty real Cyrus: the same mail. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { MailboxState, UserState } from "../../src/model/mailbox.ts";
import type { Owner } from "../../src/model/names.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { readImapdConf } from "../../src/places/cyrus/imapd_conf.ts";
import { serverSource } from "../../src/places/cyrus/server_source.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { type Lab, labIsThere, labUp } from "../support/lab.ts";
import { granted } from "../support/places.ts";
import { newStorePlace, replicate } from "../support/replication.ts";
import { testServer } from "../support/serve.ts";
import { verifyStore } from "../support/store_verify.ts";

const isThere = labIsThere();
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const USERS = ["ann", "a.b"];

function onDisk(lab: Lab): Place {
  return cyrusPlace(serverSource(readImapdConf(lab.conf)));
}

function overSync(lab: Lab): Promise<WritablePlace> {
  const address = { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1" } as const;
  return openSyncPlace({
    address: { ...address, port: lab.syncPort },
    password: () => Promise.resolve("labpass"),
  });
}

/** What is told of differences between two places, deep. */
async function differences(owner: Owner, source: Place, target: Place): Promise<string[]> {
  const found: string[] = [];
  const tell = (name: string, text: string): void => void found.push(`${name}: ${text}`);
  const outcome = await diffOwner(
    owner,
    { source, target },
    {
      deep: true,
      difference: ({ name, uid, text }) => tell(`${name} ${uid ?? ""}`, text),
      failed: (name, { text }) => tell(name, text),
    },
  );
  granted(outcome);
  return found;
}

/** Replicates and then finds nothing left to do. */
async function bring(owner: Owner, source: Place, target: WritablePlace): Promise<void> {
  const first = await replicate(owner, { source, target });
  expect([owner, first.failures, first.leftovers]).toEqual([owner, [], []]);
  granted(first.outcome);
  const again = await replicate(owner, { source, target });
  expect([owner, again.steps, again.failures]).toEqual([owner, [], []]);
  expect(await differences(owner, source, target)).toEqual([]);
}

describe.skipIf(!isThere)("replicateOwner() between real servers", () => {
  let full: Lab;
  let empty: Lab;
  let source: Place;
  beforeAll(async () => {
    [full, empty] = await Promise.all([labUp(), labUp()]);
    for (const [seed, user] of USERS.entries()) {
      await full.run("user", user);
      await full.run("fill", user, "40", "--seed", String(seed), "--avg-kb", "4");
    }
    source = onDisk(full);
  }, 120_000);
  afterAll(async () => {
    if (isThere) await Promise.all([full.down(), empty.down()]);
  });

  test("the disk of a real Cyrus goes into a store, and from there into an empty real Cyrus", async () => {
    const store = newStorePlace();
    const target = await overSync(empty);
    for (const [seed, userid] of [...USERS, ...USERS].entries()) {
      // The second time around there is more mail, and flags, moves and deletions.
      if (seed >= USERS.length) await full.run("fill", userid, "20", "--seed", String(seed));
      const owner = { kind: "user", userid } as const;
      await bring(owner, source, store);
      await bring(owner, store, target);
      const [ours, theirs] = [
        granted(await source.user(userid)),
        granted(await target.user(userid)),
      ];
      expect(essenceOf(theirs)).toEqual(essenceOf(ours));
      for (const { name } of ours.mailboxes) {
        expect(await empty.run("show", "check", name)).toBe("");
      }
    }
    // Cyrus' own client agrees that the store has all there is.
    const server = await testServer({ place: store, level: "debug" });
    for (const userid of USERS) {
      await full.run("sync-client", "127.0.0.1", String(server.port), "-u", userid);
    }
    const commands = server.log.flatMap((line) => /command="([^"]+)"/.exec(line)?.[1] ?? []);
    expect(commands).toContain("GET user");
    expect(commands.filter((one) => /^APPLY (?!capabilities)/.test(one))).toEqual([]);
    await server.stop();
    await target.close();
    verifyStore(store.locator.slice("store:".length));
  }, 120_000);

  test("a user who is being written to is brought as of moments, and wholly once it is quiet", async () => {
    await full.run("user", "busy", "--plain");
    await full.run("fill", "busy", "20", "--plain");
    const store = newStorePlace();
    const owner = { kind: "user", userid: "busy" } as const;
    let isOver = false;
    const storm = full.storm("busy", isLong ? 30 : 4).finally(() => {
      isOver = true;
    });
    let rounds = 0;
    while (!isOver) {
      const told = await replicate(owner, { source, target: store });
      // What is renamed three times while it is read may have to wait for the next round.
      const failures = told.failures.filter((text) => !text.includes("There is no "));
      expect([rounds, failures, told.leftovers]).toEqual([rounds, [], []]);
      rounds += 1;
      await Bun.sleep(20);
    }
    expect((await storm).deliveries).toBeGreaterThan(0);
    expect(rounds).toBeGreaterThan(1);
    await bring(owner, source, store);
    await store.close();
  }, 120_000);
});

function essenceOf({ mailboxes, subscriptions }: UserState): unknown {
  const state = ({ name, uniqueid, syncCrc, syncCrcAnnot, lastUid, ...rest }: MailboxState) => ({
    ...{ name, uniqueid, syncCrc, syncCrcAnnot, lastUid },
    ...{ highestmodseq: rest.highestmodseq, uidvalidity: rest.uidvalidity, acl: rest.acl },
  });
  return {
    mailboxes: mailboxes.map(state).sort((a, b) => (a.name < b.name ? -1 : 1)),
    subscriptions: [...subscriptions].sort(),
  };
}
