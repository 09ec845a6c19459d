/** How a sync server is reached and spoken to. */
import type { Limits } from "../../core/limits.ts";
import type { TlsTrust } from "../../net/tls.ts";
import type { SyncAddress } from "../sync_address.ts";

/** How long a server may keep its client waiting, in milliseconds. */
export interface SyncPatience {
  /** Until the connection is there. */
  readonly connectMs: number;
  /** Until all of its greeting has come. */
  readonly greetingMs: number;
  /** For TLS to begin. */
  readonly handshakeMs: number;
  /** For the answer to each line of the sign-in. */
  readonly signInMs: number;
  /** The longest silence while an answer is awaited, or while it takes nothing. */
  readonly silenceMs: number;
}

export const SYNC_PATIENCE: SyncPatience = {
  connectMs: 10_000,
  greetingMs: 30_000,
  handshakeMs: 30_000,
  signInMs: 60_000,
  silenceMs: 600_000,
};

export interface SyncOptions extends Partial<SyncPatience> {
  readonly address: SyncAddress;
  /** Asked once for each connection. */
  readonly password: () => Promise<string>;
  readonly trust?: TlsTrust;
  /**
   * STARTTLS: `auto` = where it is offered and the server is not on this machine, or where signing
   * in needs it; `always` = or there is no session; `never`.
   */
  readonly startTls?: "auto" | "always" | "never";
  /** PLAIN without TLS to another machine: an eavesdropper reads the password. */
  readonly allowPlaintext?: boolean;
  /** DEFLATE where it is offered. It pays on a slow line and costs on a fast one. */
  readonly compress?: boolean;
  /**
   * How scripts travel: as the messages of the mailbox they live in (SIEVE-MAILBOX, since 3.6) or
   * as files. Absent: as the mailbox where the server can.
   */
  readonly sieve?: "mailbox" | "files";
  /**
   * The partition for mailboxes whose own is not known to the server. Cyrus dies of an unknown one.
   */
  readonly partition?: string;
  /**
   * It is only read. An owner whose mail a Bobbin there has lost is then refused; otherwise such an
   * owner looks absent, to be brought anew.
   */
  readonly isSource?: boolean;
  readonly limits?: Limits;
  /**
   * Reads are tried again so often when the connection is lost; the wait doubles from `firstMs` on.
   */
  readonly retries?: { readonly count: number; readonly firstMs: number };
}
