/**
 * What a dump holds as far as it has been read or written: its owners, and where its messages stand
 * in the file.
 */
import type { MissingInDump } from "../../formats/sync/dump_line.ts";
import { type ApplyCommand, type ApplyRename, ownerOfCommand } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import { isOwnedBy, type Owner, ownerKey, parseName } from "../../model/names.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import {
  type MailboxContents,
  noContents,
  type OwnerContents,
  reduceOwner,
  renamedMailbox,
  withMailbox,
} from "../../model/owner_contents.ts";
import type { Range } from "./scan.ts";

export interface DumpedOwner {
  readonly owner: Owner;
  readonly contents: OwnerContents;
  /** What of this owner could not be read at the source when the dump was made. */
  readonly missing: readonly MissingInDump[];
}

/** The owners and messages of a dump, as its commands up to now have made them. */
export class DumpContents {
  readonly #owners = new Map<string, DumpedOwner>();
  /**
   * By key of owners of whom commands have come since they were last complete: how they were then.
   */
  readonly #before = new Map<string, DumpedOwner | undefined>();
  readonly #messages = new Map<Guid, Range>();
  /** Name of a mailbox by its uniqueid. The mailbox may have been deleted since. */
  readonly #names = new Map<string, string>();

  /** Every owner of whom a command has come, complete or not. */
  owners(): readonly DumpedOwner[] {
    return [...this.#owners.values()];
  }

  find(owner: Owner): DumpedOwner | undefined {
    return this.#owners.get(ownerKey(owner));
  }

  mailbox(name: string): MailboxContents | undefined {
    return this.find(parseName(name).owner)?.contents.mailboxes.get(name);
  }

  mailboxById(uniqueid: string): MailboxContents | undefined {
    const mailbox = this.mailbox(this.#names.get(uniqueid) ?? "");
    return mailbox?.sent.uniqueid === uniqueid ? mailbox : undefined;
  }

  message(guid: Guid): Range | undefined {
    return this.#messages.get(guid);
  }

  addMessage(guid: Guid, range: Range): void {
    if (!this.#messages.has(guid)) this.#messages.set(guid, range);
  }

  /** Notes that all commands of `owner` have come, and what of this owner is `missing`. */
  complete(owner: Owner, missing: readonly MissingInDump[]): void {
    const found = this.find(owner);
    if (found !== undefined || missing.length > 0) {
      this.#set({ ...(found ?? nobody(owner)), missing });
    }
    this.#before.delete(ownerKey(owner));
  }

  /** Takes back the commands of all owners who are not complete. Returns those owners. */
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

  /** Refuses a command that contradicts the commands before it. */
  objectionTo(command: ApplyCommand): Outcome {
    switch (command.kind) {
      case "mailbox": {
        const { name, uniqueid } = command.state;
        const there = this.mailbox(name)?.sent;
        const other = this.mailboxById(uniqueid)?.sent;
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
        const there = this.mailbox(command.name)?.sent.uniqueid;
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

  /** Does a command without objection; `records` reads those of an APPLY MAILBOX. */
  apply(sent: ApplyCommand, records: RecordSource): void {
    const owner = ownerOfCommand(sent);
    if (owner === undefined) return;
    const command = sent.kind === "mailbox" ? { ...sent, records } : sent;
    const was = this.#touch(owner);
    switch (command.kind) {
      case "unuser":
        this.#owners.delete(ownerKey(owner));
        return;
      case "rename":
        this.#rename(command, was);
        return;
      case "mailbox":
        this.#names.set(command.state.uniqueid, command.state.name);
    }
    this.#set(changed(was, command));
  }

  /** A rename can give the mailbox to another owner. */
  #rename(command: ApplyRename, was: DumpedOwner): void {
    const { oldName, newName } = command;
    const mailbox = was.contents.mailboxes.get(oldName);
    if (mailbox === undefined) return;
    this.#names.set(mailbox.sent.uniqueid, newName);
    if (isOwnedBy(newName, was.owner)) {
      this.#set(changed(was, command));
      return;
    }
    this.#set(changed(was, { kind: "unmailbox", name: oldName }));
    const taker = this.#touch(parseName(newName).owner);
    const contents = withMailbox(taker.contents, newName, renamedMailbox(mailbox, command));
    this.#set({ ...taker, contents });
  }

  #set(owner: DumpedOwner): void {
    this.#owners.set(ownerKey(owner.owner), owner);
  }

  #touch(owner: Owner): DumpedOwner {
    const key = ownerKey(owner);
    const found = this.#owners.get(key);
    if (!this.#before.has(key)) this.#before.set(key, found);
    return found ?? nobody(owner);
  }
}

function nobody(owner: Owner): DumpedOwner {
  return { owner, contents: noContents(), missing: [] };
}

function changed(owner: DumpedOwner, command: ApplyCommand): DumpedOwner {
  return { ...owner, contents: reduceOwner(owner.contents, command) };
}
