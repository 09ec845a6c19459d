/**
 * `npm run bench -- serve`: a real sync_client brings one user to an empty replica: to a real Cyrus
 * and to `bobbin serve`, with DEFLATE and without, interleaved. Then a hundred idle and twenty busy
 * sessions.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeAccount, noAccounts } from "../../src/accounts/account.ts";
import { writeAccounts } from "../../src/accounts/users_file.ts";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { type Lab, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { guidOf, message } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";
import { spreadOf } from "./measure.ts";

const OPTIONS = {
  rounds: { type: "string", default: "3" },
  messages: { type: "string", default: "5000" },
  /** Only the contenders whose name has this in it. */
  only: { type: "string", default: "" },
  /** Nothing but the hundred idle and twenty busy sessions; needs no Cyrus. */
  sessions: { type: "boolean", default: false },
} as const;

const LAB = join(import.meta.dir, "../support/cyrus-lab/lab");

/** Measures and prints the times. */
export async function benchServe(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.sessions) return manySessions();
  if (!has("a Cyrus server")) throw new Error("no Cyrus is installed here");
  const source = await labUp();
  try {
    await source.run("user", "ann");
    await source.run("fill", "ann", values.messages, "--seed", "1");
    const contenders: Record<string, () => Promise<Measured>> = {
      "Cyrus, DEFLATE": () => toCyrus(source, "csync"),
      "Bobbin, DEFLATE": () => toBobbin(source, []),
      "Cyrus, plain": () => toCyrus(source, "imap"),
      "Bobbin, plain": () => toBobbin(source, ["--no-compress"]),
    };
    const measured: Record<string, Measured[]> = {};
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [name, run] of Object.entries(contenders)) {
        if (!name.includes(values.only)) continue;
        const one = await run();
        measured[name] = [...(measured[name] ?? []), one];
        console.log(`round ${round + 1}  ${name.padEnd(16)} ${one.seconds.toFixed(2)} s`);
      }
    }
    report(measured);
  } finally {
    await source.down();
  }
  await manySessions();
}

interface Measured {
  readonly seconds: number;
  /** Of the server; 0 where it is many processes. */
  readonly peakBytes: number;
  /** CPU time of the server, likewise. */
  readonly cpuSeconds: number;
}

function report(measured: Readonly<Record<string, readonly Measured[]>>): void {
  const medianOf = (name: string) => {
    return spreadOf((measured[name] ?? []).map((one) => one.seconds)).median;
  };
  for (const [name, runs] of Object.entries(measured)) {
    const peak = Math.max(...runs.map((one) => one.peakBytes)) / 1024 / 1024;
    const way = name.split(", ")[1] ?? "";
    const times = medianOf(`Cyrus, ${way}`) / medianOf(name);
    const cpu = spreadOf(runs.map((one) => one.cpuSeconds)).median.toFixed(1);
    const rss = peak > 0 ? `, ${cpu} s of CPU, at most ${peak.toFixed(0)} MiB` : "";
    console.log(
      `${name.padEnd(16)} ${medianOf(name).toFixed(2)} s, ${times.toFixed(2)} times Cyrus${rss}`,
    );
  }
}

/** The real sync_client, timed. */
export async function sync(
  source: Lab,
  port: number,
  way: "csync" | "imap",
  user = "ann",
): Promise<number> {
  const command = [
    "bash",
    LAB,
    "sync-client",
    source.folder,
    "127.0.0.1",
    String(port),
    "-u",
    user,
  ];
  const env = { ...process.env, SYNC_TRY_IMAP: way === "imap" ? "yes" : "no" };
  const started = performance.now();
  const child = Bun.spawn(command, { env, stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`sync_client: ${said}`);
  return (performance.now() - started) / 1000;
}

/** Inside IMAP Cyrus' client never compresses; over csync it always does. */
async function toCyrus(source: Lab, way: "csync" | "imap"): Promise<Measured> {
  const replica = await labUp();
  try {
    const port = way === "imap" ? replica.imapPort : replica.syncPort;
    return { seconds: await sync(source, port, way), peakBytes: 0, cpuSeconds: 0 };
  } finally {
    await replica.down();
  }
}

async function toBobbin(source: Lab, options: readonly string[]): Promise<Measured> {
  const server = await serve(options);
  try {
    const seconds = await sync(source, server.port, "csync");
    return { seconds, peakBytes: server.peakBytes(), cpuSeconds: server.cpuSeconds() };
  } finally {
    await server.stop();
  }
}

export interface Served {
  readonly port: number;
  readonly peakBytes: () => number;
  readonly cpuSeconds: () => number;
  stop(): Promise<void>;
}

/**
 * A server over a new store; `path` is that of the program, the one that was built if not given.
 */
export async function serve(options: readonly string[], path = bobbinPath()): Promise<Served> {
  const folder = tempDir("bench-serve");
  const account = await makeAccount("admin", "labpass", ["*"]);
  writeAccounts(`${folder}/users`, { ...noAccounts(), byName: new Map([["admin", account]]) });
  await bobbin(["store", "init", `${folder}/store`]);
  const command = [path, "serve", `${folder}/store`, "--users-file", `${folder}/users`];
  const child = Bun.spawn(
    [...command, "--listen", "127.0.0.1:0", "--json", "--quiet", ...options],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(/:(\d+)"/.exec(new TextDecoder().decode(value))?.[1]);
  return {
    port,
    peakBytes: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
      return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
    },
    cpuSeconds: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "latin1").split(") ")[1]?.split(" ");
      return (Number(fields?.[11]) + Number(fields?.[12])) / TICKS_PER_SECOND;
    },
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** USER_HZ: 100 on every Linux that matters. */
const TICKS_PER_SECOND = 100;
const IDLE = 100;
const BUSY = 20;
const MESSAGES = 200;

/** Twenty clients bring a user each while a hundred are signed in and silent. */
async function manySessions(): Promise<void> {
  const server = await serve([]);
  const idle: Csync[] = [];
  for (let count = 0; count < IDLE; count++) idle.push(await Csync.signedIn(server.port));
  const busy = await Promise.all(Array.from({ length: BUSY }, () => Csync.signedIn(server.port)));
  const started = performance.now();
  await Promise.all(busy.map((client, number) => fill(client, `user${number}`)));
  const seconds = (performance.now() - started) / 1000;
  const peak = server.peakBytes() / 1024 / 1024;
  const rate = (BUSY * MESSAGES) / seconds;
  console.log(
    `${IDLE} idle and ${BUSY} busy sessions: ${rate.toFixed(0)} messages/s, at most ` +
      `${peak.toFixed(0)} MiB`,
  );
  for (const client of [...idle, ...busy]) client.close();
  await server.stop();
}

/** Brings one user with messages of some 30 KB. */
async function fill(client: Csync, user: string): Promise<void> {
  const records: string[] = [];
  for (let uid = 1; uid <= MESSAGES; uid++) {
    const bytes = message(uid, 30_000);
    const guid = guidOf(bytes);
    // In one command, as sync_client sends up to 1024.
    client.send(`${uid === 1 ? "APPLY MESSAGE (" : " "}%{default ${guid} ${bytes.length}}\r\n`);
    client.send(bytes);
    records.push(
      `%(UID ${uid} MODSEQ 2 LAST_UPDATED 1700000000 FLAGS () INTERNALDATE 1700000000 ` +
        `SIZE ${bytes.length} GUID ${guid})`,
    );
  }
  expectOk(await client.command(")"));
  const line =
    `APPLY MAILBOX %(UNIQUEID id-${user} MBOXNAME user.${user} SYNC_CRC 0 SYNC_CRC_ANNOT 0 ` +
    `LAST_UID ${MESSAGES} HIGHESTMODSEQ 2 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 ` +
    "POP3_LAST_LOGIN 0 " +
    `UIDVALIDITY 1 PARTITION default ACL "" OPTIONS "" RECORD (${records.join(" ")}))`;
  expectOk(await client.command(line));
}

function expectOk({ status }: { readonly status: string }): void {
  if (!status.startsWith("OK")) throw new Error(status);
}
