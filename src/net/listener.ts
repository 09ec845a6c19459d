/**
 * Takes connections and gives each to the protocol that is spoken here. On a stop the protocol ends
 * its sessions where it can; those that have not ended after a while are cut off.
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import { networkOf } from "../core/address.ts";
import { utf8 } from "../core/bytes.ts";
import { AppError, errnoOf } from "../core/errors.ts";
import type { Limits } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { removeFile, statOf } from "../storage/disk.ts";
import { Connection, type ConnectionPatience } from "./connection.ts";
import { shakeHands } from "./shake_hands.ts";
import type { TlsIdentity } from "./tls.ts";

/**
 * Where to listen: an address, the path of a unix socket, which only this user and root may use,
 * or a descriptor that is listening already (socket activation).
 */
export type ListenAt = {
  readonly tls: boolean;
  /** What is spoken there, if not what the listener's other sockets speak. */
  readonly protocol?: Protocol;
} & (
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number }
);

/** What is spoken over the connections of a listener. */
export interface Protocol {
  /** The one line, without its end, for a client that cannot have a session; `why` is in words. */
  refusal(why: string): string;
  /**
   * Serves a client until either side has had enough, and closes the connection. After `stopping`
   * is aborted the session ends between two commands; reads that wait are interrupted for that.
   * Never rejects.
   */
  serve(connection: Connection, stopping: AbortSignal): Promise<void>;
}

export interface ListenerOptions {
  readonly protocol: Protocol;
  readonly listen: readonly ListenAt[];
  /** What is shown where TLS begins at once; asked for each connection, as it may be renewed. */
  readonly tls?: (() => TlsIdentity) | undefined;
  readonly limits: Pick<Limits, "sessions" | "sessionsOfAddress">;
  /** True for an address from which somebody has signed in; strangers cannot take its place. */
  readonly isKnown: (address: string) => boolean;
  readonly patience: ConnectionPatience;
  readonly log: Log;
}

export interface Listener {
  /** `host:port` of each socket, in the order asked for. */
  readonly addresses: readonly string[];
  /** Connections open now. */
  connectionCount(): number;
  /**
   * Resolves when every session has ended, and after `graceMs` in any case. Sessions that take too
   * long are cut off shortly before, so that they may still end what they are doing.
   */
  stop(graceMs: number): Promise<void>;
}

/** Starts to listen. Throws AppError if an address cannot be listened on. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const connections = new Connections(options);
  const servers: Server[] = [];
  try {
    for (const at of options.listen) servers.push(await listen(at, connections, options));
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    addresses: servers.map(addressOf),
    connectionCount: () => connections.count,
    stop: async (graceMs) => {
      for (const server of servers) server.close();
      await connections.stop(graceMs);
    },
  };
}

async function listen(
  at: ListenAt,
  connections: Connections,
  options: ListenerOptions,
): Promise<Server> {
  const tls = at.tls ? options.tls : undefined;
  const { protocol = options.protocol } = at;
  if (at.tls && tls === undefined)
    throw new AppError("config", "TLS needs a certificate and a key");
  if ("path" in at) await removeLeftSocket(at.path);
  // A client may close its side and still wait for answers. It is counted before TLS begins, so
  // that a client that never finishes the handshake is limited like any other.
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    connections.take(socket, { tls, protocol }),
  );
  // Nobody else may connect to a unix socket, not even before chmod.
  const umask = "path" in at ? process.umask(0o177) : undefined;
  return new Promise<Server>((resolve, reject) => {
    server.once("error", (error) => reject(cannotListen(at, error)));
    const ready = () => resolve(server);
    if ("fd" in at) server.listen({ fd: at.fd }, ready);
    else if ("path" in at) server.listen({ path: at.path }, ready);
    else server.listen({ host: at.host, port: at.port }, ready);
  }).finally(() => {
    if (umask !== undefined) process.umask(umask);
  });
}

function cannotListen(at: ListenAt, error: Error): AppError {
  const where =
    "fd" in at ? `descriptor ${at.fd}` : "path" in at ? at.path : `${at.host}:${at.port}`;
  const errno = errnoOf(error);
  const hint = LISTEN_HINTS[errno ?? ""];
  return new AppError("cannot_create", `Cannot listen on ${where}: ${errno ?? error.message}`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  });
}

/** Removes a socket on which nobody listens: a server that was killed has left it. */
async function removeLeftSocket(path: string): Promise<void> {
  if (statOf(path)?.isSocket() !== true) return;
  const socket = connect({ path });
  const isLeft = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(false));
    socket.once("error", (error) => resolve(errnoOf(error) === "ECONNREFUSED"));
  });
  socket.destroy();
  if (isLeft) removeFile(path);
}

const LISTEN_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Something listens there already (ss -ltnp shows it): end it, or take another port",
  EACCES: "Ports below 1024 are root's: take another, or a socket of systemd",
  EADDRNOTAVAIL: "This machine has no such address: `ip address` shows those that it has",
  ENOENT: "The folder of the socket is not there",
  ENOTFOUND: "No host has this name: give an IP address of this machine",
};

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") return address ?? "unknown";
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}

/** The part of all sessions that is kept for addresses that are known. */
const KEPT_PART = 1 / 4;
/** How many clients at a time are told why they are refused: each costs an open file meanwhile. */
const REFUSED_AT_A_TIME = 16;
/** The share of a stop's time that a cut-off session has at most to finish its command. */
const LAST_COMMANDS_MS = 5_000;
/** How long it has at least, to be told that it is cut off. */
const LAST_BYTES_MS = 500;

/** What is said on a connection. */
interface Spoken {
  /** TLS begins before anything is said, and shows this. */
  readonly tls: (() => TlsIdentity) | undefined;
  readonly protocol: Protocol;
}

/** All connections of a listener. */
class Connections {
  readonly #options: ListenerOptions;
  readonly #running = new Map<Connection, Promise<void>>();
  readonly #ofNetwork = new Map<string, number>();
  readonly #stopping = new AbortController();
  /** How many clients are being told why they are refused. */
  #refused = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#running.size;
  }

  take(socket: Socket, { tls, protocol }: Spoken): void {
    // An error of a socket that nobody listens to at that moment must not end the process.
    socket.on("error", () => socket.destroy());
    const { patience, limits, log } = this.#options;
    const connection = new Connection(socket, patience);
    const network = networkOf(connection.address);
    const ofNetwork = this.#ofNetwork.get(network) ?? 0;
    const isFull = ofNetwork >= limits.sessionsOfAddress || !this.#hasRoomFor(connection);
    if (isFull || this.#stopping.signal.aborted) {
      const why = isFull ? "too many connections" : "shutting down";
      log.write("warning", "Connection refused", { peer: connection.address, why });
      if (tls === undefined) connection.write(utf8(`${protocol.refusal(why)}\r\n`));
      void this.#refuse(connection);
      return;
    }
    this.#ofNetwork.set(network, ofNetwork + 1);
    this.#running.set(connection, this.#serve(connection, network, { tls, protocol }));
  }

  /** Of those whom nobody knows yet only so many are let in that room is left for the others. */
  #hasRoomFor({ address }: Connection): boolean {
    const { limits, isKnown } = this.#options;
    if (this.#running.size >= limits.sessions) return false;
    if (isKnown(address)) return true;
    let strangers = 0;
    for (const other of this.#running.keys()) if (!isKnown(other.address)) strangers++;
    return strangers < limits.sessions - Math.floor(limits.sessions * KEPT_PART);
  }

  async #refuse(connection: Connection): Promise<void> {
    if (this.#refused >= REFUSED_AT_A_TIME) return connection.destroy();
    this.#refused++;
    await connection.close();
    this.#refused--;
  }

  async stop(graceMs: number): Promise<void> {
    const { log } = this.#options;
    this.#stopping.abort();
    for (const connection of this.#running.keys()) connection.interrupt();
    const ended = Promise.all(this.#running.values());
    const lastMs = Math.min(LAST_COMMANDS_MS, Math.max(graceMs / 4, LAST_BYTES_MS));
    if (await isOver(ended, Math.max(0, graceMs - lastMs))) return;
    for (const connection of this.#running.keys()) {
      log.write("warning", "Cut off a session", { peer: connection.address });
      connection.destroy();
    }
    if (await isOver(ended, lastMs)) return;
    log.write("error", "Sessions did not end", { sessions: this.#running.size });
  }

  async #serve(connection: Connection, network: string, { tls, protocol }: Spoken): Promise<void> {
    const log = this.#options.log.with({ peer: connection.address });
    log.write("debug", "Connected");
    try {
      if (tls === undefined || (await shakeHands(connection, tls(), log)))
        await protocol.serve(connection, this.#stopping.signal);
    } finally {
      this.#running.delete(connection);
      const left = (this.#ofNetwork.get(network) ?? 1) - 1;
      if (left > 0) this.#ofNetwork.set(network, left);
      else this.#ofNetwork.delete(network);
    }
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
