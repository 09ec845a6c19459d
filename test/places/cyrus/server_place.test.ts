/** Whole servers of the fixtures as places: what their databases add to their mailboxes. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { latin1 } from "../../../src/core/bytes.ts";
import { AppError } from "../../../src/core/errors.ts";
import { cyrusPlace } from "../../../src/places/cyrus/cyrus_place.ts";
import { pathsOf } from "../../../src/places/cyrus/listed_mailboxes.ts";
import { serverSource } from "../../../src/places/cyrus/server_source.ts";
import type { Place } from "../../../src/places/place.ts";
import { lockMailbox } from "../../../src/storage/file_locks.ts";
import {
  changeDatabase,
  changeMailboxes,
  type TestServer,
  testServer,
} from "../../support/cyrus_server.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { allMailboxes, bytesOf, granted, ownersIn, recordsIn } from "../../support/places.ts";
import { readsConform } from "../reading_conformance.ts";

const SERVERS = [
  "uuid-paths",
  "legacy-paths",
  "conversations-3.6",
  "uuid-paths-3.12",
  "uuid-paths-master",
] as const;

const servers = new Map<string, TestServer>();

/** The server of a fixture, unpacked once and not to be changed. */
function soundServer(name: string): TestServer {
  const server = servers.get(name) ?? testServer(name);
  servers.set(name, server);
  return server;
}

function placeOf({ conf }: Pick<TestServer, "conf">): Place {
  return cyrusPlace(serverSource(conf));
}

/** What `ctl_mboxlist -d` said of a fixture's mailboxes, without tombstones. */
function listed(fixture: string) {
  const path = fixturePath(`cyrus-spools/${fixture}.mailboxes.json`);
  const all = JSON.parse(readFileSync(path, "utf8")) as Record<string, Record<string, string>>;
  return new Map(Object.entries(all).filter(([, { mbtype = "" }]) => !mbtype.includes("d")));
}

for (const [fixture, third] of [
  ["legacy-paths", "dan"],
  ["conversations-3.6", "cat"],
  ["uuid-paths-3.12", "cat"],
  ["uuid-paths-master", "cat"],
] as const) {
  const users = ["ann", "bob", third].map((userid) => ({ kind: "user", userid }) as const);
  readsConform(`a Cyrus server (${fixture})`, {
    open: () => placeOf(soundServer(fixture)),
    owners: [...users, { kind: "shared", toplevel: "shared" }],
  });
}

test("a Cyrus server is read under its own locks where that is wanted", async () => {
  const { conf } = testServer("uuid-paths");
  const source = serverSource(conf, { lock: true });
  const [locked, place] = [cyrusPlace(source), placeOf({ conf })];
  const [before, free] = await Promise.all([
    place.readMailbox("user.ann"),
    locked.readMailbox("user.ann"),
  ]);
  expect(granted(free).state).toEqual(granted(before).state);
  const mailbox = (await source.directory.get()).named("user.ann");
  const index = mailbox && pathsOf(mailbox)?.index;
  const held = await lockMailbox({ user: [], mailbox: undefined, index: index ?? "" }, "write");
  const reading = locked.readMailbox("user.ann").then(({ kind }) => kind);
  expect(await Promise.race([reading, Bun.sleep(50).then(() => "waits")])).toBe("waits");
  held?.release();
  expect(await reading).toBe("ok");
  await Promise.all([locked.close(), place.close()]);
});

test("a Cyrus server says which mailboxes were deleted, and when", async () => {
  const place = placeOf(soundServer("cyrus-3.10"));
  const found = await place.deletions?.({ kind: "user", userid: "ann" });
  const gone = found?.find(({ name }) => name === "user.ann.gone2");
  expect([found?.length, gone]).toEqual([
    4,
    {
      name: "user.ann.gone2",
      uniqueid: "4f154870-0fad-4606-8d98-ded0a65f7896",
      deleted: 1_796_051_426_000,
    },
  ]);
  expect(await place.deletions?.({ kind: "user", userid: "bob" })).toEqual([]);
  await place.close();
});

describe("a server with a default domain", () => {
  const settings = { virtdomains: "userid", defaultdomain: "example.com" };

  test("has its users and mailboxes in the domain too, and tells of them as asked", async () => {
    const place = placeOf(testServer("uuid-paths", settings));
    const short = granted(await place.user("ann"));
    const long = granted(await place.user("ann@example.com"));
    const inDomain = (name: string) => `example.com!${name}`;
    const named = ({ name, uniqueid, quotaroot }: (typeof long.mailboxes)[number]) => [
      ...[name, uniqueid, quotaroot],
    ];
    expect(long.mailboxes.length).toBeGreaterThan(5);
    expect(long.mailboxes.map(named)).toEqual(
      short.mailboxes.map(({ name, uniqueid, quotaroot }) => [
        ...[inDomain(name), uniqueid, quotaroot && inDomain(quotaroot)],
      ]),
    );
    expect(long.subscriptions).toEqual(short.subscriptions.map(inDomain));
    expect(long.quotas.map(({ root }) => root)).toEqual(["example.com!user.ann"]);
    expect([long.seen, long.sieve]).toEqual([short.seen, short.sieve]);
    expect(granted(await place.meta("ann@example.com")).subscriptions).toEqual(long.subscriptions);
    const [both] = [granted(await place.mailboxes(["example.com!user.ann", "user.bob"]))];
    expect(both.map(({ name }) => name)).toEqual(["example.com!user.ann", "user.bob"]);
    const { state, records } = granted(await place.readMailbox("example.com!user.ann"));
    const [first] = await recordsIn(records);
    expect([state.name, state.quotaroot]).toEqual(Array(2).fill("example.com!user.ann"));
    const { uid = 0, guid = "" } = first ?? {};
    const address = { mailbox: state.name, uniqueid: state.uniqueid, uid, guid };
    expect((await bytesOf(place, { ...address, partition: "default" })).length).toBeGreaterThan(0);
    const root = granted(await place.quota("example.com!user.ann"))?.root;
    expect(root).toBe("example.com!user.ann");
    // Another domain is nobody's, and owners are listed as the server keeps them.
    expect(granted(await place.user("ann@example.org")).mailboxes).toEqual([]);
    expect(await ownersIn(place)).toContainEqual({ kind: "user", userid: "ann" });
    await place.close();
  });

  test("means the user with the domain where its list has both", async () => {
    const server = testServer("uuid-paths", settings);
    changeDatabase(server.conf.mailboxesDb.path, (records) => {
      const record = records.get("Nuser\x1fbob") ?? expect.unreachable();
      records.delete("Nuser\x1fbob");
      records.set("Nexample.com\x1duser\x1fann", record);
    });
    const place = placeOf(server);
    expect(await ownersIn(place)).toContainEqual({ kind: "user", userid: "ann@example.com" });
    const { mailboxes, unreadable = [] } = granted(await place.user("ann@example.com"));
    const names = [...mailboxes, ...unreadable].map(({ name }) => name);
    expect(names).toEqual(["example.com!user.ann"]);
    await place.close();
  });
});

describe("serverSource()", () => {
  test("tells of shared mailboxes before anybody has asked for a user", async () => {
    const place = placeOf(soundServer("legacy-paths"));
    const { mailboxes } = granted(await place.sharedMailboxes("shared"));
    expect(mailboxes.map(({ name }) => name)).toContain("shared");
  });

  for (const fixture of SERVERS) {
    test(`knows of the mailboxes of ${fixture} what mailboxes.db does`, async () => {
      const expected = listed(fixture);
      const found = await allMailboxes(placeOf(soundServer(fixture)));
      expect(found.map(({ name }) => name).sort()).toEqual([...expected.keys()].sort());
      for (const state of found) {
        const entry = expected.get(state.name) ?? expect.unreachable();
        const acl = Object.entries(entry["acl"] ?? {}).map(([id, rights]) => `${id}\t${rights}\t`);
        expect(state).toMatchObject({
          uniqueid: entry["uniqueid"] ?? "",
          acl: acl.join(""),
          uidvalidity: Number(entry["uidvalidity"]),
          foldermodseq: BigInt(entry["foldermodseq"] ?? 0),
          createdmodseq: BigInt(entry["createdmodseq"] ?? 0),
          partition: "default",
        });
        expect(state.type ?? "e").toBe((entry["mbtype"] ?? "").replace("l", ""));
        expect(state.jmapid).toBe(entry["jmapId"]);
      }
    });

    test(`has what the users of ${fixture} have beside mailboxes`, async () => {
      const place = placeOf(soundServer(fixture));
      const ann = granted(await place.user("ann"));
      expect(ann.subscriptions).toEqual(["user.ann", "user.ann.Sent", "user.ann.Two Words"]);
      expect(ann.quotas).toMatchObject([{ root: "user.ann", limits: { STORAGE: 1_000_000 } }]);
      expect(ann.sieve.map(({ filename, isActive }) => [filename, isActive])).toEqual([
        ["main.script", false],
        ["main.bc", true],
      ]);
      const inbox = ann.mailboxes.find(({ name }) => name === "user.ann");
      const { seen } = granted(await place.meta("bob"));
      expect(seen).toMatchObject([{ uniqueid: inbox?.uniqueid ?? "", seenUids: "1:4" }]);
      const sent = ann.mailboxes.find(({ name }) => name === "user.ann.Sent");
      const texts = sent?.annotations.map(({ entry, userid, value }) => [
        entry,
        userid,
        latin1(value),
      ]);
      expect(texts?.sort()).toEqual([
        ["/comment", "", "our Sent"],
        ["/comment", "ann", "my Sent"],
        ["/specialuse", "ann", "\\Sent"],
      ]);
      expect(granted(await place.user("nobody"))).toEqual({
        ...{ mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] },
      });
    });
  }

  test("tells how far conversations have changed, where there are any", async () => {
    for (const fixture of ["conversations-3.6", "uuid-paths-3.12", "uuid-paths-master"]) {
      const { mailboxes } = granted(await placeOf(soundServer(fixture)).user("ann"));
      const live = mailboxes.filter(({ name }) => !name.startsWith("DELETED."));
      expect(live.every(({ xconvmodseq = 0n }) => xconvmodseq > 0n)).toBe(true);
      const deleted = mailboxes.filter(({ name }) => name.startsWith("DELETED."));
      expect(deleted.map((state) => "xconvmodseq" in state)).toEqual([false]);
    }
    const { mailboxes } = granted(await placeOf(soundServer("uuid-paths")).user("ann"));
    expect(mailboxes.some((state) => "xconvmodseq" in state)).toBe(false);
  });

  test("says createdmodseq and savedate of every index version", async () => {
    const place = placeOf(soundServer("index-versions-master"));
    const asField: Record<number, string> = {};
    for (const { name } of await allMailboxes(place)) {
      const { state, records } = granted(await place.readMailbox(name));
      for (const { createdmodseq, savedate, annotations } of await recordsIn(records)) {
        const names = annotations.map(({ entry }) => entry.replace(/.*\//, "")).sort();
        const fields = [
          ...(createdmodseq > 0n ? ["createdmodseq"] : []),
          ...(savedate > 0 ? ["savedate"] : []),
        ];
        const all = [...names, ...fields].filter((one) => /createdmodseq|savedate/.test(one));
        expect(all.sort()).toEqual(["createdmodseq", "savedate"]);
        asField[state.version ?? 0] = fields.join(" ");
      }
    }
    const [none, one, both] = ["", "savedate", "createdmodseq savedate"];
    expect(asField).toEqual({
      ...{ 6: none, 7: none, 8: none, 9: none, 10: none, 12: none, 13: none, 14: none, 15: one },
      ...{ 16: both, 17: both, 18: both, 19: both, 20: both },
    });
  });
});

describe("an older server, or one with more partitions", () => {
  test("finds messages in the archive and cyrus.* files in the metapartition", async () => {
    const server = testServer("uuid-paths", {
      archive_enabled: "yes",
      "archivepartition-default": "@DIR@/archive",
      "metapartition-default": "@DIR@/meta",
      metapartition_files: "header index annotations",
    });
    const box = "uuid/u/4/u4pduq8e674pzpldk63mek5z";
    const move = (to: string, files: readonly string[]) => {
      mkdirSync(join(server.root, to, box), { recursive: true });
      for (const file of files) {
        renameSync(join(server.root, "spool", box, file), join(server.root, to, box, file));
      }
    };
    move("archive", ["1."]);
    move("meta", ["cyrus.header", "cyrus.index", "cyrus.annotations"]);
    const place = placeOf(server);
    const { state, records } = granted(await place.readMailbox("user.ann"));
    for (const { uid, guid, expunged } of await recordsIn(records)) {
      if (expunged) continue;
      const { uniqueid, partition } = state;
      const address = { mailbox: "user.ann", uniqueid, partition, uid, guid };
      expect(Bun.SHA1.hash(await bytesOf(place, address), "hex")).toBe(guid);
    }
  });

  test("reads mailboxes.db as it was until 2.4, with uniqueids from cyrus.header", async () => {
    const server = testServer("legacy-paths");
    changeDatabase(server.conf.mailboxesDb.path, (records) => {
      records.clear();
      records.set("user.ann", "0 default ann\tlrswipkxtecda\t");
      records.set("user.ann.Sent", "0 default ann\tlrswipkxtecda\tanyone\tlr\t");
      records.set("user.ann.elsewhere", "1 other.example.com!default ann\tlrs\t");
    });
    const place = placeOf(server);
    const { mailboxes, unreadable } = granted(await place.user("ann"));
    expect(unreadable).toBeUndefined();
    expect(mailboxes.map(({ name }) => name)).toEqual(["user.ann", "user.ann.Sent"]);
    const [sent] = granted(await place.mailboxesByUniqueid(["uevewneyu70q2ug8d331l67b"]));
    expect(sent).toMatchObject({ name: "user.ann.Sent", partition: "default" });
    expect(sent?.acl).toBe("ann\tlrswipkxtecda\tanyone\tlr\t");
    expect(sent && "foldermodseq" in sent).toBe(false);
  });
});

async function refusalOf(outcome: Promise<{ readonly kind: string }>) {
  const result = (await outcome) as { kind: string; reason?: string; text?: string };
  return result.kind === "refused" ? `${result.reason}: ${result.text}` : result.kind;
}

/** Flips a bit in the value that holds `text`. */
function damage(path: string, text: string): void {
  const bytes = readFileSync(path);
  const at = bytes.lastIndexOf(text);
  if (at === -1) throw new Error(`${path} does not hold ${text}`);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("a damaged server", () => {
  test("is not read without a sound mailboxes.db", async () => {
    const server = testServer("uuid-paths");
    damage(server.conf.mailboxesDb.path, "user\x1fann\x1fSent");
    const error = await placeOf(server)
      .user("bob")
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "bad_data" });
    rmSync(server.conf.mailboxesDb.path);
    expect(ownersIn(placeOf(server))).rejects.toMatchObject({ code: "not_found" });
    writeFileSync(server.conf.mailboxesDb.path, "\xa1\x02\x8b\x0dtwomfile\0\0\0\0", "latin1");
    expect(ownersIn(placeOf(server))).rejects.toMatchObject({ code: "config" });
  });

  test("gives mailboxes whose annotations may be missing, and says so once", async () => {
    const server = testServer("uuid-paths");
    damage(server.conf.annotationsDb.path, "our Sent");
    const place = placeOf(server);
    expect(granted(await place.readMailbox("user.bob")).state.annotations).toEqual([]);
    expect(await refusalOf(place.annotations("user.ann.Sent"))).toMatch(/^damaged: /);
    const { mailboxes, unreadable = [], flawed = [] } = granted(await place.user("ann"));
    expect([mailboxes.length, unreadable.length]).toEqual([14, 0]);
    expect(flawed.map(({ setting, refusal }) => [setting, refusal.reason])).toEqual([
      ["annotations", "damaged"],
    ]);
  });

  test("takes a line that is there twice once", async () => {
    const server = testServer("uuid-paths");
    const ann = join(server.conf.configdirectory, "user/uuid/u/4/u4pduq8e674pzpldk63mek5z");
    const lines = readFileSync(join(ann, "sub.db"), "latin1");
    writeFileSync(join(ann, "sub.db"), `${lines}${lines.split("\n")[0]}\n`, "latin1");
    const { subscriptions, flawed = [] } = granted(await placeOf(server).user("ann"));
    expect([new Set(subscriptions).size, flawed.length > 0]).toEqual([subscriptions.length, false]);
  });

  test("names settings of a user in files that are damaged, and gives the mail", async () => {
    const server = testServer("uuid-paths");
    const folder = join(server.conf.configdirectory, "user/uuid");
    const ann = join(folder, "u/4/u4pduq8e674pzpldk63mek5z");
    const bob = join(folder, "5/5/5534ae7m9bbl4s3dtyt0haho");
    const place = placeOf(server);
    damage(join(bob, "seen.db"), "1:4");
    expect(await refusalOf(place.meta("bob"))).toMatch(/^damaged: .*seen\.db/);
    writeFileSync(join(ann, "sub.db"), "no tab and no end");
    const quota = join(server.conf.configdirectory, "quota/a/user.ann");
    writeFileSync(quota, "rubbish");
    const ofAnn = granted(await place.user("ann"));
    expect(ofAnn.mailboxes).toHaveLength(14);
    expect(ofAnn.flawed?.map(({ setting, refusal }) => `${setting}: ${refusal.text}`)).toEqual([
      expect.stringMatching(/^subscriptions: .*sub\.db/),
      expect.stringMatching(/^quotas: .*user\.ann/),
    ]);
    expect(await refusalOf(place.quota("user.ann"))).toMatch(/^damaged: .*user\.ann/);
  });

  test("names mailboxes whose folder is missing, foreign or nowhere", async () => {
    const server = testServer("uuid-paths");
    changeMailboxes(server, ({ edit }) => {
      edit("user/ann/Sent", "P default", "P elsewhere");
      edit("user/ann/Trash", / I [a-z0-9]+/, " I 5534ae7m9bbl4s3dtyt0haho");
      edit("user/ann/Lists", / I [a-z0-9]+/, " I nowhere0000000000000000");
    });
    const { mailboxes, unreadable = [] } = granted(await placeOf(server).user("ann"));
    expect(mailboxes).toHaveLength(11);
    const texts = unreadable.map(
      ({ name, refusal }) => `${name} ${refusal.reason} ${refusal.text}`,
    );
    expect(texts.join("\n")).toMatch(/user\.ann\.Lists moved .*no folder/);
    expect(texts.join("\n")).toMatch(/user\.ann\.Sent damaged .*no partition elsewhere/);
    expect(texts.join("\n")).toMatch(
      /user\.ann\.Trash damaged .*user\/ann\/Trash and user\/bob have one/,
    );
    expect(texts).toHaveLength(3);
    const bob = granted(await placeOf(server).user("bob"));
    expect(bob.unreadable?.map(({ refusal }) => refusal.reason)).toEqual(["damaged"]);
  });

  test("sees at once what has changed", async () => {
    const server = testServer("uuid-paths");
    const place = placeOf(server);
    const acl = async () => granted(await place.mailboxes(["user.ann.Sent"]))[0]?.acl;
    expect(await acl()).toBe("ann\tlrswipkxtecdan\tanyone\tlr\t");
    changeMailboxes(server, ({ edit }) => edit("user/ann/Sent", "anyone lr", "anyone lrs"));
    expect(await acl()).toBe("ann\tlrswipkxtecdan\tanyone\tlrs\t");
    changeDatabase(server.conf.annotationsDb.path, (records) => records.clear());
    expect(granted(await place.annotations("user.ann.Sent"))).toEqual([]);
  });
});
