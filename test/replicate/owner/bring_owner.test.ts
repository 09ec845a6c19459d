/**
 * Two stores that have gone apart: what a merge brings, what it leaves, and how a mirror makes
 * equal.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { AppError } from "../../../src/core/errors.ts";
import { ok, refused } from "../../../src/model/outcome.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import type { PlaceSession, WritablePlace } from "../../../src/places/place.ts";
import { bytesOf, granted, recordsIn, withSessions } from "../../support/places.ts";
import {
  applyTo,
  livingUids,
  NOTHING_DONE,
  newStorePlace,
  put,
  type ReplicationOptions,
  replicate,
  type Told,
} from "../../support/replication.ts";
import { standIn } from "../../support/stand_in.ts";
import { message, record } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";

describe("replicateOwner()", () => {
  let source: WritablePlace;
  let target: WritablePlace;
  const run = (options?: ReplicationOptions): Promise<Told> =>
    replicate(FRED, { source, target }, options);
  const toldOf = ({ outcome: _, ...told }: Told): unknown => told;
  const recordsAt = async (place: WritablePlace, name = INBOX): Promise<MailRecord[]> =>
    recordsIn(granted(await place.readMailbox(name)).records);

  beforeEach(() => {
    source = newStorePlace();
    target = newStorePlace();
  });
  afterEach(async () => {
    await source.close();
    await target.close();
  });

  /** Both hold messages 1 to 5. */
  async function alike(): Promise<MailRecord[]> {
    const records = [1, 2, 3, 4, 5].map((uid) => record(uid));
    await put(source, INBOX, records);
    await put(target, INBOX, records);
    return records;
  }

  test("sends what is new, what changed and what was expunged, and nothing else", async () => {
    const records = await alike();
    const next = [
      { ...record(2), modseq: 20n, flags: ["\\Seen", "work"] },
      { ...record(3), modseq: 21n, expunged: true },
      record(6, { modseq: 22n }),
    ];
    const all = [records[0], next[0], next[1], records[3], records[4], next[2]];
    await put(
      source,
      INBOX,
      all.filter((one) => one !== undefined),
    );
    const told = await run();
    expect(toldOf(told)).toEqual({ ...NOTHING_DONE, steps: [`mailbox ${INBOX}`] });
    expect(granted(told.outcome)).toMatchObject({ messages: 1, bytes: message(6).length });
    expect(await recordsAt(target)).toEqual(await recordsAt(source));
    expect(toldOf(await run())).toEqual(NOTHING_DONE);
  });

  test("sends the messages of the next mailbox while one is applied", async () => {
    await put(source, INBOX, [record(1)]);
    await put(source, "user.fred.two", [record(2)]);
    const nextIsStaged = Promise.withResolvers<void>();
    const overlapping = withSessions(target, (session) => ({
      stage: (file) => {
        if (file.guid === record(2).guid) nextIsStaged.resolve();
        return session.stage(file);
      },
      apply: async (command, options = {}) => {
        options.sent?.();
        const isFirst = command.kind === "mailbox" && command.state.name === INBOX;
        if (isFirst) await nextIsStaged.promise;
        return session.apply(command);
      },
    }));
    const told = await replicate(FRED, { source, target: overlapping });
    expect(toldOf(told)).toEqual({
      ...NOTHING_DONE,
      steps: [`mailbox ${INBOX}`, "mailbox user.fred.two"],
    });
    expect(toldOf(await run())).toEqual(NOTHING_DONE);
  });

  test("sends the messages of all that follow while one is applied", async () => {
    const names = [INBOX, ...["a", "b", "c", "d"].map((name) => `${INBOX}.${name}`)];
    for (const [at, name] of names.entries()) await put(source, name, [record(at + 1)]);
    const allAreStaged = Promise.withResolvers<void>();
    const overlapping = withSessions(target, (session) => ({
      stage: (file) => {
        if (file.guid === record(names.length).guid) allAreStaged.resolve();
        return session.stage(file);
      },
      apply: async (command, options = {}) => {
        options.sent?.();
        const isFirst = command.kind === "mailbox" && command.state.name === INBOX;
        if (isFirst) await allAreStaged.promise;
        return session.apply(command);
      },
    }));
    const told = await replicate(FRED, { source, target: overlapping });
    expect(told.failures).toEqual([]);
    expect(toldOf(await run())).toEqual(NOTHING_DONE);
  });

  test("has two mailboxes in flight, never more, and in order", async () => {
    const names = [INBOX, ...["a", "b", "c", "d"].map((name) => `${INBOX}.${name}`)];
    for (const name of names) await put(source, name, [record(1)]);
    const log: string[] = [];
    let [inFlight, most] = [0, 0];
    let before: Promise<unknown> = Promise.resolve();
    const slow = withSessions(target, (session) => ({
      apply: (command, options = {}) => {
        if (command.kind !== "mailbox") return session.apply(command);
        log.push(command.state.name);
        most = Math.max(most, ++inFlight);
        options.sent?.();
        const answer = before.then(async () => {
          await Bun.sleep(5);
          inFlight--;
          return session.apply(command);
        });
        before = answer;
        return answer;
      },
    }));
    const told = await replicate(FRED, { source, target: slow });
    expect([told.failures, most, log]).toEqual([[], 2, names]);
    expect(toldOf(await run())).toEqual(NOTHING_DONE);
  });

  test("sends again what was sent with messages that the target has not taken", async () => {
    await put(source, INBOX, [record(1)]);
    await put(source, "user.fred.two", [record(2)]);
    let flushes = 0;
    const full = withSessions(target, (session) => ({
      apply: async (command, options = {}) => {
        options.sent?.();
        return session.apply(command);
      },
      flush: async () => {
        if (++flushes > 1) return session.flush();
        await session.restart(); // nothing of what was sent is there
        return refused("noSpace", "the disk was full for a moment");
      },
    }));
    const told = await replicate(FRED, { source, target: full });
    expect(told.failures).toEqual([`${INBOX}: the disk was full for a moment`]);
    expect(granted(await target.user("fred")).mailboxes.map(({ name }) => name)).toEqual([
      "user.fred.two",
    ]);
    expect((await run()).failures).toEqual([]);
    expect(toldOf(await run())).toEqual(NOTHING_DONE);
  });

  test("tells of a refused mailbox and brings the next, already on its way", async () => {
    await put(source, INBOX, [record(1)]);
    await put(source, "user.fred.two", [record(2)]);
    const overlapping = withSessions(target, (session) => ({
      apply: (command, options = {}) => {
        options.sent?.();
        const isFirst = command.kind === "mailbox" && command.state.name === INBOX;
        return isFirst ? Promise.resolve(refused("failed", "no")) : session.apply(command);
      },
    }));
    const told = await replicate(FRED, { source, target: overlapping });
    expect(told.failures).toEqual([`${INBOX}: no`]);
    expect(granted(await target.user("fred")).mailboxes.map(({ name }) => name)).toEqual([
      "user.fred.two",
    ]);
  });

  test("sends anew what was on its way when one mailbox has ended the session", async () => {
    const names = ["a", "b", "c", "d", "e"].map((one) => `${INBOX}.${one}`);
    for (const [at, name] of names.entries()) await put(source, name, [record(at + 1)]);
    let lost: AppError | undefined;
    const breaking = withSessions(target, (session) => {
      const alive = (): PlaceSession => {
        if (lost !== undefined) throw lost;
        return session;
      };
      return {
        reserve: async (request) => alive().reserve(request),
        stage: (file) => alive().stage(file),
        flush: async () => alive().flush(),
        apply: async (command, options = {}) => {
          alive();
          options.sent?.();
          await Bun.sleep(5);
          if (command.kind === "mailbox" && command.state.name === `${INBOX}.b`) {
            lost = new AppError("protocol", "nonsense");
          }
          return alive().apply(command);
        },
        restart: async () => {
          lost = undefined;
          await session.restart();
        },
      };
    });
    const told = await replicate(FRED, { source, target: breaking });
    expect(told.failures).toEqual([`${INBOX}.b: ${INBOX}.b: nonsense`]);
    expect(told.steps).toEqual(names.map((name) => `mailbox ${name}`));
    const there = granted(await target.user("fred")).mailboxes.map(({ name }) => name);
    expect(there.sort()).toEqual(names.filter((name) => !name.endsWith("b")));
  });

  test("waits a little for a mailbox that somebody has locked, and not for ever", async () => {
    await put(source, INBOX, [record(1)]);
    await put(source, "user.fred.two", [record(2)]);
    let [asked, free] = [0, 2];
    const locked = withSessions(target, (session) => ({
      apply: async (command, options) => {
        const isTwo = command.kind === "mailbox" && command.state.name === "user.fred.two";
        if (!isTwo) return session.apply(command, options);
        asked += 1;
        return asked < free ? refused("busy", "locked") : session.apply(command, options);
      },
    }));
    const told = await replicate(FRED, { source, target: locked });
    expect(told.steps).toEqual([`mailbox ${INBOX}`, "mailbox user.fred.two"]);
    expect([told.failures, asked, await livingUids(target, "user.fred.two")]).toEqual([[], 2, [2]]);
    await put(source, "user.fred.two", [record(2), record(3, { modseq: 9n })]);
    [asked, free] = [0, Infinity];
    const never = await replicate(FRED, { source, target: locked });
    expect([never.failures, asked]).toEqual([["user.fred.two: locked"], 4]);
  });

  test("brings subscriptions, quotas, scripts and what was seen", async () => {
    const { uniqueid } = await put(source, INBOX, [record(1)]);
    const [userid, filename] = ["fred", "a.script"];
    const seen = { uniqueid, lastRead: 5, lastUid: 1, lastChange: 6, seenUids: "1" };
    await applyTo(source, { kind: "sub", userid, name: "user.fred.list" });
    await applyTo(source, { kind: "quota", quota: { root: INBOX, limits: { STORAGE: 100 } } });
    await applyTo(source, {
      kind: "sieve",
      userid,
      filename,
      lastUpdate: 9,
      content: utf8("keep;"),
    });
    await applyTo(source, { kind: "activateSieve", userid, filename: "a.bc" });
    await applyTo(source, { kind: "seen", userid, seen });
    await applyTo(target, { kind: "sub", userid, name: "user.fred.mine" });
    const told = await run();
    expect([told.failures, told.leftovers]).toEqual([[], ["subscription user.fred.mine"]]);
    const [ours, theirs] = [granted(await source.user("fred")), granted(await target.user("fred"))];
    expect(theirs).toMatchObject({ quotas: ours.quotas, seen: ours.seen, sieve: ours.sieve });
    expect(granted(await target.sieveScript("fred", filename))).toEqual(utf8("keep;"));
    expect((await run()).steps).toEqual([]);
    expect((await run({ mode: "mirror" })).steps).toEqual(["apply user.fred.mine"]);
    expect(granted(await target.meta("fred")).subscriptions).toEqual(ours.subscriptions);
  });

  test("names a script that no target could keep, in the dry run too", async () => {
    await put(source, INBOX, [record(1)]);
    const sieve = ["../b/x.script", "y.script"].map((filename) => {
      return { filename, lastUpdate: 9, isActive: false };
    });
    const odd = standIn(source, {
      user: async () => ok({ ...granted(await source.user("fred")), sieve }),
      sieveScript: async () => ok(utf8("keep;")),
    });
    for (const dryRun of [true, false]) {
      const { steps, failures } = await replicate(FRED, { source: odd, target }, { dryRun });
      expect(steps).toEqual([`mailbox ${INBOX}`, "sieve y.script"]);
      expect(failures).toEqual([expect.stringMatching(/^..\/b\/x.script: .* has a slash$/)]);
    }
  });

  test("leaves a script and what was seen where the target's are newer", async () => {
    const uniqueid = (await put(source, INBOX, [record(1), record(2)])).uniqueid;
    await run();
    const [userid, filename] = ["fred", "a.script"];
    const bring = async (place: WritablePlace, at: number, seenUids: string): Promise<void> => {
      const content = utf8(`# ${at}`);
      await applyTo(place, { kind: "sieve", userid, filename, lastUpdate: at, content });
      const seen = { uniqueid, lastRead: at, lastUid: 2, lastChange: at, seenUids };
      await applyTo(place, { kind: "seen", userid, seen });
    };
    const seenAtTarget = async (): Promise<string | undefined> =>
      granted(await target.meta("fred")).seen[0]?.seenUids;
    await bring(source, 5, "1");
    await bring(target, 6, "1:2");
    expect(toldOf(await run())).toEqual({
      ...{ steps: [], failures: [] },
      leftovers: [`sieve ${filename}`, `seen ${INBOX}`],
    });
    expect(granted(await target.sieveScript("fred", filename))).toEqual(utf8("# 6"));
    expect(await seenAtTarget()).toBe("1:2");
    await bring(source, 7, "2");
    expect((await run()).leftovers).toEqual([]);
    await bring(target, 8, "");
    // That a newer one has less in it is no loss.
    expect((await run()).leftovers).toEqual([`sieve ${filename}`]);
    expect(await seenAtTarget()).toBe("2");
    expect((await run({ mode: "mirror" })).failures).toEqual([]);
    expect(granted(await target.sieveScript("fred", filename))).toEqual(utf8("# 7"));
  });

  test("leaves what only the target has, and says so each time", async () => {
    const records = await alike();
    await put(target, INBOX, [...records, record(6, { modseq: 30n })]);
    await put(target, "user.fred.mine", [record(1)]);
    await put(source, INBOX, [
      { ...record(1), modseq: 40n, flags: ["\\Flagged"] },
      ...records.slice(1),
    ]);
    const leftovers = ["mailbox user.fred.mine", `message ${INBOX} 6`];
    expect(toldOf(await run())).toEqual({ steps: [`mailbox ${INBOX}`], leftovers, failures: [] });
    expect((await recordsAt(target))[0]?.flags).toEqual(["\\Flagged"]);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(toldOf(await run())).toEqual({ ...NOTHING_DONE, leftovers });
  });

  test("leaves another message under the same UID, newer flags, and deletions", async () => {
    await alike();
    const other = record(6, { modseq: 8n }, 66);
    const theirs = [
      record(1, { modseq: 50n, flags: ["\\Answered"] }),
      record(2, { modseq: 51n, expunged: true }),
    ];
    await put(target, INBOX, [...theirs, record(3), record(4), record(5), other], {
      numbers: [1, 2, 3, 4, 5, 66],
    });
    await put(
      source,
      INBOX,
      [1, 2, 3, 4, 5, 6].map((uid) => record(uid)),
    );
    const told = await run();
    const leftovers = [`flags ${INBOX} 1`, `message ${INBOX} 2`, `message ${INBOX} 6`];
    expect(toldOf(told)).toEqual({ ...NOTHING_DONE, leftovers });
    expect((await recordsAt(target))[0]?.flags).toEqual(["\\Answered"]);
  });

  test("keeps a message that the source may have purged or never had, and counts it", async () => {
    const [one, two, three] = [record(1), record(2, { modseq: 8n }, 22), record(3)];
    const gone = record(4, { modseq: 9n, expunged: true });
    await put(target, INBOX, [one, two, three, gone], { numbers: [1, 22, 3, 4] });
    await put(source, INBOX, [one, three], {
      change: { lastUid: 4, highestmodseq: 31n, deletedmodseq: 30n },
    });
    for (const steps of [[`mailbox ${INBOX}`], []]) {
      const told = await run();
      expect(toldOf(told)).toEqual({ steps, leftovers: [`message ${INBOX} 2`], failures: [] });
      expect(await livingUids(target, INBOX)).toEqual([1, 2, 3]);
    }
    const braked = await run({ mode: "mirror" });
    expect(braked.outcome).toMatchObject({ text: "1 of 3 messages of fred would be deleted" });
    const mirrored = await run({ mode: "mirror", allowDelete: 40 });
    expect(mirrored.failures).toEqual([]);
    expect(await livingUids(target, INBOX)).toEqual([1, 3]);
  });

  test("in mirror mode makes a mailbox anew from what the target has", async () => {
    const records = await alike();
    await put(target, INBOX, [...records, record(6, { modseq: 30n })]);
    expect(granted((await run({ mode: "mirror" })).outcome)).toMatchObject({
      steps: 1,
      messages: 0,
    });
    expect(await recordsAt(target)).toEqual(await recordsAt(source));
    const state = granted(await source.mailboxes([INBOX]))[0];
    expect(granted(await target.mailboxes([INBOX]))[0]).toMatchObject({
      syncCrc: state?.syncCrc,
      lastUid: state?.lastUid,
      highestmodseq: state?.highestmodseq,
    });
    const address = { mailbox: INBOX, uniqueid: state?.uniqueid ?? "", partition: null };
    const guid = record(3).guid;
    expect(await bytesOf(target, { ...address, uid: 3, guid })).toEqual(Buffer.from(message(3)));
    expect(toldOf(await run({ mode: "mirror" }))).toEqual(NOTHING_DONE);
  });

  test("stops a mirror that would delete over a fifth, and goes on when allowed", async () => {
    const records = await alike();
    await put(target, INBOX, [...records, record(6, { modseq: 30n }), record(7, { modseq: 31n })]);
    const { outcome } = await run({ mode: "mirror" });
    expect(outcome).toMatchObject({ kind: "refused", reason: "permissionDenied" });
    expect(outcome).toMatchObject({ text: "2 of 7 messages of fred would be deleted" });
    expect(await livingUids(target, INBOX)).toHaveLength(7);
    expect((await run({ mode: "mirror", allowDelete: 30 })).outcome.kind).toBe("ok");
    expect(await livingUids(target, INBOX)).toHaveLength(5);
    await put(target, "user.fred.mine", [record(1)]);
    const boxes = await run({ mode: "mirror" });
    expect(boxes.outcome).toMatchObject({ text: "1 of 2 mailboxes of fred would be deleted" });
  });

  test("counts what a mirror deletes also where the target is behind", async () => {
    const [one, two] = [record(1), record(2)];
    await put(source, INBOX, [one, two, record(4, { modseq: 9n })]);
    await put(target, INBOX, [one, two, record(3)]);
    const braked = await run({ mode: "mirror" });
    expect(braked.outcome).toMatchObject({ text: "1 of 3 messages of fred would be deleted" });
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3]);
    expect((await run({ mode: "mirror", allowDelete: 50 })).failures).toEqual([]);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 4]);
    expect((await run({ mode: "mirror" })).steps).toEqual([]);
  });

  test("deletes a whole user in mirror mode with leave for all of it only", async () => {
    await put(target, INBOX, [record(1)]);
    const { outcome } = await run({ mode: "mirror", allowDelete: 99 });
    expect(outcome).toMatchObject({ reason: "permissionDenied" });
    expect((await run({ mode: "mirror", allowDelete: 100 })).steps).toEqual(["deleteUser fred"]);
    expect(granted(await target.user("fred")).mailboxes).toEqual([]);
    expect((await run({ mode: "mirror" })).outcome).toMatchObject({ reason: "nonexistent" });
  });

  test("follows renames, a swap and a chain, without sending a message", async () => {
    for (const place of [source, target]) {
      for (const [at, box] of ["", ".a", ".b", ".c"].entries()) {
        await put(place, INBOX + box, [record(1, {}, at + 1)], { numbers: [at + 1] });
      }
    }
    const moves = [
      ["a", "x"],
      ["b", "a"],
      ["x", "b"],
      ["c", "d"],
    ] as const;
    for (const [from, to] of moves) {
      const [oldName, newName] = [`${INBOX}.${from}`, `${INBOX}.${to}`];
      await applyTo(source, { kind: "rename", oldName, newName, partition: "default" });
    }
    const { outcome, failures, leftovers } = await run();
    expect([failures, leftovers]).toEqual([[], []]);
    expect(granted(outcome).messages).toBe(0);
    const namesOf = async (place: WritablePlace): Promise<string[]> =>
      granted(await place.user("fred"))
        .mailboxes.map((one) => `${one.name} ${one.uniqueid}`)
        .sort();
    expect(await namesOf(target)).toEqual(await namesOf(source));
    expect((await run()).steps).toEqual([]);
  });

  test("writes nothing in a dry run, and plans what the run then does", async () => {
    await put(source, INBOX, [record(1), record(2)]);
    await put(source, `${INBOX}.a`, [record(1)]);
    const plan = await run({ dryRun: true });
    expect(granted(await target.user("fred")).mailboxes).toEqual([]);
    expect((await run()).steps).toEqual(plan.steps);
  });

  test("looks again when the target changes under it, and brings what is right", async () => {
    const records = await alike();
    await put(source, INBOX, [...records, record(6, { modseq: 9n })]);
    const changed = [{ ...record(1), modseq: 8n, flags: ["\\Draft"] }, ...records.slice(1)];
    let isFirst = true;
    const meddling = withSessions(target, (session) => ({
      apply: async (command, options) => {
        if (isFirst) await put(target, INBOX, changed);
        isFirst = false;
        return session.apply(command, options);
      },
    }));
    const told = await replicate(FRED, { source, target: meddling });
    expect(told.failures).toEqual([]);
    expect(told.leftovers).toEqual([`flags ${INBOX} 1`]);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await recordsAt(target))[0]?.flags).toEqual(["\\Draft"]);
  });

  test("deletes no mailbox that gets mail between the plan and its turn", async () => {
    const name = `${INBOX}.a`;
    const change = { uniqueid: "made-by-a-client", highestmodseq: 3n };
    await put(source, INBOX, [record(1)]);
    await put(source, name, [record(2)]);
    await put(target, INBOX, [record(1)]);
    for (const mode of ["merge", "mirror"] as const) {
      await put(target, name, [], { change });
      let isFirst = true;
      const watched = standIn(target, {
        mailboxes: async (names) => {
          if (isFirst) await put(target, name, [record(1), record(2)], { change });
          isFirst = false;
          return target.mailboxes(names);
        },
      });
      const places = { source, target: watched };
      const told = await replicate(FRED, places, { mode, allowDelete: 50 });
      expect([isFirst, told.failures]).toEqual([false, []]);
      expect(await livingUids(target, name)).toEqual([1, 2]);
      if (mode === "merge") expect(told.leftovers).toEqual([`mailbox ${name}`]);
      else expect(told.outcome).toMatchObject({ text: expect.stringContaining("2 of 3 messages") });
      await applyTo(target, { kind: "unmailbox", name });
    }
  });

  test("tells of a mailbox it cannot bring, and brings the others", async () => {
    await put(source, INBOX, [record(1)]);
    await put(source, `${INBOX}.a`, [record(1, {}, 9)], { numbers: [9] });
    const broken: WritablePlace = Object.assign(Object.create(source) as WritablePlace, {
      ...{ locator: source.locator, holds: source.holds },
      user: (userid: string) => source.user(userid),
      readMailbox: (name: string) => source.readMailbox(name),
      message: (address: Parameters<WritablePlace["message"]>[0]) =>
        address.mailbox === INBOX
          ? Promise.resolve({ kind: "refused", reason: "damaged", text: "rotten" } as const)
          : source.message(address),
    });
    const told = await replicate(FRED, { source: broken, target });
    expect(told.failures).toEqual([`${INBOX}: rotten`]);
    expect(await livingUids(target, `${INBOX}.a`)).toEqual([1]);
  });
});
