/**
 * Makes the state of an archive anew that is to be written. What can be read of a data file that is
 * cut off or damaged goes into a new one, which others can read to its end; the old one is kept.
 */
import type { Database } from "bun:sqlite";
import { closeSync, fsyncSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { assert } from "../../../core/assert.ts";
import { concat } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import { chunksOf, openRegular } from "../../../core/files.ts";
import { diskError, makeFolder, writeFully } from "../../../storage/disk.ts";
import { keepBeside, openBeside, syncPath } from "../../../storage/durable.ts";
import { type Member, unpacked } from "../read/gzip_members.ts";
import { rebuildState, type TornMember } from "../rebuild.ts";
import { CUT_FOLDER } from "../state/open_state.ts";
import { packMember } from "./pack_member.ts";

export interface RecoverOptions {
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly notice: (text: string) => void;
}

/**
 * Fills `database` from the data file at `path`, whose lock is held; false where not all of it
 * could be read. Throws AppError.
 */
export async function recoverArchive(
  database: Database,
  path: string,
  { now, notice }: RecoverOptions,
): Promise<boolean> {
  let salvaged: string | undefined;
  const { damage, flaws } = await rebuildState(database, path, {
    salvage: async (torn) => {
      const [, began = "0"] = /-(\d+)\./.exec(basename(path)) ?? [];
      // The new name must be another, and later by its number.
      const filename = `backupdata-${Math.max(now(), Number(began) + 1)}.tar.gz`;
      salvaged = join(dirname(path), filename);
      await copySound({ path, torn, into: salvaged });
      return salvaged;
    },
  });
  if (damage === undefined) return flaws.length === 0;
  const where = `behind byte ${damage.coffset} (${damage.why})`;
  if (salvaged === undefined) {
    notice(`${path} is damaged ${where}, and read to its end all the same`);
    return false;
  }
  const kept = join(dirname(path), CUT_FOLDER);
  makeFolder(kept);
  renameSync(path, join(kept, basename(path)));
  syncPath(dirname(path), "folder");
  notice(`${path} is damaged ${where}: what can be read is in ${salvaged}, the rest in ${kept}`);
  return false;
}

interface CopyOptions {
  readonly path: string;
  readonly torn: TornMember;
  readonly into: string;
}

/** Copies the whole members, and of the torn one the whole entries that are not damaged. */
async function copySound({ path, torn, into }: CopyOptions): Promise<void> {
  const opened = openRegular(path);
  if (opened.state !== "open") throw new AppError("io", `Cannot read ${path}`);
  const beside = `${into}.NEW`;
  let copy: number | undefined;
  try {
    copy = openBeside(beside);
    let size = 0;
    for (const chunk of chunksOf(opened.fd, { end: torn.coffset, name: path })) {
      writeFully(copy, chunk, size);
      size += chunk.length;
    }
    const whole = await beginOf(torn, { fd: opened.fd, path, size: opened.stat.size });
    const sound = withoutLeftOut(whole, torn);
    if (sound.length > 0) writeFully(copy, packMember(sound), size);
    fsyncSync(copy);
    keepBeside(copy, beside, into);
  } catch (error) {
    throw error instanceof AppError ? error : diskError(error, "write", beside);
  } finally {
    closeSync(opened.fd);
    if (copy !== undefined) closeSync(copy);
  }
}

/** What a member begins with that cannot be unpacked to its end. */
async function beginOf(
  torn: Member,
  { fd, ...file }: { readonly fd: number; readonly path: string; readonly size: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(torn.size);
  let length = 0;
  for await (const event of unpacked(fd, { ...file, from: torn })) {
    if (event.kind !== "bytes" || length === torn.size) break;
    const part = event.bytes.subarray(0, torn.size - length);
    bytes.set(part, length);
    length += part.length;
  }
  assert(length === torn.size, `${file.path} unpacks as it has before`);
  return bytes;
}

function withoutLeftOut(bytes: Uint8Array, { offset, leftOut }: TornMember): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { from, to } of leftOut) {
    parts.push(bytes.subarray(at, from - offset));
    at = to - offset;
  }
  return concat([...parts, bytes.subarray(at)]);
}
