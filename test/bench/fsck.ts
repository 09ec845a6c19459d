/**
 * `npm run bench -- fsck`: how fast `bobbin fsck` is beside the programs an administrator has for
 * the same question, on spools made once and kept. Everything is interleaved and as a whole
 * process.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaultWorkers } from "../../src/threads/job_pool.ts";
import {
  type BuiltSpool,
  buildLinkedSpool,
  buildSpool,
  folderOf,
  type SpoolSize,
} from "../support/spool/build_spool.ts";
import { reconstructCommand, writeCyrusConfig } from "./cyrus_peer.ts";
import {
  type Contender,
  type InterleaveOptions,
  interleave,
  type Row,
  runOnce,
  tableOf,
} from "./measure.ts";

const PROJECT = join(import.meta.dir, "../..");
const BOBBIN = join(PROJECT, "dist/bobbin");
const VERSION_RUNS = 40;
/** To be raised when the builders make something else of the same size. */
const BUILDERS = 1;

const OPTIONS = {
  rounds: { type: "string", default: "7" },
  /** Milliseconds before each run. */
  pause: { type: "string", default: "0" },
  messages: { type: "string", default: "50000" },
  mailboxes: { type: "string", default: "100" },
  records: { type: "string", default: "1000000" },
  cold: { type: "boolean", default: false },
  "cold-rounds": { type: "string", default: "3" },
  dir: { type: "string", default: join(PROJECT, ".bench") },
  json: { type: "string" },
} as const;

interface Result {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly bytes?: number;
  readonly remark?: string;
}

/** Builds what is missing below `--dir`, measures, prints tables and writes them as JSON. */
export async function benchFsck(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const pauseMs = wholeNumber(values.pause, "pause");
  const repeat = { rounds: wholeNumber(values.rounds, "rounds"), pauseMs };
  const size = {
    messages: wholeNumber(values.messages, "messages"),
    mailboxes: wholeNumber(values.mailboxes, "mailboxes"),
  };
  const records = wholeNumber(values.records, "records");
  const spool = prepare(join(values.dir, "fsck"), size, buildSpool);
  const results: Result[] = [];
  const add = (result: Result): void => {
    results.push(result);
    report(result);
  };
  add(await warmResult(spool, repeat));
  if (values.cold) {
    const coldRounds = wholeNumber(values["cold-rounds"], "cold-rounds");
    add(await coldResult(spool, { rounds: coldRounds, pauseMs }));
  }
  if (records > 0) {
    const linkedSize = { messages: records, mailboxes: Math.ceil(records / 1000) };
    const linked = prepare(join(values.dir, "quick"), linkedSize, buildLinkedSpool);
    add(await quickResult(linked, repeat));
  }
  add(await versionResult(pauseMs));
  const path = values.json ?? join(values.dir, "fsck.json");
  const machine = { cores: availableParallelism(), model: cpus()[0]?.model ?? "" };
  writeFileSync(path, `${JSON.stringify({ machine, size, ...repeat, results }, null, 2)}\n`);
  console.error(`written to ${path}`);
}

function wholeNumber(text: string, option: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new Error(`--${option} ${text}: not a whole number`);
  return Number(text);
}

interface PreparedSpool extends BuiltSpool {
  /** imapd.conf and all else that Cyrus needs. */
  readonly folder: string;
  readonly partition: string;
  /** The paths of all messages, each ended by a NUL. */
  readonly list: string;
}

/** The spool below `folder`: the one that is there if it is of this size, else a new one. */
function prepare(
  folder: string,
  size: SpoolSize,
  builder: (partition: string, size: SpoolSize) => BuiltSpool,
): PreparedSpool {
  const partition = join(folder, "spool");
  const list = join(folder, "messages.list");
  const stamp = join(folder, "built.json");
  const key = JSON.stringify({ ...size, folder, BUILDERS });
  if (existsSync(stamp)) {
    const kept = JSON.parse(readFileSync(stamp, "utf8")) as { key: string; built: BuiltSpool };
    if (kept.key === key) return { ...kept.built, folder, partition, list };
  }
  console.error(`building ${folder}: ${size.messages} messages in ${size.mailboxes} mailboxes`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const built = builder(partition, size);
  writeCyrusConfig(folder, partition, built.mailboxes);
  writeFileSync(list, [...messagePaths(partition, built, size)].join(""));
  writeFileSync(stamp, JSON.stringify({ key, built }));
  return { ...built, folder, partition, list };
}

function* messagePaths(partition: string, built: BuiltSpool, size: SpoolSize): Generator<string> {
  for (const [number, { uniqueid }] of built.mailboxes.entries()) {
    const [from, to] = [number, number + 1].map((at) =>
      Math.round((at * size.messages) / size.mailboxes),
    ) as [number, number];
    const folder = join(partition, folderOf(uniqueid));
    for (let uid = 1; uid <= to - from; uid++) yield `${folder}/${uid}.\0`;
  }
}

function bobbin(name: string, spool: PreparedSpool, options: readonly string[] = []): Contender {
  return { name, command: [BOBBIN, "fsck", spool.partition, "--no-progress", ...options] };
}

function xargs(spool: PreparedSpool, program: readonly string[]): Contender {
  const count = availableParallelism();
  const command = ["xargs", "-0", `-P${count}`, "-n500", ...program];
  return { name: `xargs -P${count} ${program.join(" ")}`, command, stdin: spool.list };
}

function readCeiling(spool: PreparedSpool): Contender {
  const program = join(import.meta.dir, "read_ceiling.ts");
  return {
    name: "reading alone (the ceiling)",
    command: [process.execPath, program, spool.list, String(defaultWorkers())],
  };
}

async function warmResult(spool: PreparedSpool, repeat: InterleaveOptions): Promise<Result> {
  const contenders = [
    bobbin("bobbin fsck", spool),
    xargs(spool, ["sha1sum"]),
    xargs(spool, ["openssl", "dgst", "-sha1"]),
    bobbin("bobbin fsck --engine wasm", spool, ["--engine", "wasm"]),
    readCeiling(spool),
  ];
  const reconstruct = reconstructCommand(spool.folder);
  const hasCyrus = typeof reconstruct !== "string";
  if (hasCyrus) contenders.push({ name: "reconstruct -n -G", command: reconstruct });
  for (const contender of contenders) await runOnce(contender); // fills the page cache
  return {
    title: `full check, warm cache: ${spool.messages} messages, ${megabytes(spool.bytes)} MB`,
    rows: await interleave(contenders, repeat),
    bytes: spool.bytes,
    ...(hasCyrus ? {} : { remark: `reconstruct -n -G was not run: ${reconstruct}` }),
  };
}

const DROP_CACHES = "/proc/sys/vm/drop_caches";

async function coldResult(spool: PreparedSpool, repeat: InterleaveOptions): Promise<Result> {
  const title = "full check, cold cache";
  try {
    dropCaches();
  } catch (error) {
    return { title, rows: [], remark: `not run: caches cannot be dropped here (${String(error)})` };
  }
  const contenders = [
    bobbin("bobbin fsck", spool),
    xargs(spool, ["sha1sum"]),
    readCeiling(spool),
  ].map((contender) => ({ ...contender, before: dropCaches }));
  return { title, rows: await interleave(contenders, repeat), bytes: spool.bytes };
}

function dropCaches(): void {
  Bun.spawnSync(["sync"]);
  writeFileSync(DROP_CACHES, "3");
}

async function quickResult(spool: PreparedSpool, repeat: InterleaveOptions): Promise<Result> {
  const contender = bobbin("bobbin fsck --quick", spool, ["--quick"]);
  await runOnce(contender);
  return {
    title: `--quick, warm cache: ${spool.messages} records in ${spool.mailboxes.length} mailboxes`,
    rows: await interleave([contender], repeat),
  };
}

async function versionResult(pauseMs: number): Promise<Result> {
  const contenders = [
    { name: "bobbin --version", command: [BOBBIN, "--version"] },
    { name: "true", command: ["true"] },
  ];
  const repeat = { rounds: VERSION_RUNS, pauseMs: Math.min(pauseMs, 100) };
  return { title: `start-up, ${VERSION_RUNS} runs`, rows: await interleave(contenders, repeat) };
}

function report(result: Result): void {
  const { title, rows, bytes, remark } = result;
  const lines = [`\n${title}\n`];
  if (rows.length > 0) lines.push(tableOf(rows, bytes === undefined ? {} : { bytes }));
  if (remark !== undefined) lines.push(remark);
  console.log(lines.join("\n"));
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
