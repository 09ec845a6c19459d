/** What a server is told at its start, and what all its sessions share. */
import type { Accounts } from "../accounts/account.ts";
import type { SignInGate } from "../accounts/sign_in_gate.ts";
import type { InTurn } from "../core/in_turns.ts";
import type { Limits } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { ByteBudget } from "../net/byte_budget.ts";
import type { ConnectionPatience } from "../net/connection.ts";
import type { MemoryWatch } from "../net/memory_watch.ts";
import type { TlsIdentity } from "../net/tls.ts";
import type { WritablePlace } from "../places/place.ts";
import type { HasRoom } from "../storage/free_space.ts";
import type { ServedTotals } from "./session/work.ts";

/** How long a client may keep the server waiting, in milliseconds. */
export interface Patience extends ConnectionPatience {
  /** From the connection to the end of its sign-in. */
  readonly signInMs: number;
}

export const PATIENCE: Patience = { signInMs: 120_000, handshakeMs: 30_000, stalledMs: 120_000 };

export type RequireTls = "nobody" | "others" | "all";

export interface ServerSettings {
  /** The name in the banner. */
  readonly serverName: string;
  readonly version: string;
  /** Whether COMPRESS DEFLATE is offered. */
  readonly compress: boolean;
  /** Whether PLAIN without TLS is taken from any machine; otherwise only from this one. */
  readonly allowPlaintext: boolean;
  /** Present: STARTTLS is offered. Asked for each connection, as it may be renewed. */
  readonly tls?: (() => TlsIdentity) | undefined;
  /**
   * Who can do nothing before TLS: nobody, clients on other machines, or all. It takes `tls`.
   */
  readonly requireTls: RequireTls;
  /** Milliseconds after which a signed-in client that says nothing is disconnected. */
  readonly idleMs: number;
  readonly patience: Patience;
  readonly limits: Limits;
  /** Whether so many bytes more fit on the disk. Without room mail is refused, deleting goes on. */
  readonly hasRoom: HasRoom;
}

export interface SharedState {
  readonly settings: ServerSettings;
  readonly place: WritablePlace;
  readonly accounts: () => Accounts;
  readonly gate: SignInGate;
  readonly log: Log;
  /** `log` with a limit to the lines of one origin. */
  readonly limitLog: (log: Log, origin: string) => Log;
  readonly memory: MemoryWatch;
  /** What all sessions that have ended have done, and how many have begun. */
  readonly totals: ServedTotals;
  readonly askInTurn: InTurn;
  /** The bytes that all sessions together may hold in memory. */
  readonly held: ByteBudget;
  readonly budgetsOf: (account: string) => AccountBudgets;
}

/** The bytes that all sessions of an account together may have. */
export interface AccountBudgets {
  readonly staged: ByteBudget;
  /** In memory. */
  readonly held: ByteBudget;
}
