/**
 * Takes connections and gives each its session. A stop lets every session finish the command it is in
 * the middle of; what has not ended after a while is cut off, which the store survives like any
 * other broken connection.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Accounts } from "../accounts/accounts.ts";
import { networkOf, SignInGate } from "../accounts/sign_in_gate.ts";
import { AppError, errnoOf } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { WritablePlace } from "../places/place.ts";
import { ByteBudget } from "../server/byte_budget.ts";
import { MemoryWatch, OWN_MEMORY } from "../server/memory_watch.ts";
import type { ServerSettings, SharedState } from "../server/server_settings.ts";
import { Session } from "../server/session/session.ts";
import { Connection, type TlsIdentity } from "./client_connection.ts";
import { shakeHands } from "./shake_hands.ts";

/** Where to listen: an address, or a descriptor that is listening already (socket activation). */
export type ListenAt = { readonly tls: boolean } & (
  | { readonly host: string; readonly port: number }
  | { readonly fd: number }
);

export interface ServerOptions {
  readonly place: WritablePlace;
  readonly accounts: () => Accounts;
  readonly settings: ServerSettings;
  readonly log: Log;
  readonly listen: readonly ListenAt[];
  /** How the answers to wrong passwords are held back; the clock, if not given. */
  readonly sleep?: (ms: number) => Promise<void>;
}

export interface RunningServer {
  /** `host:port` of each listener, in the order asked for. */
  readonly addresses: readonly string[];
  /** Sessions open now. */
  sessionCount(): number;
  /** Bytes that unfinished commands of all sessions hold in memory now, roughly. */
  heldBytes(): number;
  /** Ends when every session has; those that take longer than `graceMs` are cut off, and soon not waited for. */
  stop(graceMs: number): Promise<void>;
}

/** Starts to serve. Throws AppError if an address cannot be listened on. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const sessions = new Sessions(options);
  const servers: Server[] = [];
  try {
    for (const at of options.listen) servers.push(await listen(at, sessions, options));
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    addresses: servers.map(addressOf),
    sessionCount: () => sessions.count,
    heldBytes: () => sessions.heldBytes,
    stop: async (graceMs) => {
      for (const server of servers) server.close();
      await sessions.stop(graceMs);
    },
  };
}

function listen(at: ListenAt, sessions: Sessions, options: ServerOptions): Promise<Server> {
  const tls = at.tls ? options.settings.tls : undefined;
  if (at.tls && tls === undefined)
    throw new AppError("config", "TLS needs a certificate and a key");
  // A client may close its side and still wait for answers. TLS begins inside the session, so that
  // who connects and never shakes hands counts and is sent away like anybody else.
  const server = createServer({ allowHalfOpen: true }, (socket) => sessions.take(socket, tls));
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const where = "fd" in at ? `descriptor ${at.fd}` : `${at.host}:${at.port}`;
      const reason = errnoOf(error) ?? error.message;
      reject(
        new AppError("cannot_create", `Cannot listen on ${where}: ${reason}`, { cause: error }),
      );
    });
    const ready = () => resolve(server);
    if ("fd" in at) server.listen({ fd: at.fd }, ready);
    else server.listen({ host: at.host, port: at.port }, ready);
  });
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") return address ?? "unknown";
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}

/** Others are cut off without a word: each costs an open file until it has taken it. */
const SENT_AWAY_AT_A_TIME = 16;
/** How long a session that was cut off may take for the command that it is in the middle of. */
const LAST_COMMANDS_MS = 10_000;

/** All sessions of a server. */
class Sessions {
  readonly #options: ServerOptions;
  readonly #shared: SharedState;
  readonly #running = new Map<Connection, Promise<void>>();
  readonly #ofNetwork = new Map<string, number>();
  readonly #budgets = new Map<string, ByteBudget>();
  /** Clients that are being told why they cannot have a session. */
  #sentAway = 0;
  #isStopping = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    const { settings, place, accounts, log } = options;
    this.#shared = {
      settings,
      place,
      accounts,
      log,
      memory: new MemoryWatch(OWN_MEMORY),
      held: new ByteBudget(settings.limits.heldBytes),
      gate: new SignInGate({ now: () => performance.now(), sleep: options.sleep ?? Bun.sleep }),
      budgetOf: (account) => this.#budgetOf(account),
      isStopping: () => this.#isStopping,
    };
  }

  get count(): number {
    return this.#running.size;
  }

  get heldBytes(): number {
    return this.#shared.held.usedBytes;
  }

  /** `tls`: it begins before the banner. */
  take(socket: Socket, tls?: TlsIdentity): void {
    // Whatever goes wrong with a socket between two listeners of its session ends that session alone.
    socket.on("error", () => socket.destroy());
    const connection = new Connection(socket, this.#options.settings.patience);
    const network = networkOf(connection.address);
    const { sessions, sessionsOfAddress } = this.#options.settings.limits;
    const ofNetwork = this.#ofNetwork.get(network) ?? 0;
    const isFull = this.#running.size >= sessions || ofNetwork >= sessionsOfAddress;
    if (isFull || this.#isStopping) {
      const why = isFull ? "too many connections" : "shutting down";
      this.#options.log.write("warning", "Connection refused", { peer: connection.address, why });
      if (tls === undefined) connection.write(Buffer.from(`* Fatal error: ${why}\r\n`));
      void this.#sendAway(connection);
      return;
    }
    this.#ofNetwork.set(network, ofNetwork + 1);
    this.#running.set(connection, this.#serve(connection, { network, tls }));
  }

  async #sendAway(connection: Connection): Promise<void> {
    if (this.#sentAway >= SENT_AWAY_AT_A_TIME) return connection.destroy();
    this.#sentAway++;
    await connection.close();
    this.#sentAway--;
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const connection of this.#running.keys()) connection.interrupt();
    const ended = Promise.all(this.#running.values());
    if (await isOver(ended, graceMs)) return;
    for (const connection of this.#running.keys()) {
      this.#options.log.write("warning", "Cut off a session", { peer: connection.address });
      connection.destroy();
    }
    if (await isOver(ended, LAST_COMMANDS_MS)) return;
    this.#options.log.write("error", "Sessions did not end", { sessions: this.#running.size });
  }

  async #serve(
    connection: Connection,
    { network, tls }: { readonly network: string; readonly tls: TlsIdentity | undefined },
  ): Promise<void> {
    const log = this.#options.log.with({ peer: connection.address });
    log.write("debug", "Connected");
    try {
      if (tls === undefined || (await shakeHands(connection, tls, log)))
        await new Session(connection, this.#shared).run();
    } finally {
      this.#running.delete(connection);
      const left = (this.#ofNetwork.get(network) ?? 1) - 1;
      if (left > 0) this.#ofNetwork.set(network, left);
      else this.#ofNetwork.delete(network);
    }
  }

  #budgetOf(account: string): ByteBudget {
    const known = this.#budgets.get(account);
    if (known !== undefined) return known;
    const budget = new ByteBudget(this.#options.settings.limits.accountStagingBytes);
    this.#budgets.set(account, budget);
    return budget;
  }
}

/** True when `ended` comes within `ms`. */
async function isOver(ended: Promise<unknown>, ms: number): Promise<boolean> {
  const time = Promise.withResolvers<false>();
  const timer = setTimeout(() => time.resolve(false), ms);
  const first = await Promise.race([ended.then(() => true), time.promise]);
  clearTimeout(timer);
  return first;
}
