/**
 * What the commands of a dump amount to: users with their mailboxes, whose records and messages stay in the file
 * and are found by where they stand.
 */

import type { MissingInDump } from "../../formats/sync/dump_line.ts";
import { annotationKey } from "../../model/annotation.ts";
import { type ApplyCommand, ownerOfCommand } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import {
  isIntermediate,
  type MailboxState,
  type Quota,
  type SeenState,
} from "../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../model/names.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import type { Range } from "./scan.ts";

/** What made the records of a mailbox: lines of APPLY MAILBOX, and UIDs that were expunged after them. */
export type RecordChange =
  | ({ readonly kind: "line" } & Range)
  | { readonly kind: "expunge"; readonly uids: ReadonlySet<number> };

export interface DumpedMailbox {
  readonly state: MailboxState;
  readonly changes: readonly RecordChange[];
}

export interface DumpedScript {
  readonly lastUpdate: number;
  readonly content: Uint8Array;
}

/** One owner. Maps are replaced, never changed, so that an earlier state can be kept. */
export interface DumpedOwner {
  readonly owner: Owner;
  readonly mailboxes: ReadonlyMap<string, DumpedMailbox>;
  readonly subscriptions: ReadonlySet<string>;
  readonly seen: ReadonlyMap<string, SeenState>;
  readonly quotas: ReadonlyMap<string, Quota>;
  readonly scripts: ReadonlyMap<string, DumpedScript>;
  /** `x.bc` */
  readonly active: string | undefined;
  /** What of him could not be had when the dump was made. */
  readonly missing: readonly MissingInDump[];
}

const NO_ONE: Omit<DumpedOwner, "owner"> = {
  mailboxes: new Map(),
  subscriptions: new Set(),
  seen: new Map(),
  quotas: new Map(),
  scripts: new Map(),
  active: undefined,
  missing: [],
};

/** Owners as the commands so far have made them. */
export class Catalogue {
  readonly #owners = new Map<string, DumpedOwner>();
  /** Owners who are not complete, as they were when they last were. */
  readonly #before = new Map<string, DumpedOwner | undefined>();
  readonly #messages = new Map<Guid, Range>();
  /** Name by uniqueid; the mailbox may be gone since. */
  readonly #names = new Map<string, string>();

  /** Those who are there, complete or not. */
  owners(): readonly DumpedOwner[] {
    return [...this.#owners.values()];
  }

  find(owner: Owner): DumpedOwner | undefined {
    return this.#owners.get(ownerKey(owner));
  }

  mailbox(name: string): DumpedMailbox | undefined {
    return this.find(parseName(name).owner)?.mailboxes.get(name);
  }

  mailboxById(uniqueid: string): DumpedMailbox | undefined {
    const mailbox = this.mailbox(this.#names.get(uniqueid) ?? "");
    return mailbox?.state.uniqueid === uniqueid ? mailbox : undefined;
  }

  message(guid: Guid): Range | undefined {
    return this.#messages.get(guid);
  }

  addMessage(guid: Guid, range: Range): void {
    if (!this.#messages.has(guid)) this.#messages.set(guid, range);
  }

  /** All commands of `owner` have come, but for what is `missing`. */
  complete(owner: Owner, missing: readonly MissingInDump[]): void {
    const key = ownerKey(owner);
    const found = this.find(owner);
    if (found !== undefined || missing.length > 0) {
      this.#owners.set(key, { ...(found ?? { owner, ...NO_ONE }), missing });
    }
    this.#before.delete(key);
  }

  /** Takes back what has come of owners who are not complete; gives them. */
  dropIncomplete(): readonly Owner[] {
    const dropped: Owner[] = [];
    for (const [key, before] of this.#before) {
      const found = this.#owners.get(key);
      if (found !== undefined) dropped.push(found.owner);
      if (before === undefined) this.#owners.delete(key);
      else this.#owners.set(key, before);
    }
    this.#before.clear();
    return dropped;
  }

  /** Why a command cannot be, in the light of those before it. */
  objectionTo(command: ApplyCommand): Outcome {
    switch (command.kind) {
      case "mailbox": {
        const { name, uniqueid } = command.state;
        const there = this.mailbox(name)?.state;
        const other = this.mailboxById(uniqueid)?.state;
        if (there !== undefined && there.uniqueid !== uniqueid) {
          return refused("moved", `${name} has the uniqueid ${there.uniqueid}, not ${uniqueid}`);
        }
        if (other === undefined || other.name === name) return DONE;
        return refused("moved", `${uniqueid} is the uniqueid of ${other.name}, not of ${name}`);
      }
      case "unmailbox":
        return this.#mustBeThere(command.name);
      case "rename": {
        const { oldName, newName } = command;
        if (oldName !== newName && this.mailbox(newName) !== undefined) {
          return refused("failed", `There is a mailbox ${newName} already`);
        }
        return this.#mustBeThere(oldName);
      }
      case "expunge": {
        const there = this.mailbox(command.name)?.state.uniqueid;
        if (there === undefined || there === command.uniqueid) {
          return this.#mustBeThere(command.name);
        }
        return refused("moved", `${command.name} has the uniqueid ${there}`);
      }
      case "restore":
        return refused("notSupported", "A dump holds what is, not what is to be appended");
      case "annotation":
      case "unannotation":
        if (command.name !== "") return this.#mustBeThere(command.name);
        return refused("notSupported", "A dump has no annotations of a server");
      default:
        return DONE;
    }
  }

  #mustBeThere(name: string): Outcome {
    if (this.mailbox(name) !== undefined) return DONE;
    return refused("nonexistent", `There is no mailbox ${name}`);
  }

  /** Takes a command to which there is no objection; `at` is its line. */
  apply(command: ApplyCommand, at: Range): void {
    const owner = ownerOfCommand(command);
    if (owner === undefined) return;
    const was = this.#touch(owner);
    if (command.kind === "mailbox") this.#names.set(command.state.uniqueid, command.state.name);
    if (command.kind === "rename") {
      this.#rename(command.oldName, { ...command, was });
      return;
    }
    if (command.kind === "unuser") this.#owners.delete(ownerKey(owner));
    else this.#owners.set(ownerKey(owner), { ...was, ...changeOf(command, was, at) });
  }

  #touch(owner: Owner): DumpedOwner {
    const key = ownerKey(owner);
    const found = this.#owners.get(key);
    if (!this.#before.has(key)) this.#before.set(key, found);
    return found ?? { owner, ...NO_ONE };
  }

  #rename(
    oldName: string,
    to: { readonly newName: string; readonly partition: string; readonly was: DumpedOwner },
  ): void {
    const { newName, partition, was } = to;
    const mailbox = was.mailboxes.get(oldName);
    if (mailbox === undefined) return;
    const left = without(was.mailboxes, oldName);
    this.#owners.set(ownerKey(was.owner), { ...was, mailboxes: left });
    const taker = this.#touch(parseName(newName).owner);
    const state = { ...mailbox.state, name: newName, partition };
    this.#names.set(state.uniqueid, newName);
    const mailboxes = new Map(taker.mailboxes).set(newName, { ...mailbox, state });
    this.#owners.set(ownerKey(taker.owner), { ...taker, mailboxes });
  }
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): Map<string, Value> {
  const left = new Map(map);
  left.delete(key);
  return left;
}

/** What of an owner a command replaces. */
function changeOf(command: ApplyCommand, was: DumpedOwner, at: Range): Partial<DumpedOwner> {
  switch (command.kind) {
    case "mailbox": {
      const { name } = command.state;
      const before = was.mailboxes.get(name)?.changes ?? [];
      const line = { kind: "line", start: at.start, end: at.end } as const;
      const changes = isIntermediate(command.state) ? [] : [...before, line];
      const mailbox = { state: command.state, changes };
      return { mailboxes: new Map(was.mailboxes).set(name, mailbox) };
    }
    case "unmailbox":
      return { mailboxes: without(was.mailboxes, command.name) };
    case "expunge": {
      const uids = new Set(command.uids);
      return changedMailbox(was, command.name, ({ state, changes }) => ({
        state,
        changes: [...changes, { kind: "expunge", uids }],
      }));
    }
    case "annotation":
    case "unannotation":
      return changedMailbox(was, command.name, ({ state, changes }) => {
        const { entry, userid } = command;
        const key = annotationKey({ entry, userid });
        const others = state.annotations.filter((one) => annotationKey(one) !== key);
        if (command.kind === "unannotation") {
          return { state: { ...state, annotations: others }, changes };
        }
        const one = { entry, userid, modseq: 0n, value: command.value.slice() };
        return { state: { ...state, annotations: [...others, one] }, changes };
      });
    case "quota":
      return { quotas: new Map(was.quotas).set(command.quota.root, command.quota) };
    case "unquota":
      return { quotas: without(was.quotas, command.root) };
    case "seen":
      return { seen: new Map(was.seen).set(command.seen.uniqueid, command.seen) };
    case "sub":
      return { subscriptions: new Set([...was.subscriptions, command.name]) };
    case "unsub":
      return { subscriptions: new Set([...was.subscriptions].filter((n) => n !== command.name)) };
    case "sieve": {
      const script = { lastUpdate: command.lastUpdate, content: command.content.slice() };
      return { scripts: new Map(was.scripts).set(command.filename, script) };
    }
    case "unsieve":
      return { scripts: without(was.scripts, command.filename) };
    case "activateSieve":
      return { active: command.filename };
    case "unactivateSieve":
      return { active: undefined };
    default:
      return {};
  }
}

function changedMailbox(
  was: DumpedOwner,
  name: string,
  change: (mailbox: DumpedMailbox) => DumpedMailbox,
): Partial<DumpedOwner> {
  const mailbox = was.mailboxes.get(name);
  if (mailbox === undefined) return {};
  return { mailboxes: new Map(was.mailboxes).set(name, change(mailbox)) };
}
