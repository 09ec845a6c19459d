/**
 * Reads message files of a pool: each is to have the SHA-1 that is its name (row ST05). What seems
 * wrong is read again after a pause, with both hash engines.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hexOf } from "../../core/bytes.ts";
import { confirmingEngine, type Engine, type EngineChoice, engineOf } from "../../hash/engines.ts";
import { type FileHash, hashFile } from "../../hash/hash_file.ts";
import { SHA1_BYTES } from "../../hash/sha1.ts";
import { HeaderEnd } from "../../mailbox/header_end.ts";
import { poolPath } from "../../places/store/layout.ts";
import type { Finding } from "../finding.ts";
import { Collector } from "../mailbox/collector.ts";
import { type KnownFiles, newKnownFiles, octetsOf } from "../mailbox/known_files.ts";

export interface PoolRequest {
  /** The owner's folder. */
  readonly folder: string;
  /** Names of files in the pool. */
  readonly guids: readonly string[];
  readonly engine: EngineChoice;
  /** Filesystem of the pool. */
  readonly device: number;
}

export interface PoolReport {
  /** Paths in them are below the owner's folder. */
  readonly findings: readonly Finding[];
  readonly bytesRead: number;
  /** One row for each GUID of the request. */
  readonly known: KnownFiles;
}

const SECOND_LOOK_AFTER_MS = 20;

/** Reads every file of the request. */
export async function hashPool(request: PoolRequest): Promise<PoolReport> {
  const { guids } = request;
  const known = newKnownFiles(guids.length, request.device);
  const engine = await engineOf(request.engine);
  const suspects: number[] = [];
  let bytesRead = 0;
  for (const row of guids.keys()) {
    const { result, isSound } = readOne(request, row, { engine, known });
    if (result.kind === "hashed") bytesRead += result.size;
    if (!isSound) suspects.push(row);
  }
  const findings = suspects.length === 0 ? [] : await confirm(request, suspects, known);
  return { findings, bytesRead, known };
}

/** Of the file that was read last. */
const digest = new Uint8Array(SHA1_BYTES);

function readOne(
  { folder, guids, device }: PoolRequest,
  row: number,
  { engine, known }: { readonly engine: Engine; readonly known: KnownFiles },
): { readonly result: FileHash; readonly isSound: boolean } {
  const guid = guids[row] ?? "";
  const result = hashFile(join(folder, poolPath(guid)), digest, { engine });
  const isSound = result.kind === "hashed" && hexOf(digest) === guid;
  if (isSound && result.stat.dev === device) {
    const { size, stat, head } = result;
    const end = new HeaderEnd();
    end.feed(head);
    const headerSize = end.headerSize ?? (head.length === size ? size : 0);
    known.inodes[row] = stat.ino;
    known.sizes[row] = size;
    known.headerSizes[row] = headerSize;
    known.octets[row] = octetsOf(head, headerSize);
  }
  return { result, isSound };
}

async function confirm(
  request: PoolRequest,
  rows: readonly number[],
  known: KnownFiles,
): Promise<readonly Finding[]> {
  await sleep(SECOND_LOOK_AFTER_MS);
  const engine = await confirmingEngine();
  const collector = new Collector();
  for (const row of rows) {
    const { result, isSound } = readOne(request, row, { engine, known });
    const guid = request.guids[row] ?? "";
    const at = { path: poolPath(guid) };
    // A missing file was removed since it was listed; check_store reports records without one.
    if (isSound || result.kind === "missing") continue;
    if (result.kind === "unreadable") {
      collector.add("PM01", at, { what: "message", errno: result.errno });
    } else collector.add("ST05", at, { expected: guid, found: foundIn(result) });
  }
  return collector.findings();
}

function foundIn(result: FileHash): string {
  if (result.kind === "hashed") return hexOf(digest);
  return result.kind === "too_large" ? `${result.size} bytes` : "not a regular file";
}
