/** Connections to a server. Whatever keeps one from coming up is an AppError (unreachable). */
import { connect } from "node:net";
import { AppError } from "../core/errors.ts";
import { Connection, type ConnectionPatience } from "./connection.ts";
import { established, type TlsTrust } from "./tls.ts";

/** Where a server listens. */
export interface HostPort {
  /** A name or an IP address. */
  readonly host: string;
  readonly port: number;
}

export interface DialOptions {
  /** Present: TLS from the first byte on. */
  readonly tls?: TlsTrust | undefined;
  /** For the connection to come up, TLS not included. */
  readonly connectMs: number;
  readonly patience: ConnectionPatience;
}

/** Connects. Throws AppError (unreachable), also for a certificate that is not trusted. */
export async function dial(to: HostPort, options: DialOptions): Promise<Connection> {
  const { host, port } = to;
  const { tls, connectMs, patience } = options;
  const socket = connect({ host, port });
  await established(socket, "connect", connectMs).catch((error) => {
    throw cannotConnect(to, error);
  });
  const connection = new Connection(socket, patience);
  if (tls !== undefined) await dialTls(connection, to, tls);
  connection.readFarAhead();
  return connection;
}

/** Takes a connection to the server `to` over into TLS. Throws AppError (unreachable). */
export async function dialTls(
  connection: Connection,
  to: HostPort,
  trust: TlsTrust,
): Promise<void> {
  try {
    await connection.startTls({ side: "client", host: to.host, trust });
  } catch (error) {
    connection.destroy();
    throw cannotConnect(to, error);
  }
}

function cannotConnect({ host, port }: HostPort, error: unknown): AppError {
  const why = error instanceof Error ? error.message : String(error);
  const isTrust = /certificate|altname|self.signed|unable to (get|verify)/i.test(why);
  const hint = isTrust ? { hint: "--ca FILE names the authority to trust" } : {};
  return new AppError("unreachable", `Cannot connect to ${host}:${port}: ${why}`, {
    cause: error,
    context: { host, port },
    ...hint,
  });
}
