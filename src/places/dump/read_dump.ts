/** Reads a dump once from end to end, and keeps what its checksums prove. */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { AppError, errnoOf } from "../../core/errors.ts";
import { startOf } from "../../core/files.ts";
import type { Limits } from "../../core/limits.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import type { DumpContents } from "./dump_contents.ts";
import { createSpool } from "./dump_file.ts";
import { recordsAt } from "./dump_records.ts";
import { scanDump } from "./scan.ts";

/** Where a dump is damaged: nothing behind that is believed. */
export interface DumpDamage {
  readonly text: string;
  /** Owners who were not complete at that point. */
  readonly owners: readonly Owner[];
}

/** Opens the file at `path`; `-` is stdin, read to its end. Throws AppError (not_found, io). */
export async function openDump(path: string): Promise<number> {
  return path === "-" ? await spoolOfStdin() : openDumpFile(path);
}

/** Opens a file. Throws as `openDump`. */
export function openDumpFile(path: string): number {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (error) {
    const code = errnoOf(error) === "ENOENT" ? "not_found" : "io";
    throw new AppError(code, `Cannot read dump ${path}: ${errnoOf(error)}`, { cause: error });
  }
  throw new AppError("not_found", `Cannot read dump ${path}: it is no file`);
}

/** A dump is read more than once, so what comes from a pipe is copied to an unnamed file. */
async function spoolOfStdin(): Promise<number> {
  const fd = createSpool();
  try {
    for await (const chunk of Bun.stdin.stream()) {
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    const text = `Cannot copy stdin to a temporary file: ${errnoOf(error)}`;
    throw new AppError("io", text, { cause: error });
  }
}

export interface DumpReading {
  readonly contents: DumpContents;
  readonly locator: string;
  readonly limits: Limits;
}

/**
 * Puts the owners and messages of the dump in `fd` into `contents`. Returns the damage, if there is
 * any. Throws AppError (bad_data) for a file that is no dump at all.
 */
export function readDump(fd: number, reading: DumpReading): DumpDamage | undefined {
  const { contents, locator, limits } = reading;
  for (const line of scanDump(fd, limits)) {
    switch (line.kind) {
      case "command": {
        for (const file of line.files) contents.addMessage(file.guid, file);
        const { command } = line;
        const isPlain = !("guids" in command) && isChange(command);
        if (isPlain) contents.apply(command, recordsAt(fd, line));
        break;
      }
      case "complete":
        contents.complete(line.owner, line.missing);
        break;
      case "damage": {
        if (line.offset === 0) {
          const packed = packingOf(fd);
          if (packed !== undefined) throw packedError(locator, packed);
          throw new AppError("bad_data", `${locator} is no dump: ${line.why}`);
        }
        const owners = contents.dropIncomplete();
        return { text: `${locator} is damaged at byte ${line.offset}: ${line.why}`, owners };
      }
    }
  }
  const owners = contents.dropIncomplete();
  if (owners.length === 0) return undefined;
  const names = owners.map(ownerName).join(", ");
  return { text: `${locator} was not finished for ${names}`, owners };
}

/** By the first bytes of a packed file, the program that unpacks it to stdout. */
const PACKINGS: readonly (readonly [magic: string, program: string])[] = [
  ["\x1f\x8b", "gunzip"],
  ["\x28\xb5\x2f\xfd", "unzstd"],
  ["\xfd7zXZ\0", "unxz"],
  ["BZh", "bunzip2"],
];

function packingOf(fd: number): string | undefined {
  const text = startOf(fd, 8);
  return PACKINGS.find(([magic]) => text.startsWith(magic))?.[1];
}

function packedError(locator: string, program: string): AppError {
  const hint = `Unpack it first: ${program} -c FILE | bobbin … dump:-`;
  return new AppError("bad_data", `${locator} is compressed`, { hint });
}

function isChange(command: { readonly kind: string }): command is ApplyCommand {
  return !["reserve", "message", "force", "capabilities"].includes(command.kind);
}
