/**
 * Reads a user's sieve scripts. Until 3.4 they are files `x.script` in the sieve folder, and a link
 * to its bytecode marks the active one. Since 3.6 they are the messages of the mailbox `#sieve`.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { concat, latin1, utf8 } from "../../../core/bytes.ts";
import { errnoOf, isAbsence } from "../../../core/errors.ts";
import { obstacleAt, readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { parseScriptMessage, type SieveScript } from "../../../formats/sieve/script_files.ts";
import { recordsIn } from "../../../mailbox/mailbox_contents.ts";
import { externalName } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { messagePaths } from "../mailbox/mailbox_files.ts";
import { openMessage } from "../mailbox/message_content.ts";
import { type SnapshotRequest, takeSnapshot } from "../mailbox/snapshot.ts";
import { accessRefusal } from "../refused_access.ts";

/** Reads the scripts that are messages of the mailbox `#sieve`. */
export async function readScriptMailbox(mailbox: SnapshotRequest): Promise<Outcome<SieveScript[]>> {
  const { name, paths } = mailbox;
  const snapshot = await takeSnapshot(mailbox);
  if (snapshot.kind === "refused") return snapshot;
  const scripts: SieveScript[] = [];
  for await (const batch of recordsIn(snapshot.value).batches()) {
    for (const { uid, guid, size, flags, internaldate, expunged } of batch) {
      if (expunged) continue;
      const label = `${externalName(name)} uid ${uid}`;
      const wanted = { label, paths: messagePaths(paths, uid), guid, recordedSize: size };
      const message = await openMessage(wanted, new Set());
      if (message.kind === "refused") return message;
      const parts = await Array.fromAsync(message.value.chunks());
      const script = parseScriptMessage(concat(parts));
      if (script === undefined) return refused("damaged", `Cannot read ${label}: no sieve script`);
      const isActive = flags.includes("\\Flagged");
      scripts.push({ ...script, lastUpdate: internaldate, isActive });
    }
  }
  return ok(scripts);
}

/** Reads the scripts that are files in `folder`. There are none where there is no such folder. */
export function readScriptFolder(folder: string): Outcome<SieveScript[]> {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (isAbsence(error)) {
      const other = obstacleAt(folder);
      if (other === undefined) return ok([]);
      return refused("damaged", `Cannot read sieve scripts: ${other} leads to no folder`);
    }
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
