/** A user under another name: everything that names him, in the same store and elsewhere. */
import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { asUser } from "../../../src/replicate/owner/renamed_place.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../../support/places.ts";
import { applyTo, NOTHING_DONE, newStorePlace, put, replicate } from "../../support/replication.ts";
import { message, record } from "../../support/store_fixture.ts";

const BERT = { kind: "user", userid: "bert.x" } as const;

describe("asUser()", () => {
  test("renames mailboxes, ACLs, annotations, quotas, subscriptions, seen state", async () => {
    const place = newStorePlace();
    const note = { entry: "/comment", userid: "fred", modseq: 2n, value: utf8("mine") };
    const { uniqueid } = await put(place, "user.fred", [record(1)], {
      change: { acl: "fred\tlrs\t-fred\tx\tanne\tl\t", quotaroot: "user.fred" },
    });
    await put(place, "user.fred.a^b", [record(1, { annotations: [note] }, 2)], { numbers: [2] });
    await put(place, "DELETED.user.fred.old.5F3A2B1C", [record(3)]);
    const seen = { uniqueid, lastRead: 1, lastUid: 1, lastChange: 1, seenUids: "1" };
    const foreign = { ...seen, uniqueid: "of-another" };
    await applyTo(place, { kind: "seen", userid: "fred", seen });
    await applyTo(place, { kind: "seen", userid: "fred", seen: foreign });
    for (const name of ["user.fred.a^b", "user.anne"])
      await applyTo(place, { kind: "sub", userid: "fred", name });
    const quota = { root: "user.fred", limits: { STORAGE: 7 } };
    await applyTo(place, { kind: "quota", quota });

    const source = asUser(place, { from: "fred", to: "bert.x" });
    expect(await ownersIn(source)).toEqual([BERT]);
    const first = await replicate(BERT, { source, target: place });
    expect([first.failures, first.leftovers]).toEqual([[], []]);
    expect(granted(first.outcome)).toMatchObject({ steps: 8 });
    const { outcome, ...again } = await replicate(BERT, { source, target: place });
    expect([outcome.kind, again]).toEqual(["ok", NOTHING_DONE]);

    const bert = granted(await place.user("bert.x"));
    const names = bert.mailboxes.map(({ name }) => name).sort();
    expect(names).toEqual(["DELETED.user.bert^x.old.5F3A2B1C", "user.bert^x", "user.bert^x.a^b"]);
    const inbox = bert.mailboxes.find(({ name }) => name === "user.bert^x");
    expect(inbox?.uniqueid).not.toBe(uniqueid);
    expect(inbox?.acl).toBe("bert.x\tlrs\t-bert.x\tx\tanne\tl\t");
    expect(bert.quotas).toEqual([{ root: "user.bert^x", limits: { STORAGE: 7 } }]);
    expect(bert.subscriptions.toSorted()).toEqual(["user.anne", "user.bert^x.a^b"]);
    expect(bert.seen.map((one) => one.uniqueid).sort()).toEqual(
      [inbox?.uniqueid ?? "", "of-another"].sort(),
    );
    const reading = granted(await place.readMailbox("user.bert^x.a^b"));
    const [only] = await recordsIn(reading.records);
    expect(only?.annotations).toEqual([{ ...note, userid: "bert.x" }]);
    const address = {
      mailbox: reading.state.name,
      uniqueid: reading.state.uniqueid,
      partition: null,
    };
    const bytes = await bytesOf(place, { ...address, uid: 1, guid: record(2).guid });
    expect(bytes).toEqual(Buffer.from(message(2)));
    expect(granted(await place.user("fred")).mailboxes).toHaveLength(3);
    await place.close();
  });

  test("keeps a name in a virtual domain in one, and gives it another", async () => {
    const place = newStorePlace();
    await put(place, "example.com!user.fred.a", [record(1)]);
    const source = asUser(place, { from: "fred@example.com", to: "bert@example.org" });
    const { mailboxes } = granted(await source.user("bert@example.org"));
    expect(mailboxes.map(({ name }) => name)).toEqual(["example.org!user.bert.a"]);
    expect(granted(await source.readMailbox("example.org!user.bert.a")).state.name).toBe(
      "example.org!user.bert.a",
    );
    expect(granted(await source.user("fred@example.com")).mailboxes).toEqual([]);
    await place.close();
  });
});
