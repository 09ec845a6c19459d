/**
 * `npm run bench -- replicate`: one user brought to an empty replica by `bobbin replicate` and by
 * Cyrus' own client, to `bobbin serve` and to Cyrus' own server, interleaved, beside the floor:
 * writing and syncing the same bytes to as many files. Then runs over a thousand mailboxes that
 * have nothing to do.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { syncFileSystem } from "../../src/storage/libc.ts";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { type Lab, labUp, tempDirInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { tcpProxy } from "../support/tcp_proxy.ts";
import { tempDir } from "../support/temp_dir.ts";
import { type Contender, runOnce, spreadOf } from "./measure.ts";
import { serve, sync } from "./serve.ts";

const OPTIONS = {
  rounds: { type: "string", default: "5" },
  messages: { type: "string", default: "5000" },
  mailboxes: { type: "string", default: "1000" },
  /** Of the user who is brought from a server that is 20 ms away. */
  far: { type: "string", default: "1000" },
  /** Another `bobbin` to be measured beside this one, from there. */
  against: { type: "string", default: "" },
  /** Only the contenders whose name has this in it. */
  only: { type: "string", default: "" },
} as const;

interface Measured {
  readonly seconds: number;
  /** Of the client, where it is Bobbin's: 0 otherwise. */
  readonly peakBytes: number;
  readonly cpuSeconds: number;
}

type Contenders = Readonly<Record<string, () => Promise<Measured>>>;

/** Measures and prints the times. */
export async function benchReplicate(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (!has("a Cyrus server")) throw new Error("no Cyrus is installed here");
  const options = { rounds: Number(values.rounds), only: values.only };
  const source = await labUp();
  try {
    await source.run("user", "ann");
    await source.run("fill", "ann", values.messages, "--seed", "1");
    const messages = messagesBelow(source.spool);
    const median = await interleaved(
      {
        floor: () => floor(messages),
        "Cyrus to Cyrus, DEFLATE": () => cyrusToCyrus(source, "csync"),
        "Cyrus to Cyrus, plain": () => cyrusToCyrus(source, "imap"),
        "Bobbin to Bobbin": () => bobbinToBobbin(source),
        "Bobbin to Cyrus": () => bobbinToCyrus(source, []),
        "Bobbin to Cyrus, DEFLATE": () => bobbinToCyrus(source, ["--compress"]),
      },
      options,
    );
    ratio("Cyrus to Cyrus, DEFLATE", "Bobbin to Bobbin", median);
    ratio("Cyrus to Cyrus, plain", "Bobbin to Bobbin", median);
    ratio("Bobbin to Bobbin", "floor", median);
    ratio("Cyrus to Cyrus, plain", "Bobbin to Cyrus", median);
    ratio("Cyrus to Cyrus, DEFLATE", "Bobbin to Cyrus, DEFLATE", median);
    await nothingToDo(source, Number(values.mailboxes), options);
    await fromFarAway(source, { ...options, messages: values.far, against: values.against });
  } finally {
    await source.down();
  }
}

interface Rounds {
  readonly rounds: number;
  readonly only: string;
}

/**
 * Runs all of them round by round, each round beginning with another one; their medians in seconds.
 */
async function interleaved(
  contenders: Contenders,
  { rounds, only }: Rounds,
): Promise<ReadonlyMap<string, number>> {
  const chosen = Object.entries(contenders).filter(([name]) => name.includes(only));
  const runs = new Map<string, Measured[]>(chosen.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < chosen.length; turn++) {
      const [name = "", run] = chosen[(round + turn) % chosen.length] ?? [];
      const one = await run?.();
      if (one === undefined) continue;
      runs.get(name)?.push(one);
      console.log(`round ${round + 1}  ${name.padEnd(26)} ${one.seconds.toFixed(2)} s`);
    }
  }
  const medians = new Map<string, number>();
  for (const [name, all] of runs) {
    const { median, min, max } = spreadOf(all.map(({ seconds }) => seconds));
    const peak = Math.max(...all.map(({ peakBytes }) => peakBytes)) / 2 ** 20;
    const cpu = spreadOf(all.map(({ cpuSeconds }) => cpuSeconds)).median;
    const client = peak > 0 ? `, client ${cpu.toFixed(1)} s of CPU, ${peak.toFixed(0)} MiB` : "";
    const spread = `${min.toFixed(2)} to ${max.toFixed(2)}`;
    console.log(`${name.padEnd(26)} ${median.toFixed(2)} s (${spread})${client}`);
    medians.set(name, median);
  }
  return medians;
}

function ratio(slow: string, fast: string, median: ReadonlyMap<string, number>): void {
  const [left, right] = [median.get(slow), median.get(fast)];
  if (left === undefined || right === undefined) return;
  console.log(`${slow} takes ${(left / right).toFixed(2)} times as long as ${fast}`);
}

/** Every message once, as the store keeps it. */
function messagesBelow(spool: string): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  for (const entry of readdirSync(spool, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/^\d+\.$/.test(entry.name)) continue;
    const bytes = readFileSync(join(entry.parentPath, entry.name));
    found.set(createHash("sha1").update(bytes).digest("hex"), bytes);
  }
  return [...found.values()];
}

async function floor(messages: readonly Uint8Array[]): Promise<Measured> {
  const folder = join(tempDir("floor"), "files");
  mkdirSync(folder);
  const started = performance.now();
  messages.forEach((bytes, number) => {
    const fd = openSync(join(folder, String(number)), "wx", 0o600);
    writeSync(fd, bytes);
    closeSync(fd);
  });
  const fd = openSync(folder, "r");
  syncFileSystem(fd, folder);
  closeSync(fd);
  const seconds = (performance.now() - started) / 1000;
  return { seconds, peakBytes: 0, cpuSeconds: 0 };
}

/** Inside IMAP Cyrus' client never compresses; over csync it always does. */
async function cyrusToCyrus(source: Lab, way: "csync" | "imap"): Promise<Measured> {
  const replica = await labUp();
  try {
    const port = way === "imap" ? replica.imapPort : replica.syncPort;
    return { seconds: await sync(source, port, way), peakBytes: 0, cpuSeconds: 0 };
  } finally {
    await replica.down();
  }
}

/** `bobbin replicate`, as an administrator runs it. */
async function replicate(
  user: string,
  args: readonly string[],
  path = bobbinPath(),
): Promise<Measured> {
  const folder = tempDir("bench-replicate");
  const secret = join(folder, "password");
  writeFileSync(secret, "labpass\n", { mode: 0o600 });
  const command = [path, "replicate", user, "--password-file", secret, ...args];
  const contender: Contender = { name: "bobbin replicate", command };
  const { wallMs, cpuMs, peakRssBytes } = await runOnce(contender);
  return { seconds: wallMs / 1000, peakBytes: peakRssBytes, cpuSeconds: cpuMs / 1000 };
}

function syncLocator(port: number): string {
  return `sync://admin@127.0.0.1:${port}`;
}

async function bobbinToBobbin(source: Lab): Promise<Measured> {
  const server = await serve([]);
  try {
    const to = syncLocator(server.port);
    return await replicate("ann", ["--from", `cyrus:${source.conf}`, "--to", to]);
  } finally {
    await server.stop();
  }
}

async function bobbinToCyrus(source: Lab, options: readonly string[]): Promise<Measured> {
  const replica = await labUp();
  try {
    const to = syncLocator(replica.syncPort);
    return await replicate("ann", ["--from", `cyrus:${source.conf}`, "--to", to, ...options]);
  } finally {
    await replica.down();
  }
}

interface FarAway extends Rounds {
  readonly messages: string;
  readonly against: string;
}

const ROUND_TRIP_MS = 20;

/** A user brought into an empty store from sync servers, Cyrus' and ours, that are 20 ms away. */
async function fromFarAway(source: Lab, { messages, against, ...options }: FarAway): Promise<void> {
  await source.run("user", "far");
  await source.run("fill", "far", messages, "--seed", "2");
  const server = await serve([]);
  await replicate("far", ["--from", `cyrus:${source.conf}`, "--to", syncLocator(server.port)]);
  const proxies = {
    Cyrus: await tcpProxy(source.syncPort, { roundTripMs: ROUND_TRIP_MS }),
    "bobbin serve": await tcpProxy(server.port, { roundTripMs: ROUND_TRIP_MS }),
  };
  const programs = { now: bobbinPath(), ...(against !== "" && { before: against }) };
  const contenders = Object.entries(proxies).flatMap(([what, { port }]) =>
    Object.entries(programs).map(([name, path]) => {
      const bring = async () => {
        // In memory: what is measured is the way to the source.
        const store = join(tempDirInMemory("bench-replicate"), "store");
        await bobbin(["store", "init", store]);
        return replicate("far", ["--from", syncLocator(port), "--to", `store:${store}`], path);
      };
      return [`far ${what}, ${name}`, bring] as const;
    }),
  );
  console.log(`${messages} messages from a server that is ${ROUND_TRIP_MS} ms away:`);
  const median = await interleaved(Object.fromEntries(contenders), options);
  for (const what of Object.keys(proxies)) ratio(`far ${what}, before`, `far ${what}, now`, median);
  for (const proxy of Object.values(proxies)) await proxy.stop();
  await server.stop();
}

/** A user of many mailboxes with a message each, already brought. */
async function nothingToDo(source: Lab, mailboxes: number, options: Rounds): Promise<void> {
  await source.run("user", "many", "--plain");
  await source.talk("imap", "many", manyMailboxes(mailboxes));
  const [server, replica] = [await serve([]), await labUp()];
  const store = `store:${join(tempDir("bench-replicate"), "store")}`;
  await bobbin(["store", "init", store.slice("store:".length)]);
  const fromDisk = ["--from", `cyrus:${source.conf}`];
  const toBobbin = [...fromDisk, "--to", syncLocator(server.port)];
  const toCyrus = ["--from", store, "--to", syncLocator(replica.syncPort)];
  for (const places of [[...fromDisk, "--to", store], toBobbin, toCyrus]) {
    await replicate("many", places);
  }
  console.log(`nothing to do in ${mailboxes} mailboxes:`);
  await interleaved(
    {
      "no-op, Cyrus to Cyrus": async () => {
        const seconds = await sync(source, replica.syncPort, "csync", "many");
        return { seconds, peakBytes: 0, cpuSeconds: 0 };
      },
      "no-op, disk to Bobbin": () => replicate("many", toBobbin),
      "no-op, store to Cyrus": () => replicate("many", toCyrus),
    },
    options,
  );
  await server.stop();
  await replica.down();
}

function manyMailboxes(count: number): string {
  const lines = Array.from({ length: count }, (_, number) => [
    `CREATE box${number}`,
    `APPEND box${number} {{Subject: ${number}\\r\\n\\r\\nmessage ${number}\\r\\n}}`,
  ]);
  return lines.flat().join("\n");
}
