/**
 * What tests need of the machine besides this tree. Where it is missing they are skipped, and one
 * line says why; with CI=true a missing peer or tool is an error instead, so that CI cannot pass
 * for want of it.
 */
import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { tempDir } from "./temp_dir.ts";

interface NeedFacts {
  readonly isThere: () => boolean;
  /** How to get it, for whoever reads that tests were skipped. */
  readonly hint: string;
  /** A property of the machine rather than a tool: CI goes on without it, and names the tests. */
  readonly isOptional?: boolean;
}

/** Where Cyrus' own tools lie. */
export const CYRUS_TOOLS = process.env["CYRUS_TOOLS"] ?? "/usr/lib/cyrus/bin";
const UNPACKED_CYRUS = process.env["CYRUS_LAB_ROOT"] ?? "/var/tmp/cyrus-lab";
const INSTALL_CYRUS = "bash test/support/cyrus-lab/lab install";

const NEEDS = {
  "a Cyrus server": {
    isThere: () =>
      ["", UNPACKED_CYRUS].some((root) => existsSync(`${root}/usr/lib/cyrus/bin/sync_server`)),
    hint: INSTALL_CYRUS,
  },
  "Cyrus' tools": {
    isThere: () =>
      existsSync(join(CYRUS_TOOLS, "cyr_dbtool")) && (!isRoot() || cyrusIds() !== undefined),
    hint: INSTALL_CYRUS,
  },
  strace: { isThere: () => existsSync("/usr/bin/strace"), hint: "apt-get install strace" },
  python3: tool("python3"),
  zsh: tool("zsh"),
  fish: tool("fish"),
  man: tool("man", "man-db"),
  mandoc: tool("mandoc"),
  ip: tool("ip", "iproute2"),
  openssl: tool("openssl"),
  "systemd-analyze": tool("systemd-analyze", "systemd"),
  root: { isThere: isRoot, hint: "run the tests as root" },
  "mounting a file system": {
    isThere: canMount,
    hint: "run as root with the capability SYS_ADMIN",
    isOptional: true,
  },
  "a systemd of its own": {
    isThere: canBoot,
    hint: "run as root, with systemd installed and the capability SYS_ADMIN",
    isOptional: true,
  },
  "an address besides loopback": {
    isThere: () => outsideAddress() !== undefined,
    hint: "run on a machine with a network",
    isOptional: true,
  },
} satisfies Record<string, NeedFacts>;

/** A program of Debian's. */
function tool(name: string, debian = name): NeedFacts {
  return { isThere: () => Bun.which(name) !== null, hint: `apt-get install ${debian}` };
}

export type Need = keyof typeof NEEDS;

const known = new Map<Need, boolean>();

/** True where `need` is there. Throws with CI=true where a peer or tool is not. */
export function has(need: Need): boolean {
  const answer = known.get(need);
  if (answer !== undefined) return answer;
  const { isThere, hint, isOptional }: NeedFacts = NEEDS[need];
  const there = isThere();
  if (!there && isOptional !== true && process.env["CI"] === "true") {
    throw new Error(`CI=true, and ${need} is missing: ${hint}`);
  }
  if (!there) console.warn(`SKIPPED: tests that need ${need}: ${hint}`);
  known.set(need, there);
  return there;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The ids of the account `cyrus`, as which root runs Cyrus' tools. */
export function cyrusIds(): { readonly uid: number; readonly gid: number } | undefined {
  const line = readFileSync("/etc/passwd", "utf8").match(/^cyrus:[^:]*:(\d+):(\d+):/m);
  return line === null ? undefined : { uid: Number(line[1]), gid: Number(line[2]) };
}

/** An IPv4 address of this machine that is not loopback, from which a client counts as foreign. */
export function outsideAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flat();
  return all.find((one) => one?.family === "IPv4" && !one.internal)?.address;
}

function canMount(): boolean {
  if (!isRoot()) return false;
  const folder = tempDir("mount");
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "bobbin-test", folder]);
  return mount.success && Bun.spawnSync(["umount", folder]).success;
}

/** True where processes, mounts and control groups can be had apart from those of the machine. */
function canBoot(): boolean {
  if (!isRoot() || !existsSync("/lib/systemd/systemd")) return false;
  const apart = ["unshare", "--mount", "--pid", "--cgroup", "--ipc", "--fork"];
  return Bun.spawnSync([...apart, "mount", "-t", "cgroup2", "cgroup", "/sys/fs/cgroup"]).success;
}
