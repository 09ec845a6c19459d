import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { AppError } from "../../../src/core/errors.ts";
import type { ApplyCommand } from "../../../src/model/apply.ts";
import { recordsOf } from "../../../src/model/mailbox.ts";
import { refused } from "../../../src/model/outcome.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { createDumpPlace, openDumpPlace } from "../../../src/places/dump/dump_place.ts";
import type { Place, PlaceSession } from "../../../src/places/place.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { initStore } from "../../../src/places/store/store_settings.ts";
import { copyUser } from "../../support/copy_user.ts";
import { countedWork } from "../../support/counted_work.ts";
import { newStore } from "../../support/new_store.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../../support/places.ts";
import { fill, guidOf, message, record, stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { conforms } from "../conformance.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "../example_mail.ts";
import { readsConform } from "../reading_conformance.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

async function stage(session: PlaceSession, bytes: Uint8Array): Promise<void> {
  const size = bytes.length;
  const writer = session.stage({ partition: "default", guid: guidOf(bytes), size });
  await writer.write(bytes);
  await writer.end();
}

function mailbox(name: string, records: readonly MailRecord[]): ApplyCommand {
  return { kind: "mailbox", state: stateOf(name, records), records: recordsOf(records) };
}

/** A dump of two users with one message each, in this order. */
async function smallDump(): Promise<string> {
  const path = `${tempDir("dump")}/small.dlist`;
  const place = createDumpPlace(path);
  for (const [number, userid] of [
    [1, "anne"],
    [2, "bob"],
  ] as const) {
    const session = await place.openSession();
    await stage(session, message(number, 3));
    const one = record(1, { size: message(number, 3).length, guid: guidOf(message(number, 3)) });
    granted(await session.apply(mailbox(`user.${userid}`, [one])));
    granted(await session.apply({ kind: "sub", userid, name: `user.${userid}` }));
    await place.finished?.({ kind: "user", userid }, []);
    await session.close();
  }
  await place.close();
  return path;
}

/** The dump with each sum made anew. */
function withRightSums(dump: string): string {
  let done = "";
  for (const line of dump.split(/(?<=\r\n)/)) {
    const sum = createHash("sha256").update(Buffer.from(done, "latin1")).digest("hex");
    done += line.replace(/^((?:CHECK|END) %\(N \d+ SHA256 )[0-9a-f]{64}/, `$1${sum}`);
  }
  return done;
}

let changed: string | undefined;

/**
 * Who is complete in a dump of these bytes, checked down to the messages; and whether damage is
 * told.
 */
async function survivors(bytes: Uint8Array): Promise<{ users: string[]; told: boolean }> {
  changed ??= `${tempDir("dump")}/changed.dlist`;
  const path = changed;
  writeFileSync(path, bytes);
  let place: Place;
  try {
    place = openDumpPlace(path);
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return { users: [], told: true };
    throw error;
  }
  const users: string[] = [];
  let told = false;
  try {
    for await (const owner of granted(await place.owners())) {
      if (owner.kind === "user") users.push(owner.userid);
    }
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "bad_data") throw error;
    told = true;
  }
  for (const userid of users) await checkUser(place, userid);
  for (const userid of ["anne", "bob"].filter((one) => !users.includes(one))) {
    expect(await place.user(userid)).toMatchObject({ kind: "refused", reason: "damaged" });
  }
  await place.close();
  return { users, told };
}

async function checkUser(place: Place, userid: string): Promise<void> {
  const number = userid === "anne" ? 1 : 2;
  const name = `user.${userid}`;
  const user = granted(await place.user(userid));
  expect(user.subscriptions).toEqual([name]);
  const { state, records } = granted(await place.readMailbox(name));
  const [one] = await recordsIn(records);
  const { uniqueid, partition } = state;
  const address = { mailbox: name, uniqueid, partition, uid: 1, guid: one?.guid ?? "" };
  expect(await bytesOf(place, address)).toEqual(Buffer.from(message(number, 3)));
}

/**
 * Writes a dump of so many commands, each of which changes a little of one owner; gives what it
 * cost.
 */
async function writeMany(path: string, commands: number): Promise<number> {
  const [name, userid] = ["user.anne", "anne"];
  const place = createDumpPlace(path);
  const session = await place.openSession();
  granted(await session.apply(mailbox(name, [])));
  const work = await countedWork(async () => {
    for (let number = 0; number < commands; number += 5) {
      const id = String(number);
      const seen = { uniqueid: id, lastRead: 1, lastUid: 1, lastChange: 1, seenUids: "" };
      const some: ApplyCommand[] = [
        { kind: "sub", userid, name: `${name}.${id}` },
        { kind: "seen", userid, seen },
        { kind: "quota", quota: { root: `${name}.${id}`, limits: { STORAGE: 1 } } },
        { kind: "annotation", name, entry: `/${id}`, userid: "", value: Buffer.from(id) },
        { kind: "expunge", name, uniqueid: stateOf(name, []).uniqueid, uids: [number + 1] },
      ];
      for (const command of some) granted(await session.apply(command));
    }
  });
  await place.finished?.({ kind: "user", userid }, []);
  await place.close();
  return work;
}

readsConform("a dump", {
  open: async () => {
    const path = `${tempDir("dump")}/example.dlist`;
    const written = createDumpPlace(path);
    await putExampleMail(written);
    await written.close();
    return openDumpPlace(path);
  },
  owners: EXAMPLE_OWNERS,
});

conforms("a dump that is being written", {
  open: async () => createDumpPlace(`${tempDir("dump")}/written.dlist`),
  isLog: true,
});

describe("createDumpPlace() and openDumpPlace()", () => {
  test("a user of a store comes through a dump as he was, down to the bytes", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 5);
    fill(store, "user.fred.Sub", 3);
    store.close();
    const source = openStorePlace(root);
    const settle = await source.openSession();
    const userid = "fred";
    for (const command of [
      { kind: "sub", userid, name: "user.fred.Sub" },
      { kind: "quota", quota: { root: "user.fred", limits: { STORAGE: 99 } } },
      { kind: "sieve", userid, filename: "a.script", lastUpdate: 7, content: Buffer.from("keep;") },
    ] as const) {
      granted(await settle.apply(command));
    }
    await settle.close();
    const path = `${tempDir("dump")}/fred.dlist`;
    const dump = createDumpPlace(path);
    const session = await dump.openSession();
    await copyUser("fred", source, session);
    await dump.finished?.({ kind: "user", userid }, []);
    await session.close();
    const written = granted(await dump.user("fred"));
    expect((await recordsIn(granted(await dump.readMailbox("user.fred")).records)).length).toBe(5);
    await dump.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);

    const read = openDumpPlace(path);
    expect(granted(await read.user("fred"))).toEqual(written);
    expect(await ownersIn(read)).toEqual([{ kind: "user", userid: "fred" }]);
    const again = `${tempDir("dump")}/store`;
    initStore(again);
    const target = openStorePlace(again);
    const restore = await target.openSession();
    await copyUser("fred", read, restore);
    expect(granted(await target.user("fred"))).toEqual(granted(await source.user("fred")));
    for (const name of ["user.fred", "user.fred.Sub"]) {
      const [before, after] = await Promise.all(
        [source, target].map((place) => place.readMailbox(name).then(granted)),
      );
      expect(await recordsIn((after as NonNullable<typeof after>).records)).toEqual(
        await recordsIn((before as NonNullable<typeof before>).records),
      );
    }
    await restore.close();
    for (const place of [source, target, read]) await place.close();
  });

  test("a dump cut at any byte holds the owners complete before the cut", async () => {
    const whole = readFileSync(await smallDump());
    const text = whole.toString("latin1");
    const [anneDone, bobDone] = ["anne", "bob"].map(
      (userid) => text.indexOf("\r\n", text.indexOf(`USER ${userid})`)) + 2,
    ) as [number, number];
    expect(await survivors(whole)).toEqual({ users: ["anne", "bob"], told: false });
    for (let at = 0; at < whole.length; at++) {
      const users = at >= bobDone ? ["anne", "bob"] : at >= anneDone ? ["anne"] : [];
      expect({ at, ...(await survivors(whole.subarray(0, at))) }).toEqual({
        at,
        users,
        told: true,
      });
    }
  });

  test("a dump with any byte altered holds the owners complete before it", async () => {
    const whole = readFileSync(await smallDump());
    const text = whole.toString("latin1");
    const [anneDone, bobDone] = ["anne", "bob"].map(
      (userid) => text.indexOf("\r\n", text.indexOf(`USER ${userid})`)) + 2,
    ) as [number, number];
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      const users = at >= bobDone ? ["anne", "bob"] : at >= anneDone ? ["anne"] : [];
      expect({ at, ...(await survivors(bytes)) }).toEqual({ at, users, told: true });
    }
  });

  test("a command or record that cannot be read is damage, though the sums are right", async () => {
    const text = readFileSync(await smallDump()).toString("latin1");
    const bobs = text.indexOf("APPLY MAILBOX", text.indexOf("USER anne)"));
    for (const [from, to] of [
      ["(UID 1", "(UID x"],
      ["UNIQUEID", "UNIQUEIX"],
      ["APPLY MAILBOX", "APPLY MAILBIX"],
    ] as const) {
      const changed = text.slice(0, bobs) + text.slice(bobs).replace(from, to);
      expect(changed).not.toBe(text);
      const bytes = Buffer.from(withRightSums(changed), "latin1");
      expect(await survivors(bytes)).toEqual({ users: ["anne"], told: true });
    }
    expect(withRightSums(text)).toBe(text);
  });

  test("commands of any kind and order leave in a dump what they leave in memory", async () => {
    const command = fc.oneof(
      fc.record({ kind: fc.constantFrom("sub" as const, "unsub" as const), box: fc.nat(3) }),
      fc.record({ kind: fc.constant("mailbox" as const), box: fc.nat(3), uids: fc.nat(3) }),
      fc.record({ kind: fc.constant("unmailbox" as const), box: fc.nat(3) }),
      fc.record({ kind: fc.constant("rename" as const), box: fc.nat(3), to: fc.nat(6) }),
      fc.record({ kind: fc.constant("expunge" as const), box: fc.nat(3) }),
    );
    type Made = typeof command extends fc.Arbitrary<infer Value> ? Value : never;
    const check = async (commands: readonly Made[]) => {
      const path = `${tempDir("dump")}/any.dlist`;
      const dump = createDumpPlace(path);
      const session = await dump.openSession();
      for (const number of [1, 2, 3]) await stage(session, message(number));
      for (const one of commands) {
        const name = `user.fred.${one.box}`;
        const uniqueid = stateOf(name, []).uniqueid;
        const records = "uids" in one ? [1, 2, 3].slice(0, one.uids).map((uid) => record(uid)) : [];
        if (one.kind === "mailbox") await session.apply(mailbox(name, records));
        else if (one.kind === "unmailbox") await session.apply({ kind: "unmailbox", name });
        else if (one.kind === "expunge") {
          await session.apply({ kind: "expunge", name, uniqueid, uids: [1] });
        } else if (one.kind === "rename") {
          const newName = `user.fred.${one.to}`;
          const partition = "p";
          await session.apply({ kind: "rename", oldName: name, newName, partition });
        } else await session.apply({ kind: one.kind, userid: "fred", name });
      }
      await dump.finished?.({ kind: "user", userid: "fred" }, []);
      await session.close();
      const before = granted(await dump.user("fred"));
      const recordsOfAll = async (place: Place) =>
        Promise.all(
          before.mailboxes.map(async ({ name }) =>
            recordsIn(granted(await place.readMailbox(name)).records),
          ),
        );
      const written = await recordsOfAll(dump);
      await dump.close();
      const read = openDumpPlace(path);
      expect(granted(await read.user("fred"))).toEqual(before);
      expect(await recordsOfAll(read)).toEqual(written);
      await read.close();
    };
    await fc.assert(fc.asyncProperty(fc.array(command, { maxLength: 12 }), check), {
      ...{ seed: 20260101, numRuns: isLong ? 500 : 25 },
    });
  });

  test("a message that is not what its GUID says, or was not sent, is refused", async () => {
    const dump = createDumpPlace(`${tempDir("dump")}/wrong.dlist`);
    const session = await dump.openSession();
    const size = message(1).length;
    const writer = session.stage({ partition: "default", guid: guidOf(message(2)), size });
    await writer.write(message(1));
    await writer.end();
    expect(await session.flush()).toMatchObject({ reason: "damaged" });
    expect(await session.apply(mailbox("user.fred", [record(2)]))).toMatchObject({
      ...{ kind: "refused", reason: "checksum" },
    });
    await session.close();
    await dump.close();
  });

  test("a keyword NIL comes back as a keyword", async () => {
    const path = `${tempDir("dump")}/nil.dlist`;
    const place = createDumpPlace(path);
    const session = await place.openSession();
    const one = record(1, { flags: ["\\Seen", "NIL", "$a"], expunged: true });
    granted(await session.apply(mailbox("user.anne", [one])));
    await place.finished?.({ kind: "user", userid: "anne" }, []);
    await place.close();
    expect(readFileSync(path, "latin1")).toContain('FLAGS (\\Expunged \\Seen "NIL" $a)');
    const dump = openDumpPlace(path);
    const { records } = granted(await dump.readMailbox("user.anne"));
    expect((await recordsIn(records))[0]?.flags).toEqual(["\\Seen", "NIL", "$a"]);
    await dump.close();
  });

  test("what could not be read again is refused by name, and leaves the dump sound", async () => {
    const path = `${tempDir("dump")}/sound.dlist`;
    const place = createDumpPlace(path);
    const session = await place.openSession();
    const spoilt = record(9, { flags: ["a)b"], expunged: true });
    expect(await session.apply(mailbox("user.anne", [spoilt]))).toMatchObject({
      reason: "notSupported",
      text: 'Mailbox user.anne, message 9: the keyword "a)b" is no atom',
    });
    // Each may be, and all of them are more than a reader holds of one line.
    const value = new Uint8Array(8 * 1024 * 1024);
    const annotations = Array.from({ length: 33 }, (_, number) => {
      return { entry: `/x${number}`, userid: "", modseq: 1n, value };
    });
    const huge = mailbox("user.anne", [record(1, { annotations, expunged: true })]);
    expect(await session.apply(huge)).toMatchObject({
      reason: "notSupported",
      text: expect.stringContaining("user.anne could not be read back"),
    });
    granted(await session.apply(mailbox("user.anne", [])));
    await stage(session, message(1, 3));
    await place.finished?.({ kind: "user", userid: "anne" }, []);
    await place.close();
    const dump = openDumpPlace(path);
    expect(await ownersIn(dump)).toEqual([{ kind: "user", userid: "anne" }]);
    await dump.close();
  });

  test("a dump that has changed on disk before its END gets no name", async () => {
    const path = `${tempDir("dump")}/torn.dlist`;
    const place = createDumpPlace(path);
    const session = await place.openSession();
    await stage(session, message(1, 3));
    const bytes = readFileSync(`${path}.part`);
    const at = bytes.indexOf("Subject");
    expect(at).toBeGreaterThan(0);
    const fd = openSync(`${path}.part`, "r+");
    writeSync(fd, "X", at);
    closeSync(fd);
    const failed = await place.close().catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "io", message: expect.stringContaining("read back") });
    expect([existsSync(path), existsSync(`${path}.part`)]).toEqual([false, false]);
  });

  test("a compressed dump is told as such", () => {
    const path = `${tempDir("dump")}/packed.dlist.gz`;
    writeFileSync(path, gzipSync("DUMP %(VERSION 1 PROGRAM Bobbin)\r\n"));
    const opened = Promise.try(() => openDumpPlace(path)).catch((error: unknown) => error);
    const hint = expect.stringContaining("gunzip -c");
    return expect(opened).resolves.toMatchObject({ code: "bad_data", hint });
  });

  test("a user whose session was broken off is not in the dump, and it says so", async () => {
    const path = `${tempDir("dump")}/broken.dlist`;
    const dump = createDumpPlace(path);
    for (const userid of ["anne", "bob"]) {
      const session = await dump.openSession();
      granted(await session.apply({ kind: "sub", userid, name: `user.${userid}` }));
      if (userid === "anne") await dump.finished?.({ kind: "user", userid }, []);
      await session.close();
    }
    await dump.close();
    const read = openDumpPlace(path);
    expect(granted(await read.user("anne")).subscriptions).toEqual(["user.anne"]);
    expect(await read.user("bob")).toMatchObject({ kind: "refused", reason: "damaged" });
    expect(ownersIn(read)).rejects.toThrow(/not finished for bob/);
    await read.close();
  });

  test("what could not be read of a user is unreadable in the dump", async () => {
    const path = `${tempDir("dump")}/missing.dlist`;
    const dump = createDumpPlace(path);
    const refusal = refused("damaged", "rotten");
    const owner = { kind: "user", userid: "fred" } as const;
    const many = Array.from({ length: 120 }, (_, at) => ({
      ...{ name: `user.fred.${"x".repeat(400)}${at}`, uniqueid: `u${at}`, refusal },
    }));
    await dump.finished?.(owner, [{ name: "a.script", refusal }, ...many]);
    await dump.finished?.({ kind: "shared", toplevel: "news" }, many.slice(0, 1));
    await dump.close();
    const read = openDumpPlace(path);
    expect(await ownersIn(read)).toHaveLength(2);
    const { mailboxes, unreadable = [] } = granted(await read.user("fred"));
    expect([mailboxes, unreadable.length]).toEqual([[], 101]);
    expect(unreadable[0]).toMatchObject({ name: "a.script", refusal: { reason: "damaged" } });
    expect(unreadable[1]).toMatchObject({ uniqueid: "u0" });
    // There is no room for all: the last stands for the others.
    expect(unreadable.at(-1)).not.toHaveProperty("uniqueid");
    expect(granted(await read.sharedMailboxes("news")).unreadable).toHaveLength(1);
    await read.close();
  });

  test("createDumpPlace() replaces only a dump, openDumpPlace() reads only dumps", async () => {
    const path = await smallDump();
    const before = readFileSync(path);
    const another = createDumpPlace(path);
    await another.close();
    expect(readFileSync(path)).toEqual(before);
    const third = createDumpPlace(path);
    third.earlier?.replace();
    await third.close();
    expect(readFileSync(path)).not.toEqual(before);
    writeFileSync(path, before);
    expect(() => openDumpPlace(`${path}.none`)).toThrow(/ENOENT/);
    const other = `${tempDir("dump")}/other`;
    writeFileSync(other, "From: somebody\r\n\r\n");
    expect(() => createDumpPlace(other)).toThrow(/there is such a file already/);
    expect(() => openDumpPlace(other)).toThrow(/is no dump/);
    const newer = readFileSync(path, "latin1").replace("VERSION 1", "VERSION 2");
    writeFileSync(other, newer, "latin1");
    expect(() => openDumpPlace(other)).toThrow(/is no dump: expected VERSION as 1/);
  });

  test("writing and reading cost twice as much for twice as many lines of one owner", async () => {
    const path = `${tempDir("dump")}/many.dlist`;
    const costOf = async (lines: number): Promise<[written: number, read: number]> => {
      rmSync(path, { force: true });
      const written = await writeMany(path, lines / 2); // and as many CHECKs
      const read = await countedWork(async () => {
        const place = openDumpPlace(path);
        const anne = granted(await place.user("anne"));
        expect(anne.subscriptions).toHaveLength(lines / 10);
        expect(anne.mailboxes[0]?.annotations).toHaveLength(lines / 10);
        await place.close();
      });
      return [written, read];
    };
    const lines = isLong ? 50_000 : 5000;
    const [half, whole] = [await costOf(lines / 2), await costOf(lines)];
    for (const at of [0, 1]) expect(whole[at]).toBeLessThan(2.2 * (half[at] ?? 0));
  });
});
