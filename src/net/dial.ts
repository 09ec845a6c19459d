/** Connections to a server. Whatever keeps one from coming up is an AppError (unreachable). */
import { connect } from "node:net";
import { AppError, errnoOf } from "../core/errors.ts";
import { Connection, type ConnectionPatience } from "./connection.ts";
import { established, type TlsTrust } from "./tls.ts";

/** Where a server listens. */
export interface HostPort {
  /** A name or an IP address. */
  readonly host: string;
  readonly port: number;
}

/** A unix socket on this machine. */
export interface SocketPath {
  readonly path: string;
}

/** How long a server may keep its client waiting, in milliseconds. */
export interface DialPatience extends ConnectionPatience {
  /** For the connection to come up, TLS not included. */
  readonly connectMs: number;
}

export interface DialOptions {
  /** Present: TLS from the first byte on. */
  readonly tls?: TlsTrust | undefined;
  readonly patience: DialPatience;
}

/** Connects. Throws AppError (unreachable), also for a certificate that is not trusted. */
export async function dial(
  to: HostPort | SocketPath,
  { tls, patience }: DialOptions,
): Promise<Connection> {
  const socket = "path" in to ? connect({ path: to.path }) : connect({ ...to });
  await established(socket, "connect", patience.connectMs).catch((error) => {
    throw cannotConnect(to, error);
  });
  const connection = new Connection(socket, patience);
  if (tls !== undefined && !("path" in to)) await dialTls(connection, to, tls);
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

function cannotConnect(to: HostPort | SocketPath, error: unknown): AppError {
  const code = errnoOf(error) ?? "";
  const known = REASONS.find(([codes]) => codes.test(code));
  const why = known?.[1] ?? (error instanceof Error ? error.message : String(error));
  const where = "path" in to ? to.path : `${to.host}:${to.port}`;
  return new AppError("unreachable", `Cannot connect to ${where}: ${why}`, {
    cause: error,
    context: "path" in to ? { path: to.path } : { host: to.host, port: to.port },
    hint: known?.[2] ?? HINT,
  });
}

const HINT = "Look at the server's log, and whether a firewall stands between";
const INSECURE = "--insecure takes it all the same, at your risk";

/** By the code of an error: what is the matter, if its own words are not good, and what helps. */
const REASONS: readonly (readonly [code: RegExp, why: string | undefined, hint: string])[] = [
  [
    /^ECONNREFUSED$/,
    "nothing listens there (ECONNREFUSED)",
    "Is the server running, and is it this port? It is 2005 mostly: `csync` in cyrus.conf, " +
      "--listen of bobbin serve; for backups 2901",
  ],
  [/^ENOENT$/, "there is no such socket (ENOENT)", "Is the server running, and is it this path?"],
  [
    /^EACCES$/,
    "this user may not use the socket (EACCES)",
    "Run it as the user of the server, or as root",
  ],
  [
    /^(ENOTFOUND|EAI_\w+|ENODATA|DNS_\w+)$/,
    "there is no host of this name (ENOTFOUND)",
    "Look at the spelling and at the name service, or give the IP address",
  ],
  [
    /^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EINVAL|ENETDOWN)$/,
    undefined,
    "No way leads there from this machine: look at the address, its network and the firewall",
  ],
  [/^CERT_HAS_EXPIRED$/, undefined, `The server needs a new certificate. ${INSECURE}`],
  [
    /^CERT_NOT_YET_VALID$/,
    undefined,
    `Is the clock right, here and where the certificate was made? ${INSECURE}`,
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    undefined,
    `Connect by a name that the certificate has. ${INSECURE}`,
  ],
  [
    /^(DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE)/,
    undefined,
    "--ca FILE names the authority to trust: the certificate of the authority that has signed " +
      "the server's, or the server's own where it has signed itself",
  ],
  [
    /^ERR_SSL_WRONG_VERSION_NUMBER$|^ERR_SSL_HTTP/,
    "it does not speak TLS there",
    "sync:// and imap:// begin without TLS, and use STARTTLS where it is offered",
  ],
  [
    /^ERR_SSL_.*(PROTOCOL|VERSION|HANDSHAKE_FAILURE|CIPHER)/,
    "it offers no TLS that is safe today: 1.2 or later is wanted",
    "Look at tls_versions and tls_ciphers in its imapd.conf",
  ],
];
