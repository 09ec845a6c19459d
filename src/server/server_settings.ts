/** What a server is told at its start, and what all its sessions share. */

import type { Accounts } from "../accounts/accounts.ts";
import type { SignInGate } from "../accounts/sign_in_gate.ts";
import type { Limits } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Patience, TlsIdentity } from "../net/client_connection.ts";
import type { WritablePlace } from "../places/place.ts";
import type { ByteBudget } from "./byte_budget.ts";
import type { HasRoom } from "./free_space.ts";
import type { MemoryWatch } from "./memory_watch.ts";

export interface ServerSettings {
  /** The name in the banner. */
  readonly serverName: string;
  readonly version: string;
  /** Offer COMPRESS DEFLATE. */
  readonly compress: boolean;
  /** Take PLAIN without TLS from anywhere; else from this machine only. */
  readonly allowPlaintext: boolean;
  /** Present: STARTTLS is offered. */
  readonly tls?: TlsIdentity | undefined;
  /** A signed-in client that says nothing for so long is sent away. */
  readonly idleMs: number;
  readonly patience: Patience;
  readonly limits: Limits;
  /** Mail is refused where it says no; deleting goes on. */
  readonly hasRoom: HasRoom;
}

export interface SharedState {
  readonly settings: ServerSettings;
  readonly place: WritablePlace;
  readonly accounts: () => Accounts;
  readonly gate: SignInGate;
  readonly log: Log;
  readonly memory: MemoryWatch;
  /** What all sessions may hold in memory together. */
  readonly held: ByteBudget;
  /** What all sessions of an account may have staged together. */
  readonly budgetOf: (account: string) => ByteBudget;
  /** True once the server is stopping: sessions end between two commands. */
  readonly isStopping: () => boolean;
}
