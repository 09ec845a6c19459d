/** The real command line tools of Cyrus, run in a private folder, where they are installed. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "./temp_dir.ts";

const TOOLS = process.env["CYRUS_TOOLS"] ?? "/usr/lib/cyrus/bin";
let reported = false;

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

/** Fails loudly once, and gives undefined, where no Cyrus is installed. */
export function cyrusTools(
  settings: Readonly<Record<string, string>> = {},
): CyrusTools | undefined {
  const account = cyrusAccount();
  if (!existsSync(join(TOOLS, "cyr_dbtool")) || account === undefined) {
    if (process.env["CI"] === "true")
      throw new Error("CI without Cyrus: run cyrus-lab/lab install");
    if (!reported) console.warn("SKIPPED: tests with real Cyrus tools: none are installed here");
    reported = true;
    return undefined;
  }
  const folder = tempDir("cyrus");
  const write = (name: string, bytes: Uint8Array | string) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    if (account.asRoot) chownSync(path, account.uid, account.gid);
    return path;
  };
  chmodSync(folder, 0o755);
  for (const name of ["", "conf", "spool", "lock", "proc"]) {
    mkdirSync(join(folder, name), { recursive: true });
    if (account.asRoot) chownSync(join(folder, name), account.uid, account.gid);
  }
  const own = (path: string) => {
    if (account.asRoot) spawnSync("chown", ["-R", `${account.uid}:${account.gid}`, path]);
  };
  const conf = write("imapd.conf", confOf(folder, settings));
  const identity = account.asRoot ? { uid: account.uid, gid: account.gid } : {};
  const run: CyrusTools["run"] = (tool, args, options = {}) => {
    const all = ["-C", options.conf ?? conf, ...args];
    const done = spawnSync(join(TOOLS, tool), all, { input: options.input ?? "", ...identity });
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

/** Cyrus' tools refuse to run as root, so root takes the account `cyrus`. */
function cyrusAccount(): { asRoot: boolean; uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return { asRoot: false, uid: 0, gid: 0 };
  const line = readFileSync("/etc/passwd", "utf8").match(/^cyrus:[^:]*:(\d+):(\d+):/m);
  if (line === null) return undefined;
  return { asRoot: true, uid: Number(line[1]), gid: Number(line[2]) };
}
