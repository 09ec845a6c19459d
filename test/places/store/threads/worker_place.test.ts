import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { BugError } from "../../../../src/core/assert.ts";
import type { ApplyCommand } from "../../../../src/model/apply.ts";
import { recordsOf } from "../../../../src/model/mailbox.ts";
import type { MailRecord } from "../../../../src/model/record.ts";
import type { PlaceSession, WritablePlace } from "../../../../src/places/place.ts";
import { openCatalogue } from "../../../../src/places/store/catalogue/catalogue.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { openWorkerPlace } from "../../../../src/places/store/threads/worker_place.ts";
import { bytesOf, granted, recordsIn } from "../../../support/places.ts";
import { guidOf, message, record, stateOf } from "../../../support/store_fixture.ts";
import { FATAL_GUID, storeThreadUrl } from "../../../support/store_thread/jobs.ts";
import { verifyStore } from "../../../support/store_verify.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { lowerSchema } from "../../../support/unsettled_store.ts";
import { conforms } from "../../conformance.ts";

const url = await storeThreadUrl();
let root = "";
let place: WritablePlace | undefined;

function openEmpty(threads = 2): WritablePlace {
  root = `${tempDir("threads")}/store`;
  initStore(root);
  place = openWorkerPlace(root, { url, threads });
  return place;
}

conforms("a store with threads", {
  open: async () => {
    root = `${tempDir("threads")}/store`;
    initStore(root);
    return openWorkerPlace(root, { url, threads: 2 });
  },
  reopen: () => Promise.resolve(openWorkerPlace(root, { url })),
  refusesNames: true,
});

afterEach(async () => {
  await place?.close();
  place = undefined;
});

async function stage(session: PlaceSession, bytes: Uint8Array, guid = guidOf(bytes)) {
  const writer = session.stage({ partition: "default", guid, size: bytes.length });
  await writer.write(bytes);
  await writer.end();
}

async function stageAll(session: PlaceSession, records: readonly MailRecord[]): Promise<void> {
  for (const { uid } of records) await stage(session, message(uid));
  granted(await session.flush());
}

function applyOf(name: string, records: readonly MailRecord[]): ApplyCommand {
  return { kind: "mailbox", state: stateOf(name, records), records: recordsOf(records) };
}

function records(count: number): MailRecord[] {
  return Array.from({ length: count }, (_, at) => record(at + 1));
}

/** Brings a mailbox in a session of its own. */
async function bring(to: WritablePlace, name: string, count: number): Promise<void> {
  const session = await to.openSession();
  await stageAll(session, records(count));
  granted(await session.apply(applyOf(name, records(count))));
  await session.close();
}

async function readerOf(of: WritablePlace, userid: string): Promise<string> {
  return Buffer.from(granted(await of.sieveScript(userid, "thread"))).toString();
}

async function threadOf(of: WritablePlace, userid: string): Promise<string> {
  const session = await of.openSession();
  const outcome = await session.apply({ kind: "unsub", userid, name: "thread" });
  await session.close();
  return outcome.kind === "refused" ? outcome.text : "none";
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const stagingFolders = (): string[] => readdirSync(join(root, ".staging"));

describe("openWorkerPlace()", () => {
  test("throws at once where there is no store", () => {
    expect(() => openWorkerPlace(tempDir("none"), { url })).toThrow(/there is no bobbin.json/);
  });

  test("a user stays on one thread while work is under way, and later too", async () => {
    const store = openEmpty();
    const together = await Promise.all([1, 2, 3, 4].map(() => threadOf(store, "fred")));
    expect(new Set(together).size).toBe(1);
    expect(await threadOf(store, "fred")).toBe(together[0] ?? "");
  });

  test("users at work together are spread over the threads, wherever their homes are", async () => {
    const store = openEmpty(3);
    for (let round = 0; round < 3; round++) {
      const users = [1, 2, 3].map((number) => `user${round}${number}`);
      const threads = await Promise.all(users.map((user) => threadOf(store, user)));
      expect(new Set(threads).size).toBe(3);
    }
  });

  test("threads that write are begun as needed, and reading needs none of them", async () => {
    const store = openEmpty(8);
    const one = await threadOf(store, "a");
    const two = await threadOf(store, "b");
    const alone: string[] = [];
    for (const user of ["c", "d", "e", "f", "g"]) alone.push(await threadOf(store, user));
    expect(new Set([one, two, ...alone]).size).toBeLessThan(3);
    const users = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const writers = Promise.all(users.map((user) => threadOf(store, user)));
    const readers = await Promise.all(users.map((user) => readerOf(store, user)));
    const writing = new Set(await writers);
    expect(writing.size).toBe(8);
    expect(readers.filter((thread) => writing.has(thread))).toEqual([]);
  });

  test("many sessions write one user and many users at once, and nothing is lost", async () => {
    const store = openEmpty();
    const names = [1, 2, 3, 4, 5, 6].flatMap((number) => [
      `user.fred.Box${number}`,
      `user.other${number}`,
    ]);
    await Promise.all(names.map((name) => bring(store, name, 5)));
    expect(granted(await store.user("fred")).mailboxes.length).toBe(6);
    expect(granted(await store.mailboxes(names)).length).toBe(names.length);
    const uniqueids = names.map((name) => stateOf(name, []).uniqueid);
    const found = granted(await store.mailboxesByUniqueid([...uniqueids, "nobody", "../evil"]));
    expect(found.map(({ name }) => name).sort()).toEqual([...names].sort());
    await store.close();
    place = undefined;
    expect(Object.keys(verifyStore(root)).sort()).toEqual([...names].sort());
    expect(stagingFolders()).toEqual([]);
  });

  test("a thread that raises the schema of a catalogue says so first", async () => {
    const made = openEmpty();
    await bring(made, "user.fred", 1);
    await made.close();
    lowerSchema(join(root, "user/f/fred/.catalogue.sqlite"));
    const told: string[] = [];
    place = openWorkerPlace(root, { url, tell: (text) => told.push(text) });
    expect(granted(await place.user("fred")).mailboxes.length).toBe(1);
    expect(told).toEqual([expect.stringMatching(/^Raising the schema of \.catalogue\.sqlite in /)]);
  });

  test("a writer in another process is waited for", async () => {
    const store = openEmpty();
    await bring(store, "user.fred", 1);
    const catalogue = openCatalogue(join(root, "user/f/fred/.catalogue.sqlite"), {
      create: false,
      access: "write",
    }).current();
    catalogue.run("BEGIN IMMEDIATE");
    const session = await store.openSession();
    let isOver = false;
    const applying = session.apply({ kind: "sub", userid: "fred", name: "user.fred" });
    void applying.then(() => {
      isOver = true;
    });
    // Others, and the same user's reading, go on meanwhile.
    await bring(store, "user.anne", 1);
    expect(granted(await store.user("fred")).mailboxes.length).toBe(1);
    expect(isOver).toBe(false);
    catalogue.run("COMMIT");
    catalogue.close();
    granted(await applying);
    expect(granted(await store.meta("fred")).subscriptions).toEqual(["user.fred"]);
    await session.close();
  });

  test("a large message comes in pieces; leaving early leaves no file open", async () => {
    const store = openEmpty();
    const bytes = message(1, 3_000_000);
    const session = await store.openSession();
    await stage(session, bytes);
    granted(await session.flush());
    const one = record(1, { guid: guidOf(bytes), size: bytes.length });
    granted(await session.apply(applyOf("user.fred", [one])));
    const { uniqueid } = stateOf("user.fred", []);
    const address = {
      ...{ mailbox: "user.fred", uniqueid, partition: null },
      ...{ uid: 1, guid: one.guid },
    };
    expect(await bytesOf(store, address)).toEqual(Buffer.from(bytes));
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    for await (const _ of granted(await store.message(address)).chunks()) break;
    // What ran before in this process may close files of its own meanwhile.
    expect(open()).toBeLessThanOrEqual(before);
    await session.close();
  });
});

describe("a thread that is lost", () => {
  test("fails what it was doing with the reason, and the next request has another", async () => {
    const store = openEmpty(1);
    await bring(store, "user.fred", 2);
    const error = await failureOf(store.sieveScript("fred", "die"));
    expect(error).toBeInstanceOf(BugError);
    expect((error as Error).message).toContain("planted death");
    expect(granted(await store.user("fred")).mailboxes.length).toBe(1);
  });

  test("takes what was staged with it: flush says so, nothing is applied without it", async () => {
    const store = openEmpty();
    const session = await store.openSession();
    await stageAll(session, records(2));
    const before = stagingFolders();
    await stage(session, message(3), FATAL_GUID);
    await stage(session, message(4));
    expect(await failureOf(session.flush())).toBeInstanceOf(BugError);
    const refused = await session.apply(applyOf("user.fred", records(2)));
    expect(refused).toMatchObject({ kind: "refused", reason: "checksum" });
    await stageAll(session, records(2));
    granted(await session.apply(applyOf("user.fred", records(2))));
    expect(stagingFolders().filter((name) => before.includes(name))).toEqual([]);
    await session.close();
    expect(stagingFolders()).toEqual([]);
  });

  test("is noticed by other sessions too, whose messages it had", async () => {
    const store = openEmpty();
    const [victim, culprit] = [await store.openSession(), await store.openSession()];
    await stageAll(victim, records(2));
    await stage(culprit, message(3), FATAL_GUID);
    expect(await failureOf(culprit.flush())).toBeInstanceOf(BugError);
    const refused = await victim.apply(applyOf("user.fred", records(2)));
    expect(refused).toMatchObject({ kind: "refused", reason: "checksum" });
    await victim.restart();
    await stageAll(victim, records(2));
    granted(await victim.apply(applyOf("user.fred", records(2))));
  });
});

describe("close()", () => {
  test("lets what is under way end, and refuses what comes later", async () => {
    const store = openEmpty();
    const session = await store.openSession();
    const many = records(300);
    await stageAll(session, many);
    const applying = session.apply(applyOf("user.fred", many));
    await Bun.sleep(1);
    const closing = store.close();
    granted(await applying);
    await closing;
    expect(await failureOf(store.user("fred"))).toMatchObject({ code: "io" });
    place = openWorkerPlace(root, { url });
    const { records: found } = granted(await place.readMailbox("user.fred"));
    expect((await recordsIn(found)).length).toBe(300);
  });
});
