/** The sync server: what its sessions share, and the listener that gives each client one. */
import { setTimeout } from "node:timers/promises";
import type { Accounts } from "../accounts/account.ts";
import { scopeOf } from "../accounts/scope.ts";
import { SignInGate } from "../accounts/sign_in_gate.ts";
import { inTurns } from "../core/in_turns.ts";
import { pushAll } from "../core/lists.ts";
import { type Log, limitedLogs } from "../core/log.ts";
import { ByteBudget } from "../net/byte_budget.ts";
import { type ListenAt, type Listener, type Protocol, startListener } from "../net/listener.ts";
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
  const { listen } = options;
  const shared = sharedState(options);
  const csync: Protocol = {
    refusal: (why) => `* Fatal error: ${why}`,
    serve: (connection, stopping) => new Session(connection, shared, { stopping }).run(),
  };
  const listeners: Listener[] = [];
  const begin = async (protocol: Protocol, at: readonly ListenAt[]): Promise<Listener> => {
    const listener = await startListener({ ...listenerOptions(shared), protocol, listen: at });
    listeners.push(listener);
    return listener;
  };
  const stop = (graceMs: number) =>
    Promise.all(listeners.map((listener) => listener.stop(graceMs))).then(() => undefined);
  try {
    const { addresses } = await begin(csync, listen);
    const backupAddresses: string[] = [];
    for (const [protocol, at] of backupProtocols(options, shared)) {
      pushAll(backupAddresses, (await begin(protocol, [at])).addresses);
    }
    return {
      ...{ addresses, backupAddresses, stop },
      sessionCount: () => listeners.reduce((sum, one) => sum + one.connectionCount(), 0),
      heldBytes: () => shared.held.usedBytes,
      totals: () => shared.totals,
    };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

function listenerOptions({ settings, log, gate }: SharedState) {
  const { tls, limits, patience } = settings;
  return { tls, limits, patience, log, isKnown: (address: string) => gate.knows(address) };
}

/** The protocol of each socket for backups. */
function backupProtocols(
  { backup }: Pick<ServerOptions, "backup">,
  shared: SharedState,
): [Protocol, ListenAt][] {
  if (backup === undefined) return [];
  const { settings, log } = shared;
  const { serverName: slot, idleMs } = settings;
  const serving = { place: backup.place, slot, idleMs, inTurn: inTurns(ASKED_AT_A_TIME) };
  const refusal = (why: string) => `NO ${why}`;
  const local: Protocol = {
    refusal,
    serve: async (connection, stopping) => {
      const client = { connection, scope: scopeOf(["*"]), log: log.with({ peer: "unix" }) };
      await serveBackup({ ...client, stopping }, serving);
      await connection.close();
    },
  };
  // Whoever waives TLS for csync has not waived it for all mail of everybody.
  const requireTls =
    settings.tls !== undefined && settings.requireTls === "nobody" ? "others" : settings.requireTls;
  const strict = { ...shared, settings: { ...settings, requireTls, allowPlaintext: false } };
  const remote: Protocol = {
    refusal,
    serve: (connection, stopping) => {
      const welcome: Welcome = (client, { allow }) =>
        serveBackup({ ...client, scope: scopeOf(allow), stopping }, serving);
      return new Session(connection, strict, { stopping, welcome }).run();
    },
  };
  return backup.listen.map((at) => ["path" in at ? local : remote, at]);
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
