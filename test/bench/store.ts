/**
 * `npm run bench -- store`: the store at scale. It makes a store of many users below `--dir` (kept
 * for the next run), and times what a replica does all day: open a user, append, change flags,
 * rename.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { MailRecord } from "../../src/model/record.ts";
import { allMailboxes, mailboxByName } from "../../src/places/store/catalogue/mailbox_rows.ts";
import { openImage } from "../../src/places/store/commit/open_mailbox.ts";
import { renameMailboxesIn } from "../../src/places/store/commit/rename.ts";
import { Store } from "../../src/places/store/store.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { apply, guidOf, message, NOW, record, stateOf } from "../support/store_fixture.ts";

const OPTIONS = {
  users: { type: "string", default: "1000" },
  mailboxes: { type: "string", default: "10" },
  messages: { type: "string", default: "100" },
  large: { type: "string", default: "100000" },
  dir: { type: "string", default: join(import.meta.dir, "../../.bench/store") },
} as const;

/** Distinct messages that the many mailboxes share: the disk is not what is measured here. */
const DISTINCT = 20;

/** Makes the store if it is missing, then measures and prints. */
export async function benchStore(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const [users, mailboxes, messages, large] = [
    values.users,
    values.mailboxes,
    values.messages,
    values.large,
  ].map(Number);
  const size = { users: users ?? 0, mailboxes: mailboxes ?? 0, messages: messages ?? 0 };
  const root = join(values.dir, `${values.users}-${values.mailboxes}-${values.messages}`);
  const store = prepare(root, size);
  print(
    "users, mailboxes, messages",
    [size.users, size.users * size.mailboxes, size.users * size.mailboxes * size.messages].join(
      ", ",
    ),
  );
  openUsers(root, size.users);
  appends(store);
  flagChanges(store);
  largeMailbox(store, large ?? 0);
  wideTree(store);
  print("memory, RSS", `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
  store.close();
  await Promise.resolve();
}

interface Size {
  readonly users: number;
  readonly mailboxes: number;
  readonly messages: number;
}

function prepare(root: string, size: Size): Store {
  const done = join(root, "bench.done");
  if (existsSync(done)) return new Store(root);
  rmSync(root, { recursive: true, force: true });
  initStore(root);
  const store = new Store(root);
  const records = Array.from({ length: size.messages }, (_, at) =>
    record(at + 1, {}, (at % DISTINCT) + 1),
  );
  const bytes = Array.from({ length: DISTINCT }, (_, at) => message(at + 1));
  const started = performance.now();
  for (let user = 0; user < size.users; user++) {
    for (let box = 0; box < size.mailboxes; box++) {
      const name = box === 0 ? `user.u${user}` : `user.u${user}.box${box}`;
      apply(store, { state: stateOf(name, records), records }, bytes);
    }
  }
  const count = size.users * size.mailboxes * size.messages;
  print(
    "made in",
    `${seconds(started)} s, ${Math.round(count / Number(seconds(started)))} messages/s`,
  );
  writeFileSync(done, "");
  return store;
}

function seconds(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(3);
}

function print(what: string, value: string): void {
  console.log(`${what.padEnd(44)} ${value}`);
}

/** Runs `work` `count` times; median, 99th percentile and mean CPU time in milliseconds. */
function time(what: string, count: number, work: (at: number) => void): void {
  const times: number[] = [];
  const before = process.cpuUsage();
  for (let at = 0; at < count; at++) {
    const started = performance.now();
    work(at);
    times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000 / count;
  times.sort((left, right) => left - right);
  const [median, late] = [0.5, 0.99].map((part) => times[Math.floor(part * (count - 1))] ?? 0);
  const wall = `${(median ?? 0).toFixed(2)} ms (p99 ${(late ?? 0).toFixed(2)})`;
  print(what, `${wall}, ${count} times, CPU ${cpuMs.toFixed(2)} ms each`);
}

/** Opens users that no one has open, and lists their mailboxes. */
function openUsers(root: string, users: number): void {
  const store = new Store(root, { openOwners: 1 });
  time("open a user and list its mailboxes", Math.min(users, 500), (at) => {
    store.find({ kind: "user", userid: `u${(at * 7) % users}` })?.read(allMailboxes);
  });
  store.close();
}

/** Records that a mailbox of the store has now, as its peer would send them. */
function growing(
  store: Store,
  name: string,
): { next: (change?: Partial<MailRecord>) => void; touch: (uid: number) => void } {
  let records: MailRecord[] = [];
  let modseq = 1_000_000n;
  apply(store, { state: stateOf(name, records), records });
  return {
    next: (change = {}) => {
      modseq++;
      const one = record(records.length + 1, { modseq, ...change });
      records = [...records, one];
      apply(store, { state: stateOf(name, records), records: [one] }, [message(one.uid)]);
    },
    touch: (uid) => {
      modseq++;
      const at = uid - 1;
      const before = records[at];
      if (before === undefined) return;
      const one = { ...before, modseq, flags: modseq % 2n === 0n ? ["\\Seen"] : [] };
      records = records.with(at, one);
      apply(store, { state: stateOf(name, records), records: [one] });
    },
  };
}

function appends(store: Store): void {
  const box = growing(store, `user.bench.append${Date.now()}`);
  time("append a message, durable", 300, () => box.next());
}

function flagChanges(store: Store): void {
  const box = growing(store, `user.bench.flags${Date.now()}`);
  for (let at = 0; at < 100; at++) box.next();
  time("change a flag, durable", 500, (at) => box.touch((at % 100) + 1));
}

/** One mailbox of many messages: first in one request, then what it costs to touch it. */
function largeMailbox(store: Store, count: number): void {
  const name = `user.bench.large${Date.now()}`;
  const bytes = Array.from({ length: DISTINCT }, (_, at) => message(at + 1));
  const guids = bytes.map(guidOf);
  const records = Array.from({ length: count }, (_, at) => {
    const guid = guids[at % DISTINCT] ?? "";
    return { ...record(1), uid: at + 1, guid };
  });
  const state = {
    ...stateOf(name, []),
    lastUid: count,
    highestmodseq: 9n,
    syncCrc: 0,
    syncCrcAnnot: 0,
  };
  let started = performance.now();
  apply(store, { state, records }, bytes);
  print(`${count} messages in one request`, `${seconds(started)} s`);
  const owner = store.make({ kind: "user", userid: "bench" });
  const one = { ...record(1), guid: guids[0] ?? "", modseq: 9n, flags: ["\\Seen"] };
  time("change a flag among them", 20, (at) => {
    const change = { ...one, modseq: BigInt(10 + at) };
    apply(store, { state: { ...state, highestmodseq: BigInt(10 + at) }, records: [change] });
  });
  const row = owner.read((database) => mailboxByName(database, name));
  if (row === undefined) return;
  started = performance.now();
  let live = 0;
  for (const entry of openImage(owner, row).index.records()) live += entry.uid > 0 ? 1 : 0;
  print(`read ${live} records, CRCs checked`, `${seconds(started)} s`);
  const isOwn = (): boolean => true;
  let from = name;
  time("rename that folder", 20, (at) => {
    const requests = [{ from, to: `${name}r${at}`, tree: true }];
    renameMailboxesIn(owner, { requests, isOwn, now: NOW });
    from = `${name}r${at}`;
  });
}

/** A tree of 1,000 folders under one name. */
function wideTree(store: Store): void {
  const top = `user.bench.tree${Date.now()}`;
  for (let at = 0; at <= 1000; at++) {
    const name = at === 0 ? top : `${top}.f${at}`;
    apply(store, { state: stateOf(name, []), records: [] });
  }
  const owner = store.make({ kind: "user", userid: "bench" });
  let from = top;
  time("rename a tree of 1,000 folders", 5, (at) => {
    const requests = [{ from, to: `${top}r${at}`, tree: true }];
    renameMailboxesIn(owner, { requests, isOwn: () => true, now: NOW });
    from = `${top}r${at}`;
  });
}
