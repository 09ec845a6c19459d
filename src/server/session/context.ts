/** What the commands of a session share. */
import type { Scope } from "../../accounts/scope.ts";
import type { InTurn } from "../../core/in_turns.ts";
import type { Log } from "../../core/log.ts";
import type { Answer } from "../../formats/sync/answer.ts";
import { LOST_OWNERS, SIEVE_MAILBOX } from "../../formats/sync/capabilities.ts";
import type { ByteBudget } from "../../net/byte_budget.ts";
import type { MemoryWatch } from "../../net/memory_watch.ts";
import type { PlaceSession, WritablePlace } from "../../places/place.ts";
import type { IncomingFiles } from "./incoming_files.ts";

/** A session after sign-in, as its commands see it. */
export interface CommandContext extends Answers {
  readonly place: WritablePlace;
  /** Staging and writing, for this session alone. */
  readonly session: PlaceSession;
  /** The messages that the session has staged. */
  readonly files: IncomingFiles;
  readonly scope: Scope;
  readonly log: Log;
  /** What all sessions of the account may hold in memory together. */
  readonly held: ByteBudget;
  readonly memory: MemoryWatch;
  /** Asks the place for what may be large: a few such questions of all sessions run at a time. */
  readonly askInTurn: InTurn;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Set by FORCE and CAPABILITIES; they live as long as the connection. */
  readonly modes: SessionModes;
}

/** How a command sends its data lines. */
export interface Answers {
  /** Sends a data line; the promise, if there is one, must be waited for. */
  send(answer: Answer): Promise<void> | undefined;
  /**
   * Sends one data line in pieces, for it is too large to be a value: `* ` and the line's end are
   * put around what `write` puts. If that throws, the connection is lost, for the line cannot be
   * taken back.
   */
  sendPieces(write: (put: PutBytes) => Promise<void>): Promise<void>;
}

/** The promise, if there is one, must be waited for. */
export type PutBytes = (bytes: Uint8Array) => Promise<void> | undefined;

export interface SessionModes {
  force: boolean;
  /** Names of `CAPABILITIES`, in capitals. */
  readonly enabled: Set<string>;
}

/** What a client may enable. */
export const CAPABILITIES: readonly string[] = [SIEVE_MAILBOX, LOST_OWNERS];
