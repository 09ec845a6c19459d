/**
 * Makes the state of an archive anew that is to be written. What can be read of a data file that is
 * cut off or damaged goes into a new one, which others can read to its end; the old one is kept.
 */
import type { Database } from "bun:sqlite";
import { closeSync, fsyncSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { assert } from "../../../core/assert.ts";
import { FormatError } from "../../../core/errors.ts";
import { chunksOf } from "../../../core/files.ts";
import { collectEvery } from "../../../core/garbage.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { META_FILE, printEntryName } from "../../../formats/backup/entry_name.ts";
import { TarSplitter } from "../../../formats/tar/tar_splitter.ts";
import { diskError, removeFile, writeFully } from "../../../storage/disk.ts";
import { keepBeside, openBeside } from "../../../storage/durable.ts";
import { openDataFile, unpacked } from "../read/gzip_members.ts";
import { rebuildState, type TornMember } from "../rebuild.ts";
import { clearLeftovers, unfinishedName } from "./clear_leftovers.ts";

/** Unpacked bytes that are garbage soon: the collector would let them grow to all of the member. */
const COLLECT_BYTES = 32 * 1024 * 1024;

export interface RecoverOptions {
  readonly notice: (text: string) => void;
}

/**
 * Fills `database` from the data file at `path`, whose lock is held; false where not all of it
 * could be read. Throws AppError.
 */
export async function recoverArchive(
  database: Database,
  path: string,
  { notice }: RecoverOptions,
): Promise<boolean> {
  let salvaged: string | undefined;
  const salvage = async (torn: TornMember): Promise<string> => {
    // Always the same name: after a kill the copy is made again in the place of the first.
    const began = Number(/-(\d+)\./.exec(basename(path))?.[1]);
    salvaged = join(dirname(path), `backupdata-${began + 1}.tar.gz`);
    await copySound({ path, torn, into: salvaged });
    return salvaged;
  };
  const { damage, flaws } = await rebuildState(database, path, { salvage }).catch((error) => {
    if (salvaged !== undefined) removeFile(salvaged);
    throw error;
  });
  if (damage === undefined) return flaws.length === 0;
  const where = `behind byte ${damage.coffset} (${damage.why})`;
  if (salvaged === undefined) {
    notice(`${path} is damaged ${where}, and read to its end all the same`);
    return false;
  }
  const kept = clearLeftovers(dirname(path), basename(salvaged));
  notice(`${path} is damaged ${where}: what can be read is in ${salvaged}, the rest in ${kept}`);
  return false;
}

/**
 * True where a whole run lies behind what the state says: it is an older one, put back by somebody,
 * or the machine went down as the run was committed. What a killed run has left has no end.
 */
export async function hasRunBehind(
  path: string,
  { size: coffset, offset }: { readonly size: number; readonly offset: number },
): Promise<boolean> {
  const opened = openDataFile(path);
  const { fd, stat } = opened;
  const splitter = new TarSplitter(DEFAULT_LIMITS, { offset });
  const mark = printEntryName({ kind: "meta", name: META_FILE.run });
  try {
    for await (const part of unpacked(fd, { path, size: stat.size, from: { coffset, offset } })) {
      if (part.kind === "damage") return false;
      if (part.kind !== "bytes") continue;
      for (const event of splitter.feed(part.bytes)) {
        if (event.kind === "end" && event.entry.name === mark) return true;
      }
    }
    return false;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}

interface CopyOptions {
  readonly path: string;
  readonly torn: TornMember;
  readonly into: string;
}

/** Copies the whole members, and of the torn one the whole entries that are not damaged. */
async function copySound({ path, torn, into }: CopyOptions): Promise<void> {
  const opened = openDataFile(path);
  const beside = unfinishedName(into);
  let copy: number | undefined;
  try {
    const fd = openBeside(beside);
    copy = fd;
    let size = 0;
    const append = async (parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
      for await (const part of parts) {
        writeFully(fd, part, size);
        size += part.length;
      }
    };
    await append(chunksOf(opened.fd, { end: torn.coffset, name: path }));
    const sound = soundRanges(torn);
    if (sound.length > 0) {
      const parts = partsOf(sound, torn, { fd: opened.fd, path, size: opened.stat.size });
      await pipeline(parts, createGzip({ level: 1 }), append);
    }
    fsyncSync(copy);
    keepBeside(copy, beside, into);
  } catch (error) {
    if (copy !== undefined) removeFile(beside);
    throw diskError(error, "write", beside);
  } finally {
    closeSync(opened.fd);
    if (copy !== undefined) closeSync(copy);
  }
}

/** Bytes of the unpacked stream. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** What of a torn member stays, in its order. */
function soundRanges({ offset, size, leftOut }: TornMember): readonly Range[] {
  const ends = [...leftOut, { from: offset + size, to: offset + size }];
  const ranges = ends.map(({ from: to }, n) => ({ from: leftOut[n - 1]?.to ?? offset, to }));
  return ranges.filter(({ from, to }) => from < to);
}

/** The bytes of these ranges of a member that cannot be unpacked to its end. */
async function* partsOf(
  ranges: readonly Range[],
  torn: TornMember,
  { fd, ...file }: { readonly fd: number; readonly path: string; readonly size: number },
): AsyncGenerator<Uint8Array, void> {
  const unpackedMore = collectEvery(COLLECT_BYTES);
  let at = torn.offset;
  const left = [...ranges];
  for await (const event of unpacked(fd, { ...file, from: torn })) {
    if (event.kind !== "bytes" || left.length === 0) break;
    const { bytes } = event;
    const end = at + bytes.length;
    for (let range = left[0]; range !== undefined && range.from < end; range = left[0]) {
      const part = bytes.subarray(Math.max(0, range.from - at), range.to - at);
      if (part.length > 0) yield part;
      if (range.to > end) break;
      left.shift();
    }
    at = end;
    unpackedMore(bytes.length);
  }
  assert(left.length === 0, `${file.path} unpacks as it has before`);
}
