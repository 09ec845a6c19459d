/** cyrus.header by itself and against the index: rows HD01, HD02, HD04 and IX14. */
import { basename, dirname } from "node:path";
import { FormatError } from "../../core/errors.ts";
import type { FileBytes } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { type HeaderFile, parseHeaderFile } from "../../formats/cyrus/header_file.ts";
import { crc32 } from "../../hash/crc32.ts";
import { isKeyword } from "../../model/flags.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import type { Collector } from "./collector.ts";
import { explainCrc } from "./explain_crc.ts";

/** Parses cyrus.header; undefined when there is none that can be read. */
export function checkHeaderFile(
  paths: MailboxPaths,
  file: FileBytes,
  collector: Collector,
): HeaderFile | undefined {
  const path = paths.header;
  if (file.state !== "read") {
    collector.add("HD01", { path }, { fault: file });
    return undefined;
  }
  let header: HeaderFile;
  try {
    header = parseHeaderFile(file.bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const { expected, offset } = error;
    collector.add("HD01", { path }, { expected, offset });
    return undefined;
  }
  checkUniqueid(paths, header, collector);
  checkFlagNames(header, { path, collector });
  return header;
}

/**
 * IX14. A cyrus.header younger than the index is what a crash between the two writes leaves,
 * unless a single changed byte explains the difference: then it is damage.
 */
export function checkHeaderFileCrc(
  file: FileBytes,
  recorded: { readonly crc: number; readonly indexMtimeMs: number },
  context: { readonly path: string; readonly collector: Collector },
): void {
  if (file.state !== "read" || recorded.crc === 0) return;
  const computed = crc32(file.bytes);
  if (computed === recorded.crc) return;
  const { path, collector } = context;
  const sums = { stored: recorded.crc, computed };
  const crc = explainCrc(sums, { bytes: file.bytes, base: 0, fields: [] });
  const isOneByte = crc.changed !== undefined && crc.changed !== "checksum";
  const isYounger = !isOneByte && file.stat.mtimeMs > recorded.indexMtimeMs;
  collector.add("IX14", { path }, { crc: isYounger ? sums : crc, isYounger });
}

/** A mailbox stored by uniqueid lies in a folder of that name: `uuid/<c0>/<c1>/<uniqueid>`. */
export function uniqueidOfFolder(folder: string): string | undefined {
  const name = basename(folder);
  const second = dirname(folder);
  const first = dirname(second);
  const matches =
    name.length > 1 &&
    basename(second) === name[1] &&
    basename(first) === name[0] &&
    basename(dirname(first)) === "uuid";
  return matches ? name : undefined;
}

function checkUniqueid(paths: MailboxPaths, header: HeaderFile, collector: Collector): void {
  const path = paths.header;
  const { uniqueid } = header;
  const expected = uniqueidOfFolder(paths.data);
  if (uniqueid === undefined || uniqueid === null || uniqueid === "") {
    collector.add("HD02", { path }, { what: "none" });
  } else if (expected !== undefined && expected !== uniqueid) {
    collector.add("HD02", { path }, { what: "folder", expected, found: uniqueid });
  }
}

function checkFlagNames(
  header: HeaderFile,
  { path, collector }: { readonly path: string; readonly collector: Collector },
): void {
  const seen = new Set<string>();
  const limit = DEFAULT_LIMITS.userFlags;
  if (header.userFlags.length > limit) {
    collector.add("HD04", { path }, { what: "many", limit, count: header.userFlags.length });
  }
  for (const name of header.userFlags.slice(0, limit)) {
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (!isKeyword(name)) {
      collector.add("HD04", { path }, { what: "bad", name });
    } else if (seen.has(key)) {
      collector.add("HD04", { path }, { what: "twice", name });
    }
    seen.add(key);
  }
}
