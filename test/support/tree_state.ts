/** What lies below a folder, so that a test can say that nothing has touched it. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * For each file its path, mode, size, time of last change and SHA-1; for each folder its path and
 * mode.
 */
export function treeState(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => stateOf(root, join(entry.parentPath, entry.name)))
    .sort();
}

function stateOf(root: string, path: string): string {
  const { mode, size, mtimeNs } = lstatSync(path, { bigint: true });
  const about = `${relative(root, path)} ${mode.toString(8)}`;
  const isFile = (Number(mode) & 0o170000) === 0o100000;
  if (!isFile) return about;
  return (
    `${about} ${size} ${mtimeNs} ` +
    `${createHash("sha1").update(readFileSync(path)).digest("hex")}`
  );
}
