/** The sync server: what its sessions share, and the listener that gives each client one. */
import { setTimeout } from "node:timers/promises";
import type { Accounts } from "../accounts/account.ts";
import { scopeOf } from "../accounts/scope.ts";
import { SignInGate } from "../accounts/sign_in_gate.ts";
import { inTurns } from "../core/in_turns.ts";
import { type Log, limitedLogs } from "../core/log.ts";
import { ByteBudget } from "../net/byte_budget.ts";
import { type ListenAt, type Protocol, startListener } from "../net/listener.ts";
import { MemoryWatch, OWN_MEMORY } from "../net/memory_watch.ts";
import type { WritablePlace } from "../places/place.ts";
import { type BackupServing, serveBackup } from "./backup/serve_backup.ts";
import type { AccountBudgets, ServerSettings, SharedState } from "./server_settings.ts";
import { Session, type Welcome } from "./session/session.ts";
import type { ServedTotals } from "./session/work.ts";

export interface ServerOptions {
  readonly place: WritablePlace;
  readonly accounts: () => Accounts;
  readonly settings: ServerSettings;
  readonly log: Log;
  readonly listen: readonly ListenAt[];
  /**
   * Where backups are fetched by backupcyrusd's protocol. Who may use a unix socket sees every user
   * there; over TCP it begins behind a sign-in of csync, and sees what the account may touch.
   */
  readonly backup?: {
    readonly listen: readonly ListenAt[];
    readonly place: BackupServing["place"];
  };
  /** Waits before a wrong password is answered; by the clock, if not given. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface RunningServer {
  /** `host:port` of each listening socket, in the order asked for. */
  readonly addresses: readonly string[];
  /** The same of the sockets for backups. */
  readonly backupAddresses: readonly string[];
  /** Sessions open now. */
  sessionCount(): number;
  /** Bytes that unfinished commands of all sessions hold in memory now, roughly. */
  heldBytes(): number;
  /** What the sessions that have ended have done. */
  totals(): Readonly<ServedTotals>;
  /**
   * Resolves when every session has ended, and after `graceMs` in any case.
   */
  stop(graceMs: number): Promise<void>;
}

/** Starts to serve. Throws AppError if an address cannot be listened on. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { settings, listen, log } = options;
  const shared = sharedState(options);
  // First, as a socket with a path changes the umask of the whole process for a moment: there are
  // no sessions yet that could make files.
  const backup = backupSockets(options, shared);
  const listener = await startListener({
    protocol: {
      refusal: (why) => `* Fatal error: ${why}`,
      serve: (connection, stopping) => new Session(connection, shared, { stopping }).run(),
    },
    listen: [...backup, ...listen],
    log,
    tls: settings.tls,
    limits: settings.limits,
    patience: settings.patience,
    isKnown: (address) => shared.gate.knows(address),
  });
  return {
    addresses: listener.addresses.slice(backup.length),
    backupAddresses: listener.addresses.slice(0, backup.length),
    sessionCount: () => listener.connectionCount(),
    heldBytes: () => shared.held.usedBytes,
    totals: () => shared.totals,
    stop: (graceMs) => listener.stop(graceMs),
  };
}

/** The sockets for backups, with what is spoken there. */
function backupSockets(
  { backup }: Pick<ServerOptions, "backup">,
  shared: SharedState,
): readonly ListenAt[] {
  if (backup === undefined) return [];
  const { settings, log, totals } = shared;
  const { serverName: slot, idleMs } = settings;
  const serving = { place: backup.place, slot, idleMs, inTurn: inTurns(ASKED_AT_A_TIME) };
  const refusal = (why: string) => `NO ${why}`;
  const local: Protocol = {
    refusal,
    serve: async (connection, stopping) => {
      const client = { connection, scope: scopeOf(["*"]), log: log.with({ peer: "unix" }) };
      await serveBackup({ ...client, stopping }, serving);
      await connection.close();
      totals.sessions += 1;
      totals.bytesIn += connection.bytesIn;
      totals.bytesOut += connection.bytesOut;
    },
  };
  // Whoever waives TLS for csync has not waived it for all mail of everybody.
  const isWaived = settings.tls !== undefined && settings.requireTls === "nobody";
  const requireTls = isWaived ? "others" : settings.requireTls;
  const strict = { ...shared, settings: { ...settings, requireTls, allowPlaintext: false } };
  const remote: Protocol = {
    refusal,
    serve: (connection, stopping) => {
      const welcome: Welcome = (client, { allow }) =>
        serveBackup({ ...client, scope: scopeOf(allow), stopping }, serving);
      return new Session(connection, strict, { stopping, welcome }).run();
    },
  };
  return backup.listen.map((at) => ({ ...at, protocol: "path" in at ? local : remote }));
}

/** Questions to the place whose answers may be large: more than there are threads that read. */
const ASKED_AT_A_TIME = 4;

function sharedState({ settings, place, accounts, log, sleep }: ServerOptions): SharedState {
  const { heldBytes, accountHeldBytes, accountStagingBytes } = settings.limits;
  const held = new ByteBudget(heldBytes);
  const budgets = new Map<string, AccountBudgets>();
  return {
    ...{ settings, place, accounts, log },
    limitLog: limitedLogs(() => performance.now()),
    memory: new MemoryWatch(OWN_MEMORY),
    totals: { sessions: 0, commands: 0, messages: 0, bytesIn: 0, bytesOut: 0 },
    askInTurn: inTurns(ASKED_AT_A_TIME),
    held,
    gate: new SignInGate({ now: () => performance.now(), sleep: sleep ?? sleepUnless }),
    budgetsOf: (account) => {
      const known = budgets.get(account) ?? {
        staged: new ByteBudget(accountStagingBytes),
        held: new ByteBudget(accountHeldBytes, held),
      };
      budgets.set(account, known);
      return known;
    },
  };
}

/** Sleeps until the time is over or the signal is aborted. */
async function sleepUnless(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
