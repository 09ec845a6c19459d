/**
 * Whether two real Cyrus servers hold the same, by their own words: every line that they answer to
 * GET, what reconstruct finds at the replica, and what sync_client would still send there.
 */
import { expect } from "bun:test";
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { bobbin } from "./cli.ts";
import { Csync } from "./csync.ts";
import { type Lab, labLog } from "./lab.ts";

/**
 * What `ctl_mboxlist -d` says but for tombstones, the time of the last change, and how mail is
 * kept.
 */
async function mailboxList(lab: Lab): Promise<Map<string, string>> {
  const said: string = await lab.run("show", "mailboxes");
  const all: Record<string, { mbtype: string; mtime: string }> = JSON.parse(said);
  const living = Object.entries(all).filter(([, { mbtype }]) => !mbtype.includes("d"));
  return new Map(
    living.map(([name, { mtime: _, mbtype, ...facts }]) => {
      return [name, JSON.stringify({ ...facts, mbtype: mbtype.replace("l", "") })];
    }),
  );
}

/** What two tables do not have in common. */
function differences(
  ours: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
): string[] {
  const keys = new Set([...ours.keys(), ...theirs.keys()]);
  return [...keys].flatMap((key) => {
    const [own, other] = [ours.get(key), theirs.get(key)];
    return own === other ? [] : [`${key}\n  A: ${own}\n  B: ${other}`];
  });
}

function isShared(name: string): boolean {
  return !/^(\S+!)?(DELETED\.)?user\./.test(name);
}

/** Every answer of `b` about these users and all shared mailboxes is that of `a`. */
export async function expectSameAnswers(a: Lab, b: Lab, users: readonly string[]): Promise<void> {
  const list = await mailboxList(a);
  expect(differences(list, await mailboxList(b))).toEqual([]);
  const shared = [...list.keys()].filter(isShared);
  const asFiles = users.map((user) => `GET META ${user}`);
  const asMailboxes = [
    ...users.map((user) => `GET USER ${user}`),
    ...(shared.length === 0 ? [] : [`GET MAILBOXES (${shared.map(quoted).join(" ")})`]),
    ...shared.map((name) => `GET QUOTA ${quoted(name)}`),
    ...[...list.keys()].map((name) => `GET FULLMAILBOX ${quoted(name)}`),
  ];
  const [ours, theirs] = [new Map<string, string>(), new Map<string, string>()];
  for (const [lab, answers] of [
    [a, ours],
    [b, theirs],
  ] as const) {
    const client = await Csync.signedIn(lab.syncPort);
    for (const command of asFiles) answers.set(command, await answersTo(client, command));
    await client.command("APPLY CAPABILITIES (SIEVE-MAILBOX)");
    for (const command of asMailboxes) answers.set(command, await answersTo(client, command));
    client.close();
  }
  expect(differences(ours, theirs)).toEqual([]);
  // Each is once in its user's answer or among the shared ones, and once in full.
  const told = [...ours.values()].join("\n").match(/^MAILBOX /gm) ?? [];
  expect(told.length).toBe(2 * list.size);
}

function quoted(name: string): string {
  return `"${name}"`;
}

/** The lines of an answer in an order of their own. */
async function answersTo(client: Csync, command: string): Promise<string> {
  const { data, status } = await client.command(command);
  if (!status.startsWith("OK")) throw new Error(`${command}: ${status}`);
  return data.map(comparable).sort().join("\n");
}

/** The scripts of a user as files: their names, contents and which is active. */
export async function scriptsOf(lab: Lab, user: string): Promise<string[]> {
  const client = await Csync.signedIn(lab.syncPort);
  const lines = (await answersTo(client, `GET META ${user}`)).split("\n");
  client.close();
  const scripts = lines.filter((line) => line.startsWith("SIEVE "));
  return scripts.map((line) => line.replace(/ LAST_UPDATE \d+/, ""));
}

/**
 * Flags have no order. Two numbers a Cyrus counts by itself, and its own sync_client does not make
 * them equal either: the modseq of a quota, and that of the ACLs of others that name a user, which
 * rises as those are created.
 */
function comparable(line: string): string {
  if (line.startsWith("QUOTA ")) return line.replace(/ MODSEQ \d+\)$/, ")");
  return line
    .replace(/ RACLMODSEQ \d+/, "")
    .replace(/(FLAGS \()([^)]*)/g, (_, head: string, flags: string) => {
      return head + flags.split(" ").sort().join(" ");
    });
}

/**
 * What `reconstruct -n -G` finds wrong, on stdout and in syslog. Fails if it has not looked at
 * every mailbox.
 */
export async function reconstructSays(lab: Lab): Promise<string[]> {
  const before = labLog(lab).length;
  const said = linesOf(await lab.run("run", "reconstruct", "-q", "-n", "-G"));
  // Without -q it names what it looks at.
  const named = linesOf(await lab.run("run", "reconstruct", "-n", "-G"));
  const list = [...(await mailboxList(lab)).values()];
  const living = list.filter((facts) => !/"mbtype":"[^"]*i/.test(facts));
  expect(named.filter((line) => !said.includes(line))).toHaveLength(living.length);
  const logged = linesOf(labLog(lab).slice(before));
  return [...said, ...logged.filter((line) => /reconstruct\[\d+\] (?!debug:)/.test(line))];
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** Has sync servers of `lab` write what goes over each connection. */
export function recordTelemetry(lab: Lab): void {
  const folder = telemetryFolder(lab);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const { uid, gid } = statSync(join(folder, ".."));
  chownSync(folder, uid, gid);
}

/** The logs since `recordTelemetry`. */
export function telemetryLogs(lab: Lab): string[] {
  const folder = telemetryFolder(lab);
  return readdirSync(folder).map((file) => join(folder, file));
}

function telemetryFolder({ folder }: Lab): string {
  return join(folder, "conf", "log", "admin");
}

/** Every log of the lab's sync server can be read to its last byte with `bobbin dlist`. */
export async function expectReadableTelemetry(lab: Lab): Promise<void> {
  const logs = telemetryLogs(lab);
  expect(logs.length).toBeGreaterThan(0);
  for (const log of logs) {
    const { exit, stdout } = await bobbin(["dlist", log]);
    expect([log, exit, stdout.includes("cannot be read")]).toEqual([log, 0, false]);
  }
}

/**
 * Runs sync_client over everything from `a` to `b`; gives what it changed there. It also sends a
 * mailbox without records whose RACLMODSEQ is another at `b`: each server counts it by itself (see
 * `comparable`), as mailboxes that name the user in their ACLs come before or after his own.
 */
export async function appliesOf(a: Lab, b: Lab, users: readonly string[]): Promise<string[]> {
  recordTelemetry(b);
  await a.run("sync-client", "127.0.0.1", String(b.syncPort), "-A");
  const said = telemetryLogs(b)
    .flatMap((log) => readFileSync(log, "latin1").split("\n"))
    .map((line) => line.replace(/^[<>]\d+[<>]/, "").trim());
  for (const user of users) expect(said).toContain(`GET USER ${user}`);
  const there = new Map(said.filter((line) => line.startsWith("* MAILBOX")).map(raclmodseqOf));
  const isCounted = (command: string): boolean => {
    const [name, modseq] = raclmodseqOf(command);
    return command.endsWith(" RECORD ())") && there.has(name) && there.get(name) !== modseq;
  };
  const applied = said.filter((one) => /^APPLY (?!CAPABILITIES)/.test(one));
  return applied.filter((one) => !(one.startsWith("APPLY MAILBOX") && isCounted(one)));
}

/** The name of a mailbox and its RACLMODSEQ, in a line about it. */
function raclmodseqOf(line: string): [string, number] {
  const [, name = ""] = / MBOXNAME ("[^"]*"|\S+)/.exec(line) ?? [];
  return [name, Number(/ RACLMODSEQ (\d+)/.exec(line)?.[1] ?? 0)];
}
