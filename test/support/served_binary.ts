/** `bobbin serve` as built, over a new store. */
import { openSync, readFileSync } from "node:fs";
import type { Subprocess } from "bun";
import { noAccounts } from "../../src/accounts/account.ts";
import { writeAccounts } from "../../src/accounts/users_file.ts";
import { bobbin, bobbinPath, listeningPorts } from "./cli.ts";
import { cheapAccount } from "./serve.ts";
import { tempDir } from "./temp_dir.ts";

export interface ServedBinary {
  readonly port: number;
  readonly store: string;
  readonly child: Subprocess<"ignore", "pipe">;
  /** Its log so far. */
  log(): string;
  /** The most memory that the process has taken so far. */
  peakMib(): number;
}

export interface ServedBinaryOptions {
  /** The folder of the store; a new one without it. */
  readonly folder?: string;
  readonly args?: readonly string[];
  /** A descriptor for its log; a file, which `log` reads, without it. */
  readonly stderr?: number;
  /** What it is started with, such as strace. */
  readonly under?: readonly string[];
}

/** `admin` may touch everything, `anne` only herself; password `labpass`. */
export async function serveBinary(options: ServedBinaryOptions = {}): Promise<ServedBinary> {
  const { folder = tempDir("served"), args = [], under = [] } = options;
  const logFile = `${tempDir("log")}/log`;
  const stderr = options.stderr ?? openSync(logFile, "w");
  const store = `${folder}/store`;
  const made = await bobbin(["store", "init", store]);
  if (made.exit !== 0) throw new Error(made.stderr);
  const users = `${tempDir("users")}/users`;
  const known = [await cheapAccount("admin", ["*"]), await cheapAccount("anne", ["anne"])];
  writeAccounts(users, { ...noAccounts(), byName: new Map(known.map((one) => [one.name, one])) });
  const command = [bobbinPath(), "serve", store, "--users-file", users, "--json", ...args];
  const child = Bun.spawn([...under, ...command, "--listen", "127.0.0.1:0"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr,
  });
  const [port = 0] = await listeningPorts(child);
  const peakMib = (): number => {
    const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  };
  return { port, store, child, log: () => readFileSync(logFile, "utf8"), peakMib };
}
