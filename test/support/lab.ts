/** Real, isolated Cyrus servers on loopback (test/support/cyrus-lab), where Cyrus is installed. */
import { chmodSync, existsSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { tempDir } from "./temp_dir.ts";

const LAB = join(import.meta.dir, "cyrus-lab", "lab");
const STORM = join(import.meta.dir, "cyrus-lab", "lab-storm.py");
const EVERYTHING = join(import.meta.dir, "cyrus-lab", "lab-everything");

/** A running instance; `down` ends exactly that one. */
export interface Lab {
  readonly folder: string;
  readonly conf: string;
  readonly spool: string;
  readonly imapPort: number;
  readonly syncPort: number;
  /** Runs `lab COMMAND FOLDER ARGS`; throws with its output when it fails. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** A raw session of `user` with these commands, one a line; what came back. */
  talk(kind: "imap" | "csync", user: string, commands: string): Promise<string>;
  /** Gives two filled users everything that `fill` leaves out (lab-everything). */
  everything(user: string, other: string): Promise<void>;
  /** Starts lab-storm.py: `user` is written to for `seconds`; resolves with the rates. */
  storm(user: string, seconds: number, ...args: readonly string[]): Promise<StormResult>;
  down(): Promise<void>;
}

export interface StormResult {
  readonly deliveries: number;
  readonly changes: number;
  readonly seconds: number;
}

/** Starts an instance with these options of `lab up`. */
export function labUp(...options: readonly string[]): Promise<Lab> {
  return labUpIn(tempDir("lab"), options);
}

const MEMORY = "/dev/shm";
const ROOM_BYTES = 2 * 1024 ** 3;

/** The same in memory, where there is room: Cyrus syncs each change, and a lab is thrown away. */
export function labUpInMemory(...options: readonly string[]): Promise<Lab> {
  return labUpIn(tempDirInMemory("lab"), options);
}

/** A temporary folder in memory, or on the disk where memory has no room. */
export function tempDirInMemory(name: string): string {
  return hasMemory() ? tempDir(name, MEMORY) : tempDir(name);
}

function hasMemory(): boolean {
  if (!existsSync(MEMORY)) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > ROOM_BYTES;
}

async function labUpIn(parent: string, options: readonly string[]): Promise<Lab> {
  const folder = join(parent, "server");
  chmodSync(join(folder, ".."), 0o755); // the cyrus user must be able to enter it
  const base = await freePorts(4);
  await lab("up", folder, "--base-port", String(base), ...options);
  return {
    folder,
    conf: join(folder, "imapd.conf"),
    spool: join(folder, "spool"),
    imapPort: base,
    syncPort: base + 1,
    run: (command, ...args) => lab(command, folder, ...args),
    talk: (kind, user, commands) =>
      run(["bash", LAB, "talk", folder, kind, user], new TextEncoder().encode(commands)),
    everything: async (user, other) => {
      await run(["bash", EVERYTHING, folder, user, other]);
    },
    storm: async (user, seconds, ...args) => {
      const env = join(folder, "lab.env");
      const out = await run(["python3", STORM, env, String(seconds), user, ...args]);
      const [deliveries = 0, changes = 0, took = 0] = out.trim().split(" ").map(Number);
      return { deliveries, changes, seconds: took };
    },
    down: async () => {
      await lab("down", folder);
    },
  };
}

/**
 * Says `commands` to a service of the lab as `user`; `{{text}}` is a literal. Throws if one is
 * refused.
 */
export async function talkTo(
  { folder }: Lab,
  service: "imap" | "sieve",
  user: string,
  commands: readonly string[] = [],
): Promise<string> {
  const lines = commands.map((line) => `${line.replaceAll("\\", "\\\\")}\n`).join("");
  const child = Bun.spawn(["bash", LAB, "talk", folder, service, user], {
    ...({ stdin: new Blob([lines]), stdout: "pipe", stderr: "pipe" } as const),
  });
  const said = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${lines}${said}`);
  return said;
}

/**
 * Has the server read names with dots between their parts (`unixhierarchysep: no`), or with slashes
 * again.
 */
export async function changeNames(lab: Lab, unixhierarchysep: "yes" | "no"): Promise<void> {
  await lab.down();
  const conf = readFileSync(lab.conf, "utf8");
  writeFileSync(
    lab.conf,
    conf.replace(/^unixhierarchysep: .*/m, `unixhierarchysep: ${unixhierarchysep}`),
  );
  await lab.run("up");
}

/** What Cyrus wrote to syslog. */
export function labLog({ folder }: Lab): string {
  return readFileSync(join(folder, "log", "syslog"), "utf8");
}

function lab(command: string, ...args: readonly string[]): Promise<string> {
  return run(["bash", LAB, command, ...args]);
}

async function run(command: readonly string[], stdin?: Uint8Array): Promise<string> {
  const child = Bun.spawn([...command], {
    ...{ stdout: "pipe", stderr: "pipe" },
    stdin: stdin ?? "ignore",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) === 0) return stdout;
  throw new Error(`${command.join(" ")} ended with ${child.exitCode}: ${stderr}${stdout}`);
}

/** The first of `count` ports in a row that nobody listens on. */
async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = 30_000 + Math.floor(Math.random() * 2500) * 10;
    const ports = Array.from({ length: count }, (_, at) => base + at);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free ports");
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
