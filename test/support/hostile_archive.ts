/** Archives that were made to do harm, and everything that a user may do with one. */
import { expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { fromLatin1 } from "../../src/core/bytes.ts";
import { AppError } from "../../src/core/errors.ts";
import { paddingOf, printTarHeader, type TarEntry } from "../../src/formats/tar/tar_header.ts";
import { checkArchives } from "../../src/fsck/backup/check_archives.ts";
import { tell } from "../../src/fsck/finding.ts";
import { sha1Of } from "../../src/hash/sha1.ts";
import type { Owner } from "../../src/model/names.ts";
import { compactArchive } from "../../src/places/backup/compact/compact_archive.ts";
import { runsOfArchive } from "../../src/places/backup/read/archive_runs.ts";
import { openBackupFolder } from "../../src/places/backup/read/backup_folder.ts";
import { rebuildArchive } from "../../src/places/backup/write/rebuild_archive.ts";
import type { Place } from "../../src/places/place.ts";
import { backUp, differencesOf, WRITING } from "./backup.ts";
import { recordsIn } from "./places.ts";
import { livingUids, newStorePlace, put, replicate } from "./replication.ts";
import { NOW, record } from "./store_fixture.ts";
import { tempDir } from "./temp_dir.ts";

export const ANN: Owner = { kind: "user", userid: "ann" };
/** In the names of mailboxes that only a hostile archive has. */
export const STRANGE = "strange";
export const STATE = "backupstate.sqlite3";

/** Ann's mail, and her archive after one run: three messages in her INBOX, one in Sub. */
export interface Base {
  readonly source: Place;
  readonly folder: string;
  /** The stream in the data file. */
  readonly tar: Buffer;
}

export async function baseArchive(): Promise<Base> {
  const source = newStorePlace();
  const records = [1, 2, 3].map((uid) => record(uid));
  await put(source, "user.ann", records);
  await put(source, "user.ann.Sub", [record(4)]);
  const folder = join(tempDir("base"), "ann");
  const told = await backUp(ANN, source, folder);
  expect(told.failures).toEqual([]);
  return { source, folder, tar: gunzipSync(readFileSync(dataIn(folder))) };
}

export function dataIn(folder: string): string {
  return join(folder, readdirSync(folder).find((one) => one.startsWith("backupdata")) ?? "none");
}

/** An entry as a tar has it; `header` says other things of it than are true. */
export function entry(name: string, content = "", header: Partial<TarEntry> = {}): Buffer {
  const bytes = Buffer.from(content, "latin1");
  const linkname = bytes.length > 0 ? sha1Of(bytes) : "";
  const printed = printTarHeader({
    ...{ name, type: "file", size: bytes.length, mtime: NOW, linkname, inode: 0 },
    ...header,
  });
  return Buffer.concat([printed, bytes, Buffer.alloc(paddingOf(bytes.length))]);
}

/** Puts other bytes into a header block, and the sum that it then should have. */
export function altered(block: Buffer, at: number, text: string): Buffer {
  const changed = Buffer.from(block);
  changed.set(fromLatin1(text), at);
  changed.set(fromLatin1("        "), 148);
  const sum = changed.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  changed.set(fromLatin1(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return changed;
}

/** A folder of ann's with this data file, and no state. */
export function archiveWith(data: Uint8Array, name = `backupdata-${NOW}.tar.gz`): string {
  const folder = join(tempDir("hostile"), "ann");
  mkdirSync(folder);
  writeFileSync(join(folder, name), data);
  return folder;
}

export function packed(...members: Uint8Array[]): Buffer {
  return Buffer.concat(members.map((member) => gzipSync(member)));
}

/** What came of each thing that was tried. */
export interface Trial {
  readonly codes: readonly string[];
  /** Mailboxes that could be read, with the UIDs whose messages could be had. */
  readonly read: Readonly<Record<string, readonly number[]>>;
  readonly restored: Readonly<Record<string, readonly number[]>>;
  /** Whether all of ann's mail is in the archive after another run; why there was none. */
  readonly afterRun: "whole" | AppError;
}

/** What `work` gives. Only an AppError is a way to fail: everything else is a bug. */
async function attempt<Value>(what: string, work: () => Promise<Value>): Promise<Value | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw new Error(`${what} has failed with a bug: ${error}`, { cause: error });
  }
}

export interface TrialOptions extends Pick<Base, "source"> {
  /** The state is wrong, and looks right: after a rebuild alone is all well. */
  readonly isBelieved?: boolean;
}

/** Lists, checks, reads, restores, compacts, rebuilds it and backs up onto it. */
export async function tryAll(
  folder: string,
  { source, isBelieved = false }: TrialOptions,
): Promise<Trial> {
  const before = filesBelow(dirname(folder));
  await attempt("list", () => runsOfArchive(folder));
  const codes = await attempt("verify", () => codesOf(folder));
  const read = await attempt("read", () => readAll(folder));
  const restored = await attempt("restore", () => restoreAll(folder));
  expect(filesBelow(dirname(folder))).toEqual(before); // reading writes nothing
  const notice = () => undefined;
  const retention = { now: NOW * 1000, keepDeletedMs: 1, keepExpungedMs: 1 };
  for (const isDry of [true, false]) {
    const options = { retention, below: 101, isDry, pack: WRITING.pack, notice };
    await attempt("compact", () => compactArchive(copyOf(folder), options));
  }
  const rebuilt = copyOf(folder);
  await attempt("rebuild", () => rebuildArchive(rebuilt, { notice }));
  await attempt("verify what was rebuilt", () => codesOf(rebuilt));
  const run = (onto: string) => backUp(ANN, source, onto, { open: { notice } });
  if (isBelieved) await attempt("run", () => run(copyOf(folder)));
  const afterRun = await attempt("run", async () => {
    const onto = isBelieved ? rebuilt : copyOf(folder);
    const { failures } = await run(onto);
    const after = await openBackupFolder(onto, { locator: "backup:after" });
    const lacking = await differencesOf(ANN, source, after);
    await after.close();
    // What only the archive has, and nobody can read, stays there and is named.
    const ofAnn = [...lacking, ...failures].filter((text) => !text.includes(STRANGE));
    expect(ofAnn).toEqual([]);
    return "whole" as const;
  });
  return {
    codes: codes instanceof AppError ? [codes.code] : codes,
    read: read instanceof AppError ? {} : read,
    restored: restored instanceof AppError ? {} : restored,
    afterRun,
  };
}

function copyOf(folder: string): string {
  const copy = join(tempDir("tried"), "ann");
  // As it is, with pipes and links.
  expect(Bun.spawnSync(["cp", "-a", folder, copy]).exitCode).toBe(0);
  return copy;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

export async function codesOf(folder: string): Promise<string[]> {
  const { findings } = await checkArchives([folder], {
    ...{ wanted: undefined, onRead: () => undefined },
  });
  return [...new Set(findings.map((one) => tell(one).code))].sort();
}

async function readAll(folder: string): Promise<Record<string, number[]>> {
  const place = await openBackupFolder(folder, { locator: "backup:hostile" });
  const found: Record<string, number[]> = {};
  try {
    const user = await place.user("ann");
    for (const { name, uniqueid } of user.kind === "ok" ? user.value.mailboxes : []) {
      const reading = await place.readMailbox(name);
      if (reading.kind === "refused") continue;
      const uids: number[] = [];
      for (const { uid, guid } of await recordsIn(reading.value.records)) {
        const address = { mailbox: name, uniqueid, partition: null, uid, guid };
        const message = await place.message(address);
        if (message.kind === "ok") uids.push(uid);
      }
      found[name] = uids;
    }
    return found;
  } finally {
    await place.close();
  }
}

async function restoreAll(folder: string): Promise<Record<string, number[]>> {
  const [source, target] = [
    await openBackupFolder(folder, { locator: "backup:hostile" }),
    newStorePlace(),
  ];
  try {
    await replicate(ANN, { source, target });
    const found: Record<string, number[]> = {};
    for (const name of ["user.ann", "user.ann.Sub"]) {
      const reading = await target.readMailbox(name);
      found[name] = reading.kind === "ok" ? await livingUids(target, name) : [];
    }
    return found;
  } finally {
    await source.close();
    await target.close();
  }
}
