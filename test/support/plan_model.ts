/**
 * Random users, and a target on which the steps of a plan are done as in a model: it throws where
 * one could not be.
 */
import { expect } from "bun:test";
import fc from "fast-check";
import type { MailboxState, UserState } from "../../src/model/mailbox.ts";
import { parseName } from "../../src/model/names.ts";
import type { Step } from "../../src/replicate/plan/steps.ts";
import { stateOf } from "./store_fixture.ts";

export const OWNER = { kind: "user", userid: "fred" } as const;

export const NOBODY: UserState = {
  mailboxes: [],
  quotas: [],
  seen: [],
  subscriptions: [],
  sieve: [],
};

const NAMES = [
  "user.fred",
  "user.fred.a",
  "user.fred.a.b",
  "user.fred.c",
  "DELETED.user.fred.a.5F3A2B1C",
];

/** Mailboxes of one user: which uniqueid has which name, and how far it has come. */
export const mailboxes = fc
  .tuple(
    fc.shuffledSubarray(NAMES),
    fc.shuffledSubarray(["u1", "u2", "u3", "u4", "u5", "u6"]),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 }),
  )
  .map(([names, uniqueids, numbers]) =>
    names.slice(0, uniqueids.length).map((name, at): MailboxState => {
      const number = numbers[at] ?? 0;
      const change = { lastUid: number, highestmodseq: BigInt(number + 1), syncCrc: number };
      return stateOf(name, [], { uniqueid: uniqueids[at] ?? "", ...change });
    }),
  );

export const user = fc
  .record({
    mailboxes,
    subscriptions: fc.subarray(NAMES),
    quota: fc.constantFrom(undefined, 5, 7),
    sieve: fc.subarray(["a", "b"]),
    active: fc.constantFrom(undefined, "a", "b"),
    seen: fc.constantFrom("", "1:3", "1:5"),
  })
  .map(({ quota, sieve, active, seen, ...rest }): UserState => {
    const files = sieve.map((name) => ({
      ...{ filename: `${name}.script`, lastUpdate: 1, guid: "1".repeat(40) },
      isActive: name === active,
    }));
    const state = { uniqueid: "u1", lastRead: 1, lastUid: 1, lastChange: 1, seenUids: seen };
    const quotas = quota === undefined ? [] : [{ root: "user.fred", limits: { STORAGE: quota } }];
    return { ...rest, quotas, sieve: files, seen: seen === "" ? [] : [state] };
  });

/** Does the steps on a model of the target; throws where one could not be done. */
export function perform(target: UserState, plan: { readonly steps: readonly Step[] }): UserState {
  if (plan.steps.some(({ kind }) => kind === "deleteUser")) return NOBODY;
  const byName = new Map(target.mailboxes.map((state) => [state.name, state]));
  const subscriptions = new Set(target.subscriptions);
  const quotas = new Map(target.quotas.map((quota) => [quota.root, quota]));
  const seen = new Map(target.seen.map((state) => [state.uniqueid, state]));
  let sieve = [...target.sieve];
  const free = (name: string): void => expect([name, byName.has(name)]).toEqual([name, false]);
  const take = (name: string): MailboxState => {
    const state = byName.get(name) ?? expect.unreachable(`no ${name}`);
    byName.delete(name);
    return state;
  };
  for (const step of plan.steps) {
    if (step.kind === "rename") {
      free(step.rename.newName);
      expect(parseName(step.rename.newName).owner).toEqual(OWNER);
      byName.set(step.rename.newName, { ...take(step.rename.oldName), name: step.rename.newName });
    } else if (step.kind === "delete") {
      take(step.state.name);
    } else if (step.kind === "mailbox") {
      const now = byName.get(step.name);
      if (now?.uniqueid !== step.ours.uniqueid) free(step.name);
      expect(now?.uniqueid).toBe(step.theirs?.uniqueid);
      byName.set(step.name, step.ours);
    } else if (step.kind === "sieve") {
      sieve = sieve.filter(({ filename }) => filename !== step.filename);
      sieve.push({ filename: step.filename, lastUpdate: 1, guid: "1".repeat(40), isActive: false });
    } else if (step.kind === "apply") {
      const { command } = step;
      if (command.kind === "sub") subscriptions.add(command.name);
      else if (command.kind === "unsub") subscriptions.delete(command.name);
      else if (command.kind === "quota") quotas.set(command.quota.root, command.quota);
      else if (command.kind === "unquota") quotas.delete(command.root);
      else if (command.kind === "seen") seen.set(command.seen.uniqueid, command.seen);
      else if (command.kind === "unsieve")
        sieve = sieve.filter((one) => one.filename !== command.filename);
      else if (command.kind === "activateSieve")
        sieve = sieve.map((one) => ({
          ...one,
          isActive: `${command.filename.slice(0, -3)}.script` === one.filename,
        }));
      else if (command.kind === "unactivateSieve")
        sieve = sieve.map((one) => ({ ...one, isActive: false }));
      else expect.unreachable(command.kind);
    }
  }
  return {
    mailboxes: [...byName.values()],
    subscriptions: [...subscriptions],
    quotas: [...quotas.values()],
    seen: [...seen.values()],
    sieve,
  };
}

/**
 * Everything in an order that does not depend on how it came about. `seen` is only ever added to.
 */
export function sorted({ mailboxes, subscriptions, quotas, sieve }: UserState): unknown {
  const states = mailboxes.map(({ name, uniqueid, lastUid, syncCrc }) => [
    name,
    uniqueid,
    lastUid,
    syncCrc,
  ]);
  return {
    states: states.sort(),
    subscriptions: [...subscriptions].sort(),
    quotas,
    sieve: sieve.map(({ filename, isActive }) => `${filename} ${isActive}`).sort(),
  };
}
