/**
 * Random users, and a target on which the steps of a plan are done as in a model: it throws where
 * one could not be.
 */
import { expect } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/core/bytes.ts";
import { sha1Of } from "../../src/hash/sha1.ts";
import type { ApplyCommand } from "../../src/model/apply.ts";
import {
  activeMark,
  type MailboxState,
  recordsOf,
  type SieveFile,
  type UserState,
} from "../../src/model/mailbox.ts";
import { isOwnedBy } from "../../src/model/names.ts";
import {
  noContents,
  type OwnerContents,
  reduceOwner,
  userStateOf,
} from "../../src/model/owner_contents.ts";
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

const SCRIPT = utf8("keep;");
const SCRIPT_FILE: Omit<SieveFile, "filename"> = {
  lastUpdate: 1,
  guid: sha1Of(SCRIPT),
  isActive: false,
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
    const files = sieve.map((name) => ({ ...SCRIPT_FILE, filename: `${name}.script` }));
    const mark = active !== undefined && sieve.includes(active) ? [activeMark(`${active}.bc`)] : [];
    const state = { uniqueid: "u1", lastRead: 1, lastUid: 1, lastChange: 1, seenUids: seen };
    const quotas = quota === undefined ? [] : [{ root: "user.fred", limits: { STORAGE: quota } }];
    return { ...rest, quotas, sieve: [...files, ...mark], seen: seen === "" ? [] : [state] };
  });

/** Does the steps on a model of the target; throws where one could not be done. */
export function perform(target: UserState, plan: { readonly steps: readonly Step[] }): UserState {
  let contents = commandsOf(target).reduce(reduceOwner, noContents());
  for (const step of plan.steps) {
    contents = reduceOwner(contents, commandOf(step, contents));
  }
  return userStateOf(contents);
}

function sendMailbox(state: MailboxState): ApplyCommand {
  return { kind: "mailbox", state, records: recordsOf([]) };
}

function sendScript(filename: string): ApplyCommand {
  return { kind: "sieve", userid: OWNER.userid, filename, lastUpdate: 1, content: SCRIPT };
}

/** The commands that make a user like this of nobody. */
function commandsOf(state: UserState): ApplyCommand[] {
  const { userid } = OWNER;
  const scripts = state.sieve.filter(({ isActive }) => !isActive);
  const marks = state.sieve.filter(({ isActive }) => isActive);
  return [
    ...state.mailboxes.map(sendMailbox),
    ...state.subscriptions.map((name) => ({ kind: "sub", userid, name }) as const),
    ...state.quotas.map((quota) => ({ kind: "quota", quota }) as const),
    ...state.seen.map((seen) => ({ kind: "seen", userid, seen }) as const),
    ...scripts.map(({ filename }) => sendScript(filename)),
    ...marks.map(({ filename }) => ({ kind: "activateSieve", userid, filename }) as const),
  ];
}

function commandOf(step: Step, { mailboxes }: OwnerContents): ApplyCommand {
  const at = (name: string): MailboxState | undefined => mailboxes.get(name)?.sent;
  switch (step.kind) {
    case "rename": {
      const { oldName, newName } = step.rename;
      expect([newName, at(newName), isOwnedBy(newName, OWNER)]).toEqual([newName, undefined, true]);
      expect([oldName, at(oldName)]).not.toEqual([oldName, undefined]);
      return step.command;
    }
    case "delete":
      expect([step.state.name, at(step.state.name)]).not.toEqual([step.state.name, undefined]);
      return { kind: "unmailbox", name: step.state.name };
    case "mailbox": {
      const now = at(step.name)?.uniqueid;
      expect([step.name, now]).toEqual([step.name, step.theirs && step.ours.uniqueid]);
      expect(now).toBe(step.theirs?.uniqueid);
      return sendMailbox({ ...step.ours, name: step.name });
    }
    case "sieve":
      return sendScript(step.filename);
    case "deleteUser":
      return { kind: "unuser", userid: step.userid };
    case "apply":
      return step.command;
  }
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
