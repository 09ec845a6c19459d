/** Streams the entries of a data file, from end to end, in memory that one entry bounds. */
import { closeSync } from "node:fs";
import { AppError, FormatError } from "../../../core/errors.ts";
import type { Limits } from "../../../core/limits.ts";
import { parseEntryName } from "../../../formats/backup/entry_name.ts";
import { type PlacedEntry, TarSplitter } from "../../../formats/tar/tar_splitter.ts";
import { beginSha1 } from "../../../hash/sha1.ts";
import { isGuid, isSha1 } from "../../../model/guid.ts";
import { openDataFile, unpacked } from "./gzip_members.ts";

/** An entry whose content is wanted, with all of it. */
export interface WholeEntry {
  readonly entry: PlacedEntry;
  readonly pieces: readonly Uint8Array[];
}

export interface EntriesOptions {
  /** Bytes of the file that count. */
  readonly size: number;
  readonly wants: (entry: PlacedEntry) => boolean;
  readonly limits: Limits;
}

/** Every entry that is wanted. Throws AppError: bad_data where the packing or the tar ends, io. */
export async function* archiveEntries(
  path: string,
  { size, wants, limits }: EntriesOptions,
): AsyncGenerator<WholeEntry, void> {
  const opened = openDataFile(path);
  const splitter = new TarSplitter(limits);
  let pieces: Uint8Array[] | undefined;
  try {
    for await (const part of unpacked(opened.fd, { path, size })) {
      if (part.kind === "damage") throw damaged(path, part.why);
      if (part.kind !== "bytes") continue;
      for (const event of splitter.feed(part.bytes)) {
        if (event.kind === "entry") pieces = wants(event.entry) ? [] : undefined;
        else if (event.kind === "content") pieces?.push(event.bytes);
        else if (pieces !== undefined) yield { entry: event.entry, pieces };
      }
    }
  } catch (error) {
    if (error instanceof FormatError) throw damaged(path, error.message, error);
    throw error;
  } finally {
    closeSync(opened.fd);
  }
}

function damaged(path: string, why: string, cause?: Error): AppError {
  return new AppError("bad_data", `Cannot read the archive ${path} to its end: ${why}`, {
    ...(cause !== undefined && { cause }),
    hint: "Nothing of it was changed; `bobbin fsck` tells what is damaged",
  });
}

/** A content whose SHA-1 is not what its name or its entry says. */
export interface DamagedContent {
  readonly name: string;
  readonly expected: string;
  readonly found: string;
}

/**
 * The SHA-1 that the content of an entry should have: the name of a message has it, and the entry
 * where the name is a UUID of Cyrus 2.3, or that of another file. Undefined where nothing tells.
 */
export function expectedSha1({ name, type, size, linkname }: PlacedEntry): string | undefined {
  const parsed = parseEntryName(name);
  if (parsed === undefined || parsed.kind === "history") return undefined;
  if (type !== "file" || size === 0) return undefined;
  if (parsed.kind === "message" && isSha1(parsed.guid)) return parsed.guid;
  return isGuid(linkname) ? linkname : undefined;
}

/** Compares a content with the SHA-1 that its name or its entry has. */
export function contentFlaw(
  entry: PlacedEntry,
  pieces: readonly Uint8Array[],
): DamagedContent | undefined {
  const expected = expectedSha1(entry);
  if (expected === undefined) return undefined;
  const hash = beginSha1();
  for (const piece of pieces) hash.update(piece);
  const found = hash.digest();
  return found === expected ? undefined : { name: entry.name, expected, found };
}
