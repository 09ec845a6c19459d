/** A mailbox is made anew by two commands: whatever the second does, nothing is lost unsaid. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { AppError } from "../../../src/core/errors.ts";
import { refused } from "../../../src/model/outcome.ts";
import type { PlaceSession, WritablePlace } from "../../../src/places/place.ts";
import { bytesOf, granted, recordsIn, withSessions } from "../../support/places.ts";
import { livingUids, newStorePlace, put, replicate } from "../../support/replication.ts";
import { message, record } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const FIVE = [1, 2, 3, 4, 5].map((uid) => record(uid));
const SIX = [...FIVE, record(6, { modseq: 30n })];
const MISSING = `${INBOX} was to be made anew and may be missing at the target until the next run`;

describe("a mailbox that is made anew", () => {
  let source: WritablePlace;
  let target: WritablePlace;
  beforeEach(async () => {
    source = newStorePlace();
    target = newStorePlace();
    await put(source, INBOX, FIVE);
    await put(target, INBOX, SIX);
  });
  afterEach(async () => {
    await source.close();
    await target.close();
  });

  /** The target, whose sessions answer the first `times` APPLY MAILBOX as `answer` does. */
  const failing = (times: number, answer: () => ReturnType<PlaceSession["apply"]>) => {
    let left = times;
    return withSessions(target, (session) => ({
      apply: (command, options) =>
        command.kind === "mailbox" && left-- > 0 ? answer() : session.apply(command, options),
    }));
  };
  const mirror = (place: WritablePlace) =>
    replicate(FRED, { source, target: place }, { mode: "mirror" });

  test("is at the target as it was where the new one is refused", async () => {
    const before = granted(await target.readMailbox(INBOX));
    const records = await recordsIn(before.records);
    const told = await mirror(failing(1, async () => refused("noSpace", "the disk is full")));
    expect(told.failures).toEqual([
      `${INBOX}: the disk is full; ${INBOX} is at the target as it was`,
    ]);
    const after = granted(await target.readMailbox(INBOX));
    expect(after.state).toEqual(before.state);
    expect(await recordsIn(after.records)).toEqual(records);
    const { uniqueid } = after.state;
    const address = { mailbox: INBOX, uniqueid, partition: null, uid: 6, guid: record(6).guid };
    expect(await bytesOf(target, address)).toEqual(Buffer.from(message(6)));
    granted((await mirror(target)).outcome);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5]);
  });

  test("is named where it cannot be put back either, and the next run brings it", async () => {
    const told = await mirror(failing(2, async () => refused("noSpace", "the disk is full")));
    expect(told.failures[0]).toBe(`${INBOX}: the disk is full; ${MISSING} (the disk is full)`);
    expect(granted(await target.mailboxes([INBOX]))).toEqual([]);
    granted((await mirror(target)).outcome);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5]);
  });

  test("is named where the connection is lost in between, and the next run brings it", async () => {
    const lost = mirror(
      failing(1, async () => {
        throw new AppError("unreachable", "the server has closed the connection");
      }),
    );
    expect(lost).rejects.toThrow(MISSING);
    await lost.catch(() => undefined);
    granted((await mirror(target)).outcome);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5]);
  });

  test("is not touched where the first command or a message is refused", async () => {
    const kept = withSessions(target, (session) => ({
      apply: async (command, options) =>
        command.kind === "unmailbox"
          ? refused("permissionDenied", "not yours")
          : session.apply(command, options),
    }));
    expect((await mirror(kept)).failures).toEqual([`${INBOX}: not yours`]);
    let flushes = 0;
    const full = withSessions(target, (session) => ({
      flush: async () => (++flushes > 1 ? refused("noSpace", "the disk is full") : session.flush()),
    }));
    expect((await mirror(full)).failures).toEqual([`${INBOX}: the disk is full`]);
    expect(await livingUids(target, INBOX)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
