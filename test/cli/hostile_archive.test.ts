/**
 * Archives that unpack to far more than they are: every command ends soon, names what is wrong, and
 * takes little memory.
 */
import { beforeAll, expect, test } from "bun:test";
import { cpSync, createWriteStream, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { paddingOf, printTarHeader } from "../../src/formats/tar/tar_header.ts";
import { beginSha1 } from "../../src/hash/sha1.ts";
import { bobbin } from "../support/cli.ts";
import { NOW } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const PEAK_BYTES = 400 * 1024 * 1024;
const MIB = 1024 * 1024;
const ID = "1234567890abcdef";
const ZEROS = Buffer.alloc(MIB);

let store = "";
beforeAll(async () => {
  store = join(tempDir("hostile"), "store");
  expect((await bobbin(["store", "init", store])).exit).toBe(0);
});

/** An entry whose content is zeros; without a size a link. Its name may have the SHA-1. */
interface Zeros {
  readonly name: (sha1: string) => string;
  readonly size?: number;
}

function* zeros(size: number): Generator<Buffer, void> {
  for (let left = size; left > 0; left -= MIB) yield ZEROS.subarray(0, Math.min(MIB, left));
}

function* tarOf(entries: Iterable<Zeros>): Generator<Uint8Array, void> {
  for (const { name, size } of entries) {
    const facts = { mtime: NOW, inode: 0 };
    if (size === undefined) {
      yield printTarHeader({ ...facts, name: name(""), type: "link", size: 0, linkname: ID });
      continue;
    }
    const hash = beginSha1();
    for (const piece of zeros(size)) hash.update(piece);
    const sha1 = hash.digest();
    yield printTarHeader({ ...facts, name: name(sha1), type: "file", size, linkname: sha1 });
    yield* zeros(size);
    yield new Uint8Array(paddingOf(size));
  }
}

/** The folder of ann's archive below a new root. */
async function archiveOf(entries: Iterable<Zeros>): Promise<string> {
  const folder = join(tempDir("bomb"), "a", "ann");
  mkdirSync(folder, { recursive: true });
  const data = createWriteStream(join(folder, `backupdata-${NOW}.tar.gz`));
  await pipeline(Readable.from(tarOf(entries)), createGzip(), data);
  return folder;
}

/** Runs every command on a copy of its own, and gives what verify has said. */
async function endureAll(folder: string): Promise<string> {
  const said: string[] = [];
  for (const command of [
    (at: string) => ["backup", "verify", at],
    (at: string) => ["backup", "list", at],
    (at: string) => ["ls", `backup:${at}`, "ann"],
    (at: string) => ["backup", "rebuild", at],
    (at: string) => ["backup", "compact", "--force", at],
    (at: string) => ["backup", "restore", at, "ann", "--to", `store:${store}`],
    (at: string) => ["backup", "run", "ann", "--from", store, "--to", dirname(dirname(at))],
  ]) {
    const copy = join(tempDir("tried"), "a", "ann");
    cpSync(folder, copy, { recursive: true });
    const args = command(copy);
    const { exit, stdout, stderr, peakBytes } = await bobbin(args);
    expect([args[1], [0, 1, 2, 65, 66, 77].includes(exit), stderr]).toEqual([
      args[1],
      true,
      stderr,
    ]);
    expect([args[1], peakBytes < PEAK_BYTES, peakBytes]).toEqual([args[1], true, peakBytes]);
    said.push(stdout);
  }
  return said[0] ?? "";
}

test("files as large as they may be, larger ones, and a bomb", async () => {
  const { archivedIndexBytes, heldEntryBytes } = DEFAULT_LIMITS;
  const of = (file: string) => () => `folders/${ID}/cyrus.${file}`;
  const large = await archiveOf([
    { name: of("header"), size: heldEntryBytes + 1 },
    { name: of("index"), size: archivedIndexBytes },
    { name: of("x-mailbox"), size: 20 * MIB },
    { name: () => "imap/INBOX/" },
    { name: () => "meta/sub", size: 30 * MIB },
    { name: (sha1) => `files/${sha1}`, size: 500 * MIB },
  ]);
  const said = await endureAll(large);
  expect(said).toContain(`${heldEntryBytes + 1} bytes, over ${heldEntryBytes}`);
  expect(said).toContain("it unpacks to over 200 times its size");
}, 120_000);

test("a great many tiny entries", async () => {
  const count = isLong ? 1_000_000 : 10_000;
  function* entries(): Generator<Zeros, void> {
    for (let n = 0; n < count; n++) {
      const guid = n.toString(16).padStart(40, "0");
      const kinds = [`files/${guid}`, `meta/x-${n}`, `folders/${ID}/cyrus.x${n}`, `what/${n}`];
      const name = kinds[n % 4] ?? "";
      yield { name: () => name, size: 0 };
    }
    yield { name: () => "imap/INBOX/" };
  }
  expect(await endureAll(await archiveOf(entries()))).toContain("what/3");
}, 600_000);
