/**
 * Reads a user's sieve scripts. Until 3.4 they are files `x.script` in the sieve folder. Since 3.6
 * each is a message of the mailbox `#sieve`, with its name in the Subject and its text in the body;
 * the active script is \Flagged (Cyrus imap/sieve_db.c). In the folder the active one is marked by
 * a link to its bytecode.
 */

import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { concat, latin1, utf8 } from "../../../core/bytes.ts";
import { errnoOf } from "../../../core/errors.ts";
import { readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import { activeMark, type SieveFile } from "../../../model/mailbox.ts";
import { externalName } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import type { MessageContent } from "../../place.ts";
import { messagePaths } from "../mailbox/mailbox_files.ts";
import { openMessage } from "../mailbox/message_content.ts";
import { recordsOfSnapshot, type SnapshotRequest, takeSnapshot } from "../mailbox/snapshot.ts";
import { accessRefusal } from "../refused_access.ts";

export interface SieveScript {
  /** Without the suffix; latin1. */
  readonly name: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  readonly content: Uint8Array;
  readonly isActive: boolean;
  /** What it was compiled to, where that is a file beside it. */
  readonly bytecode?: { readonly lastUpdate: number; readonly content: Uint8Array };
}

/** The scripts as replication names them: each with GUID and bytecode, and which is active. */
export function sieveFilesOf(scripts: readonly SieveScript[]): SieveFile[] {
  return scripts.flatMap(({ name, lastUpdate, content, isActive, bytecode }) => {
    const guid = sha1Of(content);
    const script = { filename: `${name}.script`, lastUpdate, guid, isActive: false };
    const filename = `${name}.bc`;
    if (bytecode === undefined) return isActive ? [script, activeMark(filename)] : [script];
    const compiled = { lastUpdate: bytecode.lastUpdate, guid: sha1Of(bytecode.content) };
    return [script, { filename, ...compiled, isActive }];
  });
}

/** Reads the scripts that are messages of the mailbox `#sieve`. */
export async function readScriptMailbox(mailbox: SnapshotRequest): Promise<Outcome<SieveScript[]>> {
  const { name, paths } = mailbox;
  const snapshot = await takeSnapshot(mailbox);
  if (snapshot.kind === "refused") return snapshot;
  const scripts: SieveScript[] = [];
  for await (const batch of recordsOfSnapshot(snapshot.value).batches()) {
    for (const { uid, guid, size, flags, internaldate, expunged } of batch) {
      if (expunged) continue;
      const label = `${externalName(name)} uid ${uid}`;
      const wanted = { label, paths: messagePaths(paths, uid), guid, recordedSize: size };
      const message = await openMessage(wanted, new Set());
      if (message.kind === "refused") return message;
      const script = await parseScriptMessage(message.value);
      if (script === undefined) return refused("damaged", `Cannot read ${label}: no sieve script`);
      const isActive = flags.includes("\\Flagged");
      scripts.push({ ...script, lastUpdate: internaldate, isActive });
    }
  }
  return ok(scripts);
}

const BLANK_LINE = /\r?\n\r?\n/;

/** The name and text in a message of `#sieve`; undefined where it has no Subject. */
export async function parseScriptMessage(
  message: MessageContent,
): Promise<Pick<SieveScript, "name" | "content"> | undefined> {
  const parts: Uint8Array[] = [];
  for await (const part of message.chunks()) parts.push(part);
  const bytes = concat(parts);
  const text = latin1(bytes);
  const end = BLANK_LINE.exec(text);
  if (end === null) return undefined;
  const [, subject] = /^subject:[ \t]*(.*(?:\r?\n[ \t].*)*)/im.exec(text.slice(0, end.index)) ?? [];
  if (subject === undefined) return undefined;
  const name = subject.replace(/\r?\n(?=[ \t])/g, "").trimEnd();
  return { name, content: bytes.subarray(end.index + end[0].length) };
}

/** Reads the scripts that are files in `folder`. There are none where there is no such folder. */
export function readScriptFolder(folder: string): Outcome<SieveScript[]> {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === "ENOENT") return ok([]);
    return accessRefusal("sieve scripts", { path: folder, errno });
  }
  const active = activeName(folder);
  const scripts: SieveScript[] = [];
  for (const filename of names.sort()) {
    if (!filename.endsWith(SCRIPT_SUFFIX)) continue;
    const script = readScriptFile(join(folder, filename));
    if (script.kind === "refused") return script;
    if (script.value === undefined) continue; // removed since it was listed
    const stem = filename.slice(0, -SCRIPT_SUFFIX.length);
    const bytecode = readScriptFile(join(folder, `${stem}.bc`));
    const name = latin1(utf8(stem));
    scripts.push({
      ...{ name, ...script.value, isActive: name === active },
      // Bytecode that cannot be read is made anew from its script by whoever needs it.
      ...(bytecode.kind === "ok" && bytecode.value !== undefined && { bytecode: bytecode.value }),
    });
  }
  return ok(scripts);
}

const SCRIPT_SUFFIX = ".script";

type ScriptFile = Pick<SieveScript, "lastUpdate" | "content">;

/** Undefined where there is no such file. */
function readScriptFile(path: string): Outcome<ScriptFile | undefined> {
  const file = readRegular(path, DEFAULT_LIMITS.literalBytes);
  if (file.state === "missing") return ok(undefined);
  if (file.state === "unreadable") {
    return accessRefusal("a sieve script", { path, errno: file.errno });
  }
  if (file.state !== "read") return refused("damaged", `Cannot read ${path}: no regular file`);
  return ok({ lastUpdate: Math.floor(file.stat.mtimeMs / 1000), content: file.bytes });
}

/** The name of the active script, by the link `defaultbc` to its bytecode. */
function activeName(folder: string): string | undefined {
  try {
    const target = latin1(utf8(readlinkSync(join(folder, "defaultbc"))));
    return /([^/]+)\.bc$/.exec(target)?.[1];
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // no script is active
  }
}
