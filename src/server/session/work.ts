/** What a session does, counted: in all, for one user after the other, and for the whole server. */
import { fromLatin1, textOf } from "../../core/bytes.ts";
import type { Log } from "../../core/log.ts";
import { type Owner, ownerName, sameOwner } from "../../model/names.ts";

/** What has been done since a server began. */
export interface ServedTotals {
  sessions: number;
  commands: number;
  messages: number;
  /** As the protocol has them, so before compression and TLS. */
  bytesIn: number;
  bytesOut: number;
}

interface OwnerWork {
  readonly owner: Owner;
  readonly startedMs: number;
  commands: number;
  messages: number;
  bytes: number;
  endedMs: number;
  hasWritten: boolean;
}

/** Done for an owner. */
export interface DoneCommand {
  readonly owner: Owner;
  readonly startedMs: number;
  readonly writes: boolean;
}

/** The work of one session after its sign-in. */
export class SessionWork {
  messages = 0;
  /** Messages that have come and are not yet any owner's: the mailbox follows them. */
  #unclaimed = { messages: 0, bytes: 0 };
  #current: OwnerWork | undefined;

  /** A message of so many bytes is on its way. */
  message(bytes: number): void {
    this.messages += 1;
    this.#unclaimed.messages += 1;
    this.#unclaimed.bytes += bytes;
  }

  /** A command is done. The owner before, if that was another one, is logged. */
  did({ owner, startedMs, writes }: DoneCommand, log: Log): void {
    let current = this.#current;
    if (current === undefined || !sameOwner(current.owner, owner)) {
      this.tell(log);
      const nothing = { commands: 0, messages: 0, bytes: 0, hasWritten: false };
      current = { owner, startedMs, endedMs: startedMs, ...nothing };
      this.#current = current;
    }
    current.commands += 1;
    current.endedMs = performance.now();
    if (!writes) return;
    current.hasWritten = true;
    current.messages += this.#unclaimed.messages;
    current.bytes += this.#unclaimed.bytes;
    this.#unclaimed = { messages: 0, bytes: 0 };
  }

  /** Logs what was done for the last owner: at info where something was written. */
  tell(log: Log): void {
    if (this.#current === undefined) return;
    const { owner, startedMs, endedMs, hasWritten, ...counts } = this.#current;
    this.#current = undefined;
    const name = ownerName(owner);
    log.write(hasWritten ? "info" : "debug", hasWritten ? "Brought a user" : "Read a user", {
      [owner.kind === "user" ? "user" : "toplevel"]: textOf(fromLatin1(name)) ?? name,
      ...counts,
      seconds: secondsOf(endedMs - startedMs),
    });
  }
}

/** Milliseconds as seconds, to the millisecond. */
export function secondsOf(ms: number): number {
  return Math.round(ms) / 1000;
}
