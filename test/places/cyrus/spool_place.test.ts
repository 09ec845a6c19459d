/** A bare spool as a place, against what Cyrus' own tools say of the fixtures. */

import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../../src/core/bytes.ts";
import { parseHeaderFile } from "../../../src/formats/cyrus/header_file.ts";
import { indexHeaderCrcs, indexTableOf } from "../../../src/formats/cyrus/index/index_header.ts";
import type { MailboxState } from "../../../src/model/mailbox.ts";
import { cyrusPlace } from "../../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../../src/places/cyrus/spool_source.ts";
import type { MessageAddress, Place } from "../../../src/places/place.ts";
import { fixturePath, unpackFixture } from "../../support/fixtures.ts";
import { goldenMailboxes } from "../../support/golden_mailboxes.ts";
import { examinedMailboxes } from "../../support/mbexamine.ts";
import { allMailboxes, bytesOf, granted, ownersIn, recordsIn } from "../../support/places.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { readsConform } from "../reading_conformance.ts";

const SPOOLS = [
  "uuid-paths",
  "legacy-paths",
  "conversations-3.6",
  "uuid-paths-3.12",
  "uuid-paths-master",
] as const;

const roots = new Map<string, string>();

/** The spool of a fixture, unpacked once. */
function spoolOf(fixture: string): string {
  const known = roots.get(fixture) ?? unpackFixture(`cyrus-spools/${fixture}`);
  roots.set(fixture, known);
  return join(known, "spool");
}

function placeOf(data: string): Place {
  return cyrusPlace(spoolSource({ data }));
}

/** What `ctl_mboxlist -d` said of a fixture's mailboxes, without tombstones. */
function listed(fixture: string): Map<string, Record<string, string>> {
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
  readsConform(`a Cyrus spool (${fixture})`, {
    open: () => placeOf(spoolOf(fixture)),
    owners: [...users, { kind: "shared", toplevel: "shared" }],
  });
}

describe("spoolSource()", () => {
  for (const fixture of SPOOLS) {
    test(`lists the mailboxes of ${fixture} as mailboxes.db does`, async () => {
      const expected = listed(fixture);
      const found = await allMailboxes(placeOf(spoolOf(fixture)));
      expect(found.map(({ name }) => name).sort()).toEqual([...expected.keys()].sort());
      for (const state of found) {
        const entry = expected.get(state.name) ?? expect.unreachable();
        const acl = Object.entries(entry["acl"] ?? {}).map(([id, rights]) => `${id}\t${rights}\t`);
        const type = (entry["mbtype"] ?? "").replaceAll(/[el]/g, "");
        expect(state).toMatchObject({
          uniqueid: entry["uniqueid"] ?? "",
          acl: acl.join(""),
          createdmodseq: BigInt(entry["createdmodseq"] ?? 0),
          partition: null,
          ...(entry["jmapId"] !== undefined && { jmapid: entry["jmapId"] }),
          ...(type !== "" && { type }),
        });
        expect("type" in state).toBe(type !== "");
      }
    });
  }

  for (const fixture of ["conversations-3.6", "uuid-paths-3.12", "uuid-paths-master"]) {
    test(`reads states and records of ${fixture} as mbexamine does`, async () => {
      const place = placeOf(spoolOf(fixture));
      let compared = 0;
      for (const examined of examinedMailboxes(fixture)) {
        const { uniqueid } = examined;
        const [state] = granted(await place.mailboxesByUniqueid([uniqueid]));
        expect(state).toMatchObject({
          uniqueid,
          acl: examined.acl,
          lastUid: examined.lastUid,
          uidvalidity: examined.uidvalidity,
          highestmodseq: examined.highestmodseq,
          lastAppenddate: examined.lastAppenddate,
          version: examined.minorVersion,
        });
        expect(state?.userflags?.join(" ") ?? "").toBe(examined.userFlags.replace("[none]", ""));
        const reading = granted(await place.readMailbox(state?.name ?? ""));
        expect(reading.state).toEqual(state ?? expect.unreachable());
        const records = new Map((await recordsIn(reading.records)).map((one) => [one.uid, one]));
        for (const one of examined.records) {
          const { uid, internaldate, internaldateNsec, savedate, size, lastUpdated } = one;
          const record = records.get(uid) ?? expect.unreachable();
          expect(record).toMatchObject({ internaldate, internaldateNsec, savedate, size });
          expect(record).toMatchObject({ lastUpdated, guid: one.guid ?? "" });
          expect(record.modseq).toBe(one.modseq ?? 0n);
          // What a version of mbexamine does not print is not compared.
          const { createdmodseq = record.createdmodseq, cid = record.cid } = one;
          expect([record.createdmodseq, record.cid]).toEqual([createdmodseq, cid]);
          expect(record.flags.includes("\\Seen")).toBe((one.systemFlags & 16) !== 0);
          compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(20);
    });
  }

  test("computes the sync checksums of every real index of version 12 and later", async () => {
    let compared = 0;
    for (const { path } of goldenMailboxes()) {
      const bytes = new Uint8Array(readFileSync(join(path, "cyrus.index")));
      const table = indexTableOf(bytes);
      if (indexHeaderCrcs(bytes, table) === undefined) continue;
      // A folder by name has those of the mailboxes below it inside.
      const { uniqueid } = parseHeaderFile(readFileSync(join(path, "cyrus.header")));
      const found = await allMailboxes(placeOf(path));
      const state = found.find((one) => one.uniqueid === uniqueid);
      const stored = (slot: { offset: number } | undefined) =>
        slot && new DataView(bytes.buffer).getUint32(slot.offset);
      expect(state?.syncCrc).toBe(stored(table.header.syncCrc) ?? expect.unreachable());
      if (table.version > 12) {
        expect(state?.syncCrcAnnot).toBe(stored(table.header.syncCrcAnnot) ?? expect.unreachable());
      }
      compared += 1;
    }
    expect(compared).toBeGreaterThan(150);
  });

  test("knows owners, deleted mailboxes and shared ones", async () => {
    const place = placeOf(spoolOf("uuid-paths"));
    const owners = await ownersIn(place);
    expect(owners.filter(({ kind }) => kind === "user")).toHaveLength(3);
    expect(owners).toContainEqual({ kind: "shared", toplevel: "shared" });
    const shared = granted(await place.sharedMailboxes("shared"));
    expect(shared.mailboxes.map(({ name }) => name)).toEqual(["shared", "shared.news"]);
    const { mailboxes, ...rest } = granted(await place.user("ann"));
    expect(mailboxes.filter(({ name }) => name.startsWith("DELETED."))).toHaveLength(1);
    expect(rest).toEqual({ seen: [], subscriptions: [], sieve: [], quotas: [] });
    expect(granted(await place.user("nobody")).mailboxes).toEqual([]);
  });

  test("gives records with keywords, annotations and tombstones", async () => {
    const place = placeOf(spoolOf("uuid-paths"));
    const { records, state } = granted(await place.readMailbox("user.dan.00-clean"));
    const all = await recordsIn(records);
    expect(all.map(({ uid, expunged }) => [uid, expunged])).toEqual([
      ...[1, 2, 3, 4].map((uid): [number, boolean] => [uid, false]),
      [5, true],
    ]);
    expect(all[0]?.flags).toEqual(["\\Seen", "flag1"]);
    expect(all[4]?.flags).toEqual(["\\Deleted", "\\Seen", "flag5"]);
    expect(all[1]?.annotations).toMatchObject([
      { entry: "/comment", userid: "", modseq: 7n, value: utf8("damage me") },
    ]);
    expect(state.userflags).toEqual(["flag1", "flag2", "flag3", "flag4", "flag5"]);
    expect(all[0]?.savedate).toBeGreaterThan(0);
  });

  test("names the owner of a private annotation", async () => {
    const place = placeOf(spoolOf("uuid-paths"));
    const { records } = granted(await place.readMailbox("user.ann"));
    const annotations = (await recordsIn(records)).flatMap((record) => record.annotations);
    const texts = annotations.map(({ userid, value }) => [userid, value.toString()]);
    expect(annotations.map(({ userid }) => userid).sort()).toEqual(["", "ann"]);
    expect(texts).toHaveLength(2);
  });

  test("gives out every live message of a spool, and its bytes are those of the file", async () => {
    const place = placeOf(spoolOf("legacy-paths"));
    let checked = 0;
    for (const { name, uniqueid, partition } of await allMailboxes(place)) {
      const { records } = granted(await place.readMailbox(name));
      for (const { uid, guid, size, expunged } of await recordsIn(records)) {
        if (expunged) continue;
        const bytes = await bytesOf(place, { mailbox: name, uniqueid, partition, uid, guid });
        expect(bytes.length).toBe(size);
        expect(Bun.SHA1.hash(bytes, "hex")).toBe(guid);
        checked += 1;
      }
    }
    expect(checked).toBe(174);
    await place.close();
  });
});

/** A copy of one sound mailbox in a spool of its own, to be damaged. */
function copyOfMailbox(): { readonly place: Place; readonly folder: string } {
  const spool = tempDir("spool");
  const folder = join(spool, "user", "dan");
  cpSync(join(spoolOf("damaged"), "uuid/k/f/kf22otzf5j234px0uw69jzzw"), folder, {
    recursive: true,
  });
  return { place: placeOf(spool), folder };
}

/** Seconds since 1970, far enough ago for any clock. */
const LONG_AGO = 1_700_000_000;

function age(path: string, seconds = LONG_AGO): void {
  utimesSync(path, seconds, seconds);
}

async function refusalOf(place: Place, name: string) {
  const outcome = await place.readMailbox(name);
  return outcome.kind === "ok" ? undefined : { reason: outcome.reason, text: outcome.text };
}

describe("readMailbox()", () => {
  const DAMAGE: readonly [mailbox: string, text: RegExp][] = [
    ["10-record-flip", /record 2 of cyrus.index \(uid 2\) fails its CRC/],
    ["11-record-guid-flip", /record 2/],
    ["12-record-crc-flip", /record 2/],
    ["15-uid-recrc", /record 3 of cyrus.index has no higher UID/],
    ["20-header-flip", /the header of cyrus.index has the CRC/],
    ["21-header-crc-flip", /the header of cyrus.index has the CRC/],
    ["23-numrecords-recrc", /lacks 1 of its records/],
    ["27-index-truncated", /lacks 1 of its records/],
    ["28-index-missing", /there is no cyrus\.index/],
    ["29-index-zero", /record 2/],
    ["40-headerfile-flip", /cyrus.header has the CRC/],
    ["50-annotations-flip", /cyrus.annotations: expected a sound database: CRC of key and value/],
  ];
  for (const [mailbox, text] of DAMAGE) {
    test(`refuses ${mailbox} as damaged`, async () => {
      const refusal = await refusalOf(placeOf(spoolOf("damaged")), `user.dan.${mailbox}`);
      expect(refusal?.reason).toBe("damaged");
      expect(refusal?.text).toMatch(text);
      expect(refusal?.text).toContain(`user/dan/${mailbox}`);
    });
  }

  test("gives the derived numbers anew where only those are wrong", async () => {
    const place = placeOf(spoolOf("damaged"));
    const clean = granted(await place.readMailbox("user.dan.00-clean")).state;
    for (const mailbox of ["22-exists-recrc", "24-synccrc-recrc", "25-lastuid-recrc"]) {
      const { state } = granted(await place.readMailbox(`user.dan.${mailbox}`));
      const { lastUid, syncCrcAnnot } = clean;
      expect(state).toMatchObject({ lastUid, highestmodseq: clean.highestmodseq });
      expect(state.syncCrcAnnot).not.toBe(0);
      expect(syncCrcAnnot).not.toBe(0);
    }
  });

  test("reads on while one mailbox of a user is damaged, and names that", async () => {
    const { mailboxes, unreadable = [] } = granted(await placeOf(spoolOf("damaged")).user("dan"));
    const names = unreadable.map(({ name }) => name);
    // 41 and 42 have no name left in cyrus.header, so nobody knows that they are dan's.
    expect(names).toEqual(DAMAGE.map(([mailbox]) => `user.dan.${mailbox}`));
    expect(mailboxes.length + unreadable.length).toBe(34);
  });

  test("takes a cyrus.header younger than the index for what a crash has left (L7)", async () => {
    const { place, folder } = copyOfMailbox();
    const header = join(folder, "cyrus.header");
    const text = readFileSync(header, "latin1").replace("flag5", "flag5 flag6");
    writeFileSync(header, text, "latin1");
    age(join(folder, "cyrus.index"));
    const { state } = granted(await place.readMailbox("user.dan"));
    expect(state.userflags).toContain("flag6");
    age(header, LONG_AGO - 1);
    expect((await refusalOf(place, "user.dan"))?.reason).toBe("damaged");
  });

  test("takes records behind the header's count for an append not committed (L5)", async () => {
    const { place, folder } = copyOfMailbox();
    const before = granted(await place.readMailbox("user.dan")).state;
    const index = join(folder, "cyrus.index");
    writeFileSync(index, Buffer.concat([readFileSync(index), Buffer.alloc(112, 7)]));
    expect(granted(await place.readMailbox("user.dan")).state).toEqual(before);
  });

  test("a mailbox that is being removed or has no folder does not exist", async () => {
    const { place, folder } = copyOfMailbox();
    cpSync(folder, join(folder, "..", "bob"), { recursive: true });
    rmSync(folder, { recursive: true });
    expect((await refusalOf(place, "user.dan"))?.reason).toBe("nonexistent");
    expect(granted(await place.user("dan")).mailboxes).toEqual([]);
  });

  test("two folders of one name are refused, and both are named", async () => {
    const { folder } = copyOfMailbox();
    const spool = tempDir("twice");
    for (const id of ["aa1", "ab2"]) {
      cpSync(folder, join(spool, `uuid/${id[0]}/${id[1]}/${id}`), { recursive: true });
    }
    const refusal = await refusalOf(placeOf(spool), "user.dan.00-clean");
    expect(refusal?.reason).toBe("damaged");
    expect(refusal?.text).toMatch(/both .*aa1 and .*ab2 are called user\/dan\/00-clean/);
  });
});

async function addressOf(place: Place, name: string, uid: number): Promise<MessageAddress> {
  const { state, records } = granted(await place.readMailbox(name));
  const { uniqueid, partition }: MailboxState = state;
  const record = (await recordsIn(records)).find((one) => one.uid === uid);
  return { mailbox: name, uniqueid, partition, uid, guid: record?.guid ?? "" };
}

describe("message()", () => {
  for (const mailbox of [
    "01-body-flip",
    "02-header-line-flip",
    "03-truncated",
    "04-empty",
    "05-grown",
  ]) {
    test(`refuses the message of ${mailbox} as damaged and gives out the others`, async () => {
      const place = placeOf(spoolOf("damaged"));
      const address = await addressOf(place, `user.dan.${mailbox}`, 2);
      const outcome = await place.message(address);
      expect(outcome).toMatchObject({ kind: "refused", reason: "damaged" });
      expect(outcome.kind === "refused" && outcome.text).toContain(`user/dan/${mailbox} uid 2`);
      const other = await addressOf(place, `user.dan.${mailbox}`, 3);
      expect((await bytesOf(place, other)).length).toBe(198);
    });
  }

  test("says nonexistent without a file or mailbox, or for something else there", async () => {
    const place = placeOf(spoolOf("damaged"));
    const address = await addressOf(place, "user.dan.06-missing", 2);
    expect(await place.message(address)).toMatchObject({ reason: "nonexistent" });
    const nowhere = { ...address, mailbox: "user.dan.nope", uniqueid: "nope" };
    expect(await place.message(nowhere)).toMatchObject({ reason: "nonexistent" });
  });

  test("reads a large message a second time from the file it has checked", async () => {
    const { place, folder } = copyOfMailbox();
    const bytes = Buffer.alloc(5 * 1024 * 1024 + 17, "0123456789abcdef\r\n");
    const guid = Bun.SHA1.hash(bytes, "hex");
    writeFileSync(join(folder, "9."), bytes);
    const address = { ...(await addressOf(place, "user.dan", 1)), uid: 9, guid };
    const content = granted(await place.message(address));
    rmSync(join(folder, "9.")); // what has been checked is what is given out
    const parts: Uint8Array[] = [];
    for await (const part of content.chunks()) parts.push(part);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(parts.length).toBeGreaterThan(1);
    await place.close();
  });

  test("a large message that changes after the check ends in an error", async () => {
    const { place, folder } = copyOfMailbox();
    const path = join(folder, "9.");
    const bytes = Buffer.alloc(5 * 1024 * 1024, 65);
    writeFileSync(path, bytes);
    const guid = Bun.SHA1.hash(bytes, "hex");
    const address = { ...(await addressOf(place, "user.dan", 1)), uid: 9, guid };
    const content = granted(await place.message(address));
    truncateSync(path, 1000);
    const read = async () => {
      for await (const _ of content.chunks());
    };
    expect(read()).rejects.toThrow("changed while it was read");
    await place.close();
  });

  test("a message without a GUID of its content is compared with its record", async () => {
    const root = roots.get("index-versions") ?? unpackFixture("cyrus-spools/index-versions");
    roots.set("index-versions", root);
    const place = placeOf(join(root, "spool"));
    const { records } = granted(await place.readMailbox("user.ver.v9"));
    const [record] = await recordsIn(records);
    const address = await addressOf(place, "user.ver.v9", record?.uid ?? 0);
    expect((await bytesOf(place, address)).length).toBe(record?.size ?? 0);
    const other = { ...address, guid: `01${"23".repeat(11)}${"0".repeat(16)}` };
    expect(await place.message(other)).toMatchObject({ reason: "nonexistent" });
  });
});
