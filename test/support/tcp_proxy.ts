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

/** Relays a free port to `target`. */
export async function tcpProxy(target: number): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let count = 0;
  let limit = Number.POSITIVE_INFINITY;
  const server = createServer((near) => {
    count += 1;
    let taken = 0;
    const far = connect({ host: "127.0.0.1", port: target });
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
      else far.write(chunk);
    });
    far.pipe(near);
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
