/** A relay on loopback whose connections a test can cut. */
import { connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  readonly port: number;
  /** How many connections there have been. */
  readonly count: () => number;
  /** Cuts every connection there is. */
  drop(): void;
  /** Cuts each connection from now on once so many bytes have come from its client. */
  dropAfter(bytes: number): void;
  stop(): Promise<void>;
}

export interface TcpProxyOptions {
  /** Milliseconds that a byte and the answer to it are on the way together. */
  readonly roundTripMs?: number;
}

/** Relays a free port to `target`. */
export async function tcpProxy(
  target: number,
  { roundTripMs = 0 }: TcpProxyOptions = {},
): Promise<TcpProxy> {
  // Timers of the same length go off in the order in which they were set.
  const later = (work: () => void): void => {
    if (roundTripMs === 0) work();
    else setTimeout(work, roundTripMs / 2);
  };
  const open = new Set<Socket>();
  let count = 0;
  let limit = Number.POSITIVE_INFINITY;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    count += 1;
    let taken = 0;
    const far = connect({ host: "127.0.0.1", port: target, allowHalfOpen: true });
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        open.delete(socket);
        cut();
      });
    }
    near.on("data", (chunk) => {
      taken += chunk.length;
      if (taken > limit) cut();
      else later(() => far.write(chunk));
    });
    near.on("end", () => later(() => far.end()));
    far.on("data", (chunk) => later(() => near.write(chunk)));
    far.on("end", () => later(() => near.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    count: () => count,
    drop: () => {
      for (const socket of open) socket.destroy();
    },
    dropAfter: (bytes) => {
      limit = bytes;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
