/**
 * What every writable place must do, whatever lies behind it. A place's own test calls `conforms`
 * with a way to open it empty; what a place does not hold (`place.holds`) is not asked of it.
 */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import type { ApplyCommand } from "../../src/model/apply.ts";
import { type MailboxState, recordsOf } from "../../src/model/mailbox.ts";
import { type Owner, parseName } from "../../src/model/names.ts";
import type { Outcome } from "../../src/model/outcome.ts";
import type { MailRecord } from "../../src/model/record.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import { granted, bytesOf as messageBytes, recordsIn } from "../support/places.ts";
import { guidOf, message, NOW, record, stateOf } from "../support/store_fixture.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "./example_mail.ts";
import { readsConform } from "./reading_conformance.ts";

export interface Conforming {
  /** A place with nothing in it. */
  readonly open: () => Promise<WritablePlace>;
  /** The same place opened anew, as after a restart. Left out where there is no such thing. */
  readonly reopen?: () => Promise<WritablePlace>;
  /** True where names that no Cyrus since 2.5 can make are refused, such as those with `%`. */
  readonly refusesNames?: boolean;
  /**
   * True for a log of what was sent: it forgets nothing, and leaves sums and states to those who
   * apply it.
   */
  readonly isLog?: boolean;
  /** True where each owner is kept apart: nobody knows that a mailbox is another's already. */
  readonly isApart?: boolean;
}

const INBOX = "user.fred";
const SUB = "user.fred.Sub";

function reasonOf(outcome: Outcome<unknown>): string {
  return outcome.kind === "ok" ? "ok" : outcome.reason;
}

/** Sends a message in two pieces. */
async function stage(
  session: PlaceSession,
  bytes: Uint8Array,
  { guid = guidOf(bytes), mailbox = INBOX } = {},
): Promise<void> {
  const writer = session.stage({ partition: "default", guid, size: bytes.length, mailbox });
  const middle = bytes.length >>> 1;
  await writer.write(bytes.subarray(0, middle));
  await writer.write(bytes.subarray(middle));
  await writer.end();
}

async function allRecords(place: WritablePlace, name: string): Promise<MailRecord[]> {
  return recordsIn(granted(await place.readMailbox(name)).records);
}

async function bytesOf(
  place: WritablePlace,
  name: string,
  wanted: MailRecord,
): Promise<Uint8Array> {
  const state = granted(await place.mailboxes([name]))[0];
  const address = {
    mailbox: name,
    uniqueid: state?.uniqueid ?? "",
    partition: "default",
    uid: wanted.uid,
    guid: wanted.guid,
  };
  return messageBytes(place, address);
}

function mailbox(state: MailboxState, records: readonly MailRecord[]): ApplyCommand {
  return { kind: "mailbox", state, records: recordsOf(records) };
}

/** Declares the tests of the suite for the place called `name`. */
export function conforms(name: string, options: Conforming): void {
  const { open, reopen, refusesNames = false, isLog = false, isApart = false } = options;
  readsConform(name, {
    open: async () => {
      const place = await open();
      await putExampleMail(place);
      return place;
    },
    owners: EXAMPLE_OWNERS,
  });
  describe(`${name} as a place`, () => {
    let place: WritablePlace;
    let session: PlaceSession;
    const apply = (command: ApplyCommand): Promise<Outcome> => session.apply(command);
    const fill = async (
      box: string,
      records: readonly MailRecord[],
      change: Partial<MailboxState> = {},
    ): Promise<MailboxState> => {
      for (const { uid } of records) await stage(session, message(uid), { mailbox: box });
      expect(granted(await session.flush())).toBeUndefined();
      const state = stateOf(box, records, change);
      granted(await apply(mailbox(state, records)));
      return state;
    };

    beforeEach(async () => {
      place = await open();
      session = await place.openSession();
    });
    afterEach(async () => {
      await session.close();
      await place.close();
    });

    test("an empty place has no one, and says so without refusing", async () => {
      expect(granted(await place.user("fred")).mailboxes).toEqual([]);
      expect(granted(await place.mailboxes([INBOX]))).toEqual([]);
      expect(granted(await place.mailboxesByUniqueid(["nobody"]))).toEqual([]);
      expect(reasonOf(await place.readMailbox(INBOX))).toBe("nonexistent");
      expect(granted(await place.quota(INBOX))).toBeUndefined();
      expect(granted(await place.meta("fred"))).toEqual({
        seen: [],
        subscriptions: [],
        sieve: [],
      });
    });

    test("a session that has sent a mailbox takes the messages of the next one", async () => {
      const [first, second] = [record(1), record(2)];
      await stage(session, message(1));
      granted(await session.flush());
      const sent = Promise.withResolvers<void>();
      const inbox = mailbox(stateOf(INBOX, [first]), [first]);
      const applying = session.apply(inbox, { sent: sent.resolve });
      await Promise.race([sent.promise, applying]);
      await stage(session, message(2));
      const [flushed, applied] = await Promise.all([session.flush(), applying]);
      granted(flushed);
      granted(applied);
      granted(await apply(mailbox(stateOf(SUB, [second]), [second])));
      expect((await allRecords(place, INBOX)).map(({ guid }) => guid)).toEqual([first.guid]);
      expect(await bytesOf(place, SUB, second)).toEqual(Buffer.from(message(2)));
    });

    test("what was applied is given back: state, records and bytes", async () => {
      const records = [
        record(1, { flags: ["\\Seen", "$Label1", "work"] }),
        record(2, { cid: 0xfn }),
        record(5),
      ];
      const state = await fill(INBOX, records, {
        ...{ recentUid: 3, recentTime: NOW, pop3LastLogin: 7, pop3ShowAfter: 9, options: "PS" },
        ...{ xconvmodseq: 12n, raclmodseq: 13n, foldermodseq: 14n, partition: "other" },
        annotations: [{ entry: "/comment", userid: "", modseq: 3n, value: utf8("box") }],
      });
      const user = granted(await place.user("fred"));
      expect(user.mailboxes.length).toBe(1);
      expect(user.mailboxes[0]).toMatchObject({ ...state });
      expect(granted(await place.mailboxesByUniqueid([state.uniqueid]))[0]?.name).toBe(INBOX);
      const found = await allRecords(place, INBOX);
      expect(found.map(({ unlinked: _, ...rest }) => rest)).toEqual(
        records.map((one) => ({ ...one })),
      );
      for (const one of records)
        expect(await bytesOf(place, INBOX, one)).toEqual(Buffer.from(message(one.uid)));
    });

    test("records can be gone through twice, as of one moment", async () => {
      await fill(INBOX, [record(1), record(2)]);
      const reading = granted(await place.readMailbox(INBOX));
      const next = [record(1, { modseq: 20n, flags: ["\\Flagged"] })];
      granted(await apply(mailbox(stateOf(INBOX, [...next, record(2)]), next)));
      for (let round = 0; round < 2; round++) {
        const all: MailRecord[] = [];
        for await (const batch of reading.records.batches()) all.push(...batch);
        expect(all.map((one) => one.flags)).toEqual([[], []]);
      }
      expect(reading.state.highestmodseq).toBe(3n);
    });

    test("the same request twice changes nothing", async () => {
      const records = [record(1), record(2)];
      const state = await fill(INBOX, records);
      const before = [granted(await place.user("fred")), await allRecords(place, INBOX)];
      granted(await apply(mailbox(state, records)));
      expect([granted(await place.user("fred")), await allRecords(place, INBOX)]).toEqual(before);
    });

    test("flags change, messages expunge and append in one request", async () => {
      const one = record(1);
      await fill(INBOX, [one, record(2), record(3)]);
      const changed = [
        record(1, { modseq: 20n, flags: ["\\Seen", "new"] }),
        record(2, { modseq: 21n, expunged: true }),
        record(4, { modseq: 22n }),
      ];
      await stage(session, message(4));
      const whole = [changed[0] ?? one, record(3), changed[2] ?? one];
      granted(await apply(mailbox(stateOf(INBOX, whole), changed)));
      const found = await allRecords(place, INBOX);
      const live = found.filter(({ expunged }) => !expunged);
      expect(live.map(({ uid, flags }) => [uid, flags])).toEqual([
        [1, ["\\Seen", "new"]],
        [3, []],
        [4, []],
      ]);
      if (place.holds.tombstones) expect(found.find(({ uid }) => uid === 2)?.expunged).toBe(true);
    });

    test("a refused request has changed nothing", async () => {
      const records = [record(1), record(2)];
      const state = await fill(INBOX, records);
      const before = [granted(await place.user("fred")), await allRecords(place, INBOX)];
      const late = record(3, { modseq: 9n });
      const none = recordsOf([]);
      const states: [string, ApplyCommand][] = [
        ["checksum", mailbox({ ...state, syncCrc: 1 }, [])],
        ["checksum", mailbox({ ...state, highestmodseq: 1n }, [])],
        ["changed", { kind: "mailbox", state, records: none, since: { modseq: 9999n } }],
      ];
      const table: [string, ApplyCommand][] = [
        ...(isLog ? [] : states),
        ["checksum", mailbox(stateOf(INBOX, [...records, late]), [late])],
        ["moved", mailbox({ ...state, uniqueid: "another" }, [])],
        [isApart ? "checksum" : "moved", mailbox({ ...state, name: "user.anne" }, [])],
        ["nonexistent", { kind: "unmailbox", name: "user.fred.None" }],
        ["moved", { kind: "expunge", name: INBOX, uniqueid: "another", uids: [1] }],
        [
          "nonexistent",
          { kind: "rename", oldName: "user.fred.None", newName: SUB, partition: "default" },
        ],
      ];
      for (const [reason, command] of table) {
        expect([reason, command.kind, reasonOf(await apply(command))]).toEqual([
          reason,
          command.kind,
          reason,
        ]);
      }
      expect([granted(await place.user("fred")), await allRecords(place, INBOX)]).toEqual(before);
    });

    test("a message with another SHA-1 is told by flush, and the session goes on", async () => {
      await stage(session, message(1), { guid: guidOf(message(2)) });
      expect(reasonOf(await session.flush())).not.toBe("ok");
      const second = record(2);
      expect(reasonOf(await apply(mailbox(stateOf(INBOX, [second]), [second])))).toBe("checksum");
      await fill(INBOX, [record(1)]);
    });

    test("reserve stages what a user's mailboxes hold, and says what is missing", async () => {
      await fill(INBOX, [record(1)]);
      await session.restart();
      const guids = [guidOf(message(9)), guidOf(message(1))];
      const request = { partition: "default", mailboxes: [INBOX], guids };
      expect(granted(await session.reserve(request))).toEqual([guids[0] ?? ""]);
      const records = [record(4, {}, 1)];
      granted(await apply(mailbox(stateOf(SUB, records), records)));
      expect(await bytesOf(place, SUB, records[0] ?? record(4))).toEqual(Buffer.from(message(1)));
    });

    if (!isLog) {
      test("restart forgets what was staged", async () => {
        await stage(session, message(1));
        await session.restart();
        const records = [record(1)];
        expect(reasonOf(await apply(mailbox(stateOf(INBOX, records), records)))).toBe("checksum");
      });
    }

    test("expunge marks records and keeps their modseqs", async () => {
      const state = await fill(INBOX, [record(1), record(2)]);
      granted(
        await apply({ kind: "expunge", name: INBOX, uniqueid: state.uniqueid, uids: [1, 77] }),
      );
      const [first, second] = await allRecords(place, INBOX);
      expect([first?.expunged, first?.modseq, second?.expunged]).toEqual([true, 2n, false]);
    });

    test("rename keeps the uniqueid and the mail, and the old name is free", async () => {
      await fill(INBOX, [record(1)]);
      const state = await fill(SUB, [record(2)]);
      const newName = "user.fred.Other";
      granted(await apply({ kind: "rename", oldName: SUB, newName, partition: "p2" }));
      expect(granted(await place.mailboxes([SUB]))).toEqual([]);
      expect(granted(await place.mailboxes([newName]))[0]).toMatchObject({
        uniqueid: state.uniqueid,
        partition: "p2",
      });
      expect((await allRecords(place, newName)).length).toBe(1);
      await fill(SUB, [record(3)], { uniqueid: "fresh1" });
    });

    test("a mailbox deleted with delay goes below DELETED and stays its owner's", async () => {
      await fill(INBOX, [record(1)]);
      const newName = "DELETED.user.fred.5F3A2B1C";
      granted(await apply({ kind: "rename", oldName: INBOX, newName, partition: "default" }));
      expect(granted(await place.user("fred")).mailboxes.map((box) => box.name)).toEqual([newName]);
    });

    test("unmailbox takes effect at once, and the same mailbox can come again", async () => {
      const state = await fill(SUB, [record(1)]);
      granted(await apply({ kind: "unmailbox", name: SUB }));
      expect(granted(await place.user("fred")).mailboxes).toEqual([]);
      expect(granted(await place.mailboxesByUniqueid([state.uniqueid]))).toEqual([]);
      await fill(SUB, [record(1)]);
      expect((await allRecords(place, SUB)).length).toBe(1);
    });

    test("placeholders of the tree come back as they were", async () => {
      const state = stateOf(SUB, [], {
        type: "ei",
        partition: null,
        acl: null,
        uidvalidity: 0,
        syncCrc: 0,
        syncCrcAnnot: 0,
      });
      granted(await apply(mailbox(state, [])));
      const [found] = granted(await place.user("fred")).mailboxes;
      expect(found).toMatchObject({
        name: SUB,
        type: "ei",
        lastUid: 0,
        partition: null,
        acl: null,
      });
      await fill(SUB, [record(1)]);
      expect((await allRecords(place, SUB)).length).toBe(1);
    });

    test("subscriptions, seen state, quotas, annotations, scripts come and go", async () => {
      const state = await fill(INBOX, [record(1)]);
      const seen = {
        uniqueid: "somebody-elses",
        lastRead: 5,
        lastUid: 6,
        lastChange: 7,
        seenUids: "1:6",
      };
      const quota = { root: INBOX, limits: { STORAGE: 1000, MESSAGE: 5 }, modseq: 4n };
      const script = Buffer.from("keep;\n");
      const commands: ApplyCommand[] = [
        { kind: "sub", userid: "fred", name: SUB },
        { kind: "seen", userid: "fred", seen },
        { kind: "quota", quota },
        { kind: "annotation", name: INBOX, entry: "/comment", userid: "", value: Buffer.from("x") },
        { kind: "sieve", userid: "fred", filename: "a.script", lastUpdate: 99, content: script },
        { kind: "activateSieve", userid: "fred", filename: "a.bc" },
      ];
      for (const command of commands) granted(await apply(command));
      const user = granted(await place.user("fred"));
      expect([user.subscriptions, user.seen, user.quotas]).toEqual([[SUB], [seen], [quota]]);
      expect(user.sieve.map(({ filename, isActive }) => [filename, isActive])).toEqual([
        ["a.script", false],
        ["a.bc", true],
      ]);
      expect(granted(await place.quota(INBOX))).toEqual(quota);
      expect(granted(await place.annotations(INBOX)).map(({ entry }) => entry)).toEqual([
        "/comment",
      ]);
      expect(Buffer.from(granted(await place.sieveScript("fred", "a.script")))).toEqual(script);
      expect(granted(await place.mailboxes([INBOX]))[0]?.uniqueid).toBe(state.uniqueid);
      granted(await apply({ kind: "unuser", userid: "fred" }));
      const gone = granted(await place.user("fred"));
      expect(gone).toEqual({ mailboxes: [], quotas: [], subscriptions: [], seen: [], sieve: [] });
    });

    test("bytecode is kept with its script, and goes when that changes or goes", async () => {
      if (place.bytecode !== "kept") return;
      await fill(INBOX, [record(1)]);
      const send = (filename: string, text: string) =>
        apply({ kind: "sieve", userid: "fred", filename, lastUpdate: 9, content: utf8(text) });
      const isActive = async () => {
        const { sieve } = granted(await place.meta("fred"));
        return Object.fromEntries(sieve.map((file) => [file.filename, file.isActive]));
      };
      for (const [filename, text] of [
        ["a.script", "keep;"],
        ["a.bc", "code"],
        ["a.script", "keep;"],
        ["b.script", "stop;"],
        ["b.bc", "halt"],
      ] as const) {
        granted(await send(filename, text));
      }
      granted(await apply({ kind: "activateSieve", userid: "fred", filename: "a.bc" }));
      const all = { "a.script": false, "b.script": false, "a.bc": true, "b.bc": false };
      expect(await isActive()).toEqual(all);
      expect(granted(await place.sieveScript("fred", "a.bc"))).toEqual(utf8("code"));
      granted(await send("a.script", "discard;"));
      granted(await apply({ kind: "unsieve", userid: "fred", filename: "b.script" }));
      expect(await isActive()).toEqual({ "a.script": false, "a.bc": true }); // a mere mark now
      expect(reasonOf(await place.sieveScript("fred", "a.bc"))).toBe("nonexistent");
    });

    test("names of every kind are somebody's, and each one's own", async () => {
      const names = [
        "user.a^b",
        "user.J\xc3\xb6rg",
        "example.com!user.anne",
        "lists.dev",
        ...(refusesNames ? [] : ["user.100%25"]),
      ];
      const owners: Owner[] = names.map((one) => parseName(one).owner);
      for (const one of names) await fill(one, [record(1)]);
      for (const one of names) expect((await allRecords(place, one)).length).toBe(1);
      if (!place.holds.userList) return;
      const found: Owner[] = [];
      for await (const owner of granted(await place.owners())) found.push(owner);
      const words = (list: readonly Owner[]): string[] =>
        list.map((owner) => JSON.stringify(owner)).sort();
      expect(words(found)).toEqual(words(owners));
      const { mailboxes } = granted(await place.sharedMailboxes("lists"));
      expect(mailboxes.map((box) => box.name)).toEqual(["lists.dev"]);
    });

    if (reopen !== undefined) {
      test("all of it is there after the place was opened anew", async () => {
        await fill(INBOX, [record(1), record(2)]);
        const before = [granted(await place.user("fred")), await allRecords(place, INBOX)];
        await session.close();
        await place.close();
        place = await reopen();
        session = await place.openSession();
        expect([granted(await place.user("fred")), await allRecords(place, INBOX)]).toEqual(before);
      });
    }
  });
}
