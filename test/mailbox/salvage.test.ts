/**
 * Damage of every kind in the files of real mailboxes: whatever is salvaged was there before, and
 * whatever was there and is not salvaged is named as lost.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { contentsOf, type MailboxContents, recordsIn } from "../../src/mailbox/mailbox_contents.ts";
import { type DamagedFiles, type KnownElsewhere, salvage } from "../../src/mailbox/salvage.ts";
import type { Lost } from "../../src/model/mailbox.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { recordsIn as allRecords } from "../support/places.ts";
import { property } from "../support/property.ts";

const NAME = "user.ann";
const KNOWN: KnownElsewhere = {
  name: NAME,
  uniqueid: undefined,
  uidvalidity: undefined,
  acl: undefined,
};

function filesIn(folder: string): DamagedFiles & { readonly index: Uint8Array } {
  const file = (name: string) => {
    const path = join(folder, name);
    return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
  };
  const index = file("cyrus.index");
  if (index === undefined) throw new Error(`${folder} has no cyrus.index`);
  return { header: file("cyrus.header"), index, annotations: file("cyrus.annotations") };
}

/** Of each index version, and of a spool as it is today, a mailbox with many records. */
const MAILBOXES = ["index-versions", "uuid-paths-master"].flatMap((fixture) => {
  const spool = join(readOnlyFixture(`cyrus-spools/${fixture}`), "spool");
  const folders = globSync(`${spool}/**/cyrus.index`).map((path) => join(path, ".."));
  const byVersion = Map.groupBy(folders.map(filesIn), ({ index }) => index[11] ?? 0);
  return [...byVersion].map(([version, some]) => {
    const files = some.toSorted((a, b) => b.index.length - a.index.length)[0];
    if (files === undefined) throw new Error(`no mailbox of version ${version}`);
    return { version, files };
  });
});

function contentsIn({ header, index, annotations }: DamagedFiles): MailboxContents | string {
  const found = contentsOf(NAME, {
    header: () => header ?? new Uint8Array(),
    index: () => index ?? new Uint8Array(),
    annotations: () => annotations,
  });
  return found.kind === "sound" ? found.contents : found.kind === "flawed" ? found.flaw : "deleted";
}

async function recordsOf(files: DamagedFiles): Promise<MailRecord[]> {
  const contents = contentsIn(files);
  if (typeof contents === "string") throw new Error(`not sound: ${contents}`);
  return allRecords(recordsIn(contents));
}

function isLost(uid: number, { uids }: Lost): boolean {
  return uids.some(({ first, last }) => first <= uid && uid <= last);
}

/** Salvages damaged `files`, and holds the result to what was there before. */
async function proved(before: readonly MailRecord[], files: DamagedFiles, known = KNOWN) {
  const found = salvage(files, known);
  if (typeof found === "string") return found;
  const after = await recordsOf(found);
  const byUid = new Map(before.map((one) => [one.uid, one]));
  for (const one of after) {
    const was = byUid.get(one.uid);
    const same = found.lost.fields
      ? { ...one, flags: was?.flags, annotations: was?.annotations }
      : one;
    expect(same).toEqual(was as MailRecord);
  }
  const kept = new Set(after.map(({ uid }) => uid));
  for (const { uid } of before) {
    expect([uid, kept.has(uid), isLost(uid, found.lost)]).toEqual([
      uid,
      kept.has(uid),
      !kept.has(uid),
    ]);
  }
  return { ...found, kept: kept.size };
}

function flipped(bytes: Uint8Array, at: number, mask = 0x55): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}

test("there is a mailbox of each version", () => {
  const versions = MAILBOXES.map(({ version }) => version).sort((a, b) => a - b);
  expect(versions).toEqual([6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 20]);
});

describe.each(MAILBOXES)("a mailbox of version $version", ({ files }) => {
  test("that is sound is given back as it is", async () => {
    const found = await proved(await recordsOf(files), files);
    expect(found).toMatchObject({ lost: { parts: [], uids: [], fields: false } });
  });

  test("that is cut off names what was behind", async () => {
    const before = await recordsOf(files);
    for (let length = files.index.length - 1; length > 200; length -= 61) {
      const found = await proved(before, { ...files, index: files.index.slice(0, length) });
      expect([length, found]).toMatchObject([length, { lost: { parts: expect.any(Array) } }]);
    }
  });
});

const WITH_CRCS = MAILBOXES.filter(({ version }) => version >= 12);

describe.each(WITH_CRCS)("a mailbox of version $version with checksums", ({ files }) => {
  test("has all its records with any one byte changed", async () => {
    const before = await recordsOf(files);
    const { index, header } = files;
    const step = before.length > 20 ? 37 : 7;
    for (let at = 0; at < index.length; at += step) {
      const found = await proved(before, { ...files, index: flipped(index, at) });
      if (typeof found === "string") throw new Error(`byte ${at}: ${found}`);
      expect([at, found.lost.parts]).toEqual([at, []]);
    }
    for (let at = 0; header !== undefined && at < header.length; at += step) {
      const found = await proved(before, { ...files, header: flipped(header, at) });
      expect([at, found]).toMatchObject([at, { kept: before.length, lost: { parts: [] } }]);
    }
  });
});

test("whatever is overwritten, nothing is invented, and what is lost is named", async () => {
  const { files } = MAILBOXES.find(({ version }) => version === 20) ?? expect.unreachable();
  const before = await recordsOf(files);
  const size = files.index.length;
  const runs: Promise<unknown>[] = [];
  const hole = fc.record({
    at: fc.nat(size - 1),
    bytes: fc.uint8Array({ minLength: 2, maxLength: 400 }),
  });
  property(fc.array(hole, { minLength: 1, maxLength: 3 }), (holes) => {
    const index = files.index.slice();
    for (const { at, bytes } of holes) index.set(bytes.subarray(0, size - at), at);
    runs.push(proved(before, { ...files, index }, { ...KNOWN, uidvalidity: 7, uniqueid: "abc" }));
  });
  const ends = await Promise.all(runs);
  expect(ends.some((end) => typeof end === "object")).toBeTrue();
});

test("keywords are lost with cyrus.header, and the uniqueid is taken from elsewhere", async () => {
  const { files } = MAILBOXES.find(({ version }) => version === 20) ?? expect.unreachable();
  const before = await recordsOf(files);
  const known = { ...KNOWN, uniqueid: "0123456789abcdef" };
  for (const header of [undefined, new Uint8Array(), new Uint8Array(300).fill(65)]) {
    const found = await proved(before, { ...files, header }, known);
    expect(found).toMatchObject({ kept: before.length, lost: { fields: true, uids: [] } });
    expect(await proved(before, { ...files, header })).toContain("uniqueid");
  }
  const blank = files.index.slice();
  blank.fill(0xff, 0, 192);
  expect(await proved(before, { ...files, index: blank })).toContain("UIDVALIDITY");
  const elsewhere = { ...KNOWN, uidvalidity: 1234 };
  expect(await proved(before, { ...files, index: blank }, elsewhere)).toMatchObject({
    ...{ kept: before.length, lost: { parts: ["the header of cyrus.index"] } },
  });
  expect(await proved(before, { ...files, index: new Uint8Array(2000) }, elsewhere)).toBeString();
});
