/**
 * Master writes the zeros in front of a thread id into SYNC_CRC_ANNOT and all before it do not
 * (sync-protocol.md 5.1), so two sound mailboxes have different sums. No master can be run here:
 * this one keeps its mail in a store, sums up as master does, which the transcript of a real one
 * proves, and refuses as that did.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { parseAnswer } from "../../src/formats/sync/answer.ts";
import type { ApplyCommand, ApplyMailbox } from "../../src/model/apply.ts";
import type { MailboxState } from "../../src/model/mailbox.ts";
import { type Outcome, ok, refused } from "../../src/model/outcome.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { ANNOT_VARIANTS, mailAnnotCrc } from "../../src/model/sync_crc.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { type Capture, capturesOf, linesOfSide } from "../support/captures.ts";
import { parseLine } from "../support/dlist_line.ts";
import { granted, recordsIn } from "../support/places.ts";
import { replay } from "../support/replay.ts";
import { NOTHING_DONE, newStorePlace, put, replicate } from "../support/replication.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { standIn } from "../support/stand_in.ts";
import { record } from "../support/store_fixture.ts";

const PADDED = ANNOT_VARIANTS[1];
const CAPTURES = capturesOf("captures-master").filter(({ name }) => /-08-/.test(name));
const C1 = { kind: "user", userid: "c1" } as const;

/** The last SYNC_CRC_ANNOT that the server of a transcript said of each mailbox. */
function sumsIn(capture: Capture): Map<string, number | undefined> {
  const sums = new Map<string, number | undefined>();
  for (const { bytes, line } of capture.connections.flatMap((one) => linesOfSide(one, "S"))) {
    if (line.kind !== "dlist" || line.name !== "MAILBOX") continue;
    const answer = parseAnswer("MAILBOX", parseLine(bytes.subarray(2)).value);
    if (answer?.kind === "mailbox") sums.set(answer.state.name, answer.state.syncCrcAnnot);
  }
  return sums;
}

/**
 * What it does with a sum that is not its own: a real one refuses and keeps what it has written.
 */
type Refusing = "after writing" | "before writing";

function masterOver(inner: WritablePlace, refusing: Refusing = "after writing"): WritablePlace {
  const recordsAt = async (name: string): Promise<MailRecord[]> => {
    const reading = await inner.readMailbox(name);
    return reading.kind === "ok" ? recordsIn(reading.value.records) : [];
  };
  const summed = async (state: MailboxState): Promise<MailboxState> => {
    return { ...state, syncCrcAnnot: mailAnnotCrc(await recordsAt(state.name), PADDED) };
  };
  const all = async (found: Outcome<readonly MailboxState[]>) =>
    found.kind === "refused" ? found : ok(await Promise.all(found.value.map(summed)));
  const isRight = async ({ state, records }: ApplyMailbox): Promise<boolean> => {
    if (!state.syncCrcAnnot) return true;
    const byUid = new Map((await recordsAt(state.name)).map((one) => [one.uid, one]));
    for (const one of await recordsIn(records)) byUid.set(one.uid, one);
    return mailAnnotCrc(byUid.values(), PADDED) === state.syncCrcAnnot;
  };
  const applied = async (command: ApplyCommand, session: PlaceSession): Promise<Outcome> => {
    if (command.kind !== "mailbox") return session.apply(command);
    const fits = await isRight(command);
    if (!fits && refusing === "before writing") return refused("checksum", "Checksum Failure");
    const done = await session.apply({ ...command, state: { ...command.state, syncCrcAnnot: 0 } });
    return done.kind === "ok" && !fits ? refused("checksum", "Checksum Failure") : done;
  };
  return {
    locator: inner.locator,
    holds: inner.holds,
    owners: () => inner.owners(),
    user: async (userid) => {
      const found = await inner.user(userid);
      if (found.kind === "refused") return found;
      return ok({
        ...found.value,
        mailboxes: await Promise.all(found.value.mailboxes.map(summed)),
      });
    },
    meta: (userid) => inner.meta(userid),
    mailboxes: async (names) => all(await inner.mailboxes(names)),
    mailboxesByUniqueid: async (uniqueids) => all(await inner.mailboxesByUniqueid(uniqueids)),
    sharedMailboxes: (toplevel) => inner.sharedMailboxes(toplevel),
    readMailbox: async (name) => {
      const found = await inner.readMailbox(name);
      if (found.kind === "refused") return found;
      return ok({ ...found.value, state: await summed(found.value.state) });
    },
    message: (address) => inner.message(address),
    annotations: (name) => inner.annotations(name),
    quota: (root) => inner.quota(root),
    sieveScript: (userid, filename) => inner.sieveScript(userid, filename),
    close: () => inner.close(),
    openSession: async () => {
      const session = await inner.openSession();
      return {
        reserve: (request) => session.reserve(request),
        stage: (message) => session.stage(message),
        flush: () => session.flush(),
        apply: (command) => applied(command, session),
        restart: () => session.restart(),
        close: () => session.close(),
      };
    },
  };
}

async function bring(source: WritablePlace, target: WritablePlace): Promise<void> {
  const { outcome, steps, ...rest } = await replicate(C1, { source, target });
  granted(outcome);
  expect(steps).toContain("mailbox user.c1");
  expect({ steps: [], ...rest }).toEqual(NOTHING_DONE);
  // The second run sees by the sums alone that there is nothing to do.
  const unread = standIn(target, {
    readMailbox: (name) => expect.unreachable(`${name} is read in full`),
  });
  const again = await replicate(C1, { source, target: unread });
  expect({ ...again, outcome: undefined }).toEqual({ ...NOTHING_DONE, outcome: undefined });
  const found: string[] = [];
  const options = {
    deep: true,
    difference: ({ name, text }: { name: string; text: string }) => found.push(`${name} ${text}`),
    failed: (name: string, { text }: { text: string }) => found.push(`${name} ${text}`),
  };
  granted(await diffOwner(C1, { source, target }, options));
  expect(found).toEqual([]);
}

describe("a thread id that begins with 0, between 3.12 or older and master", () => {
  const servers: TestServer[] = [];
  let older: WritablePlace;
  let newer: WritablePlace;

  /** A store with what the client of a transcript sent. */
  async function replayed(name: RegExp): Promise<TestServer> {
    const server = await testServer();
    servers.push(server);
    await replay(CAPTURES.find((one) => name.test(one.name)) ?? expect.unreachable(), server.port);
    return server;
  }
  beforeAll(async () => {
    older = (await replayed(/36-to-master/)).place;
    newer = masterOver((await replayed(/master-to-36/)).place);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  test("makes the two sums differ as those of the real servers did", async () => {
    const capture = CAPTURES.find(({ name }) => /36-to-master/.test(name)) ?? expect.unreachable();
    const real = sumsIn(capture);
    const master = masterOver(older);
    const ours = granted(await older.mailboxes(["user.c1"]))[0];
    const theirs = granted(await master.mailboxes(["user.c1"]))[0];
    expect(theirs?.syncCrcAnnot).toBe(real.get("user.c1") ?? -1);
    expect(theirs?.syncCrcAnnot).not.toBe(ours?.syncCrcAnnot ?? -1);
    expect(theirs?.syncCrc).toBe(ours?.syncCrc ?? -1);
  });

  test.each(["after writing", "before writing"] as const)(
    "the user goes to a master that refuses %s, and new mail too",
    async (refusing) => {
      const [source, target] = [newStorePlace(), masterOver(newStorePlace(), refusing)];
      await replicate(C1, { source: older, target: source });
      await bring(source, target);
      const { state } = granted(await source.readMailbox("user.c1"));
      const uid = state.lastUid + 1;
      const modseq = state.highestmodseq + 1n;
      await put(source, "user.c1", [record(uid, { modseq, cid: 0x123n })], {
        change: { ...state, syncCrc: 0, syncCrcAnnot: 0, lastUid: uid, highestmodseq: modseq },
      });
      await bring(source, target);
      for (const place of [source, target]) await place.close();
    },
  );

  test("the user comes from a master", async () => {
    const target = newStorePlace();
    await bring(newer, target);
    await target.close();
  });
});
