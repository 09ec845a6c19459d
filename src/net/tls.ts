/** The beginning of TLS, at either end of a connection, at once or after STARTTLS. */
import { isIP, type Socket } from "node:net";
import { TLSSocket, connect as tlsConnect } from "node:tls";

/** What a server shows. */
export interface TlsIdentity {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** What makes a server's certificate good. */
export interface TlsTrust {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** Take any certificate: whoever sits on the way can read and change everything. */
  readonly insecure?: boolean | undefined;
}

/** Which end of the connection this is. `host` is the name or IP address that was dialed. */
export type TlsEnd =
  | { readonly side: "server"; readonly identity: TlsIdentity }
  | { readonly side: "client"; readonly host: string; readonly trust: TlsTrust };

const MIN_VERSION = "TLSv1.2";

/** A TLS socket over a plain one; its handshake has begun. */
export function tlsSocket(plain: Socket, end: TlsEnd): TLSSocket {
  if (end.side === "server") {
    const { key, cert } = end.identity;
    return new TLSSocket(plain, { isServer: true, key, cert, minVersion: MIN_VERSION });
  }
  const { host, trust } = end;
  return tlsConnect({
    socket: plain,
    minVersion: MIN_VERSION,
    rejectUnauthorized: trust.insecure !== true,
    // An IP address is no server name; it is checked against the certificate all the same.
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
  });
}

/**
 * Waits for `event` of a socket that is coming up. If it fails, or takes longer than `timeoutMs`,
 * the socket is destroyed and an Error thrown that says why.
 */
export function established(socket: Socket, event: string, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => fail(new Error(`timed out, no answer in ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  const onClose = () => fail(new Error("the connection was closed"));
  const settle = () => {
    clearTimeout(timer);
    socket.off("error", fail);
    socket.off("close", onClose);
    socket.off(event, onEvent);
  };
  const fail = (error: Error) => {
    settle();
    socket.on("error", () => undefined); // it has failed already
    socket.destroy();
    reject(error);
  };
  const onEvent = () => {
    settle();
    resolve();
  };
  socket.on("error", fail);
  socket.on("close", onClose);
  socket.on(event, onEvent);
  return promise;
}
