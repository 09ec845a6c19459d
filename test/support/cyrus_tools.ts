/**
 * The real command line tools of Cyrus, run in a private folder, where they are installed. They
 * refuse to run as root, so root runs them as the account `cyrus`.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CYRUS_TOOLS, cyrusIds, has } from "./needs.ts";
import { tempDir } from "./temp_dir.ts";

export interface CyrusTools {
  /** A folder that the tools may write in. */
  readonly folder: string;
  /** Writes a file there that the tools may change. */
  readonly write: (name: string, bytes: Uint8Array | string) => string;
  /** Gives everything below a folder to the tools' account. */
  readonly own: (path: string) => void;
  /** Runs a tool with this folder's imapd.conf, or another; throws when it fails. */
  readonly run: (
    tool: string,
    args: readonly string[],
    options?: { readonly input?: string; readonly conf?: string },
  ) => string;
}

/** Undefined where no Cyrus is installed; see `has`. */
export function cyrusTools(
  settings: Readonly<Record<string, string>> = {},
): CyrusTools | undefined {
  if (!has("Cyrus' tools")) return undefined;
  const account = process.getuid?.() === 0 ? cyrusIds() : undefined;
  const folder = tempDir("cyrus");
  const write = (name: string, bytes: Uint8Array | string) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    if (account !== undefined) chownSync(path, account.uid, account.gid);
    return path;
  };
  chmodSync(folder, 0o755);
  for (const name of ["", "conf", "spool", "lock", "proc"]) {
    mkdirSync(join(folder, name), { recursive: true });
    if (account !== undefined) chownSync(join(folder, name), account.uid, account.gid);
  }
  const own = (path: string) => {
    if (account !== undefined) spawnSync("chown", ["-R", `${account.uid}:${account.gid}`, path]);
  };
  const conf = write("imapd.conf", confOf(folder, settings));
  const run: CyrusTools["run"] = (tool, args, options = {}) => {
    const all = ["-C", options.conf ?? conf, ...args];
    const done = spawnSync(join(CYRUS_TOOLS, tool), all, {
      input: options.input ?? "",
      ...account,
    });
    if (done.status === 0) return done.stdout.toString("latin1");
    throw new Error(`${tool} ${args.join(" ")}: ${done.status}: ${done.stderr}${done.error ?? ""}`);
  };
  return { folder, write, own, run };
}

function confOf(folder: string, settings: Readonly<Record<string, string>>): string {
  const all = {
    configdirectory: `${folder}/conf`,
    "partition-default": `${folder}/spool`,
    mboxname_lockpath: `${folder}/lock`,
    proc_path: `${folder}/proc`,
    conversations: "no",
    ...settings,
  };
  return `${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n")}\n`;
}
