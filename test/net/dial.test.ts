import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { AppError } from "../../src/core/errors.ts";
import { dial } from "../../src/net/dial.ts";
import type { TlsTrust } from "../../src/net/tls.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** The port of a server that does with each client what is asked. */
async function portOf(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** The error of a connection that does not come up. */
async function failure(port: number, tls?: TlsTrust): Promise<AppError> {
  const to = { host: "127.0.0.1", port };
  const patience = { connectMs: 10_000, handshakeMs: 200, stalledMs: 10_000 };
  try {
    (await dial(to, { tls, patience })).destroy();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it has come up");
}

describe("dial()", () => {
  test("says which server cannot be reached, and why", async () => {
    const port = await portOf(() => undefined);
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
    const { code, message, context } = await failure(port);
    expect([code, context]).toEqual(["unreachable", { host: "127.0.0.1", port }]);
    expect(message).toStartWith(`Cannot connect to 127.0.0.1:${port}: `);
  });

  test("does not wait for ever for a server that never begins TLS", async () => {
    const port = await portOf(() => undefined);
    const { code, message } = await failure(port, { insecure: true });
    expect([code, message]).toEqual([
      "unreachable",
      `Cannot connect to 127.0.0.1:${port}: timed out, no answer in 0.2 s`,
    ]);
  });

  test("names a server that does not begin TLS, but talks or hangs up", async () => {
    for (const words of ["* OK plain Cyrus sync server\r\n", ""]) {
      const { code, message } = await failure(await portOf((socket) => socket.end(words)), {});
      expect([code, message.startsWith("Cannot connect to 127.0.0.1:")]).toEqual([
        "unreachable",
        true,
      ]);
    }
  });
});
