/** Both ends of a connection, each a `Connection`, over a socket of this machine. */
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { concat, utf8 } from "../../src/core/bytes.ts";
import { Connection, type ConnectionPatience } from "../../src/net/connection.ts";
import { dial } from "../../src/net/dial.ts";
import { randomOf } from "../support/spool/random.ts";
import { TEST_TLS } from "../support/tls_identity.ts";
import { until } from "../support/until.ts";

const PATIENCE: ConnectionPatience = { handshakeMs: 10_000, stalledMs: 10_000 };
const open: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

interface Ends {
  readonly client: Connection;
  readonly server: Connection;
}

/** A port, and the socket of the first who connects to it. */
async function listening(): Promise<{ port: number; accepted: Promise<Socket> }> {
  const accepted = Promise.withResolvers<Socket>();
  const listener = createServer({ allowHalfOpen: true }, (socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  open.push(listener);
  const address = listener.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return { port, accepted: accepted.promise };
}

async function connected(patience: Partial<ConnectionPatience> = {}): Promise<Ends> {
  const whole = { ...PATIENCE, ...patience };
  const { port, accepted } = await listening();
  const to = { host: "127.0.0.1", port };
  const client = await dial(to, { patience: { ...whole, connectMs: 10_000 } });
  const server = new Connection(await accepted, whole);
  for (const end of [client, server]) open.push({ close: () => end.destroy() });
  return { client, server };
}

async function startTls({ client, server }: Ends): Promise<void> {
  await Promise.all([
    server.startTls({ side: "server", identity: TEST_TLS }),
    client.startTls({ side: "client", host: "localhost", trust: { ca: TEST_TLS.cert } }),
  ]);
}

/** Reads until so many bytes have come. */
async function take(from: Connection, length: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let got = 0; got < length; ) {
    const chunk = await from.read(10_000);
    if (typeof chunk === "string") throw new Error(`${chunk} after ${got} of ${length} bytes`);
    chunks.push(chunk);
    got += chunk.length;
  }
  return concat(chunks);
}

const LAYERS: Record<string, (ends: Ends) => Promise<void>> = {
  "plain TCP": async () => undefined,
  TLS: startTls,
  DEFLATE: async ({ client, server }) => {
    for (const end of [client, server]) end.startCompression(new Uint8Array());
  },
  "DEFLATE within TLS": async (ends) => {
    await startTls(ends);
    for (const end of [ends.client, ends.server]) end.startCompression(new Uint8Array());
  },
};

describe.each(Object.entries(LAYERS))("%s", (_, layer) => {
  test("carries pieces of any size both ways, whole and in order", async () => {
    const ends = await connected();
    await layer(ends);
    const { below } = randomOf(7);
    // Small ones, those around a gathering block, and some that are written as they are.
    const sizes = [0, 1, 2, 70_000, 65_535, 65_536, 131_072, 300_000, ...Array(500).fill(900)];
    const pieces = sizes.map((size) => Uint8Array.from({ length: size }, () => below(256)));
    const all = concat(pieces);
    for (const [from, to] of [
      [ends.client, ends.server],
      [ends.server, ends.client],
    ] as const) {
      const taken = take(to, all.length);
      for (const piece of pieces) await from.write(piece);
      await from.flush();
      expect(Buffer.compare(await taken, all)).toBe(0);
    }
  });

  test("answers small commands one by one, each flushed", async () => {
    const ends = await connected();
    await layer(ends);
    for (let turn = 0; turn < 50; turn++) {
      ends.client.write(utf8(`command ${turn}\r\n`));
      await ends.client.flush();
      expect(await take(ends.server, 10)).toEqual(utf8(`command ${turn}\r\n`));
      ends.server.write(utf8("* "), utf8(`answer ${turn}`));
      await ends.server.flush();
      expect(await take(ends.client, 10)).toEqual(utf8(`* answer ${turn}`));
    }
  });

  test("close() sends what is queued, and the other end reads it before the end", async () => {
    const ends = await connected();
    await layer(ends);
    ends.server.write(utf8("the last line\r\n"));
    const closed = ends.server.close();
    expect(await take(ends.client, 15)).toEqual(utf8("the last line\r\n"));
    expect(await ends.client.read(10_000)).toBe("end");
    await ends.client.close();
    await closed;
  });
});

describe("a peer that has gone", () => {
  test("is told by reads and by `loss`; what is written to it is dropped", async () => {
    const { client, server } = await connected();
    client.destroy();
    expect(await server.read(10_000)).toBe("end");
    for (let count = 0; count < 100; count++) await server.write(new Uint8Array(70_000));
    await until("the loss is noticed", () => server.loss !== undefined);
    await server.flush();
    expect([client.loss, client.hasEnded]).toEqual(["closed", true]);
    await server.close();
  });

  test("is not gone while it reads: a half-closed client gets its answer", async () => {
    const { port, accepted } = await listening();
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    open.push({ close: () => socket.destroy() });
    const server = new Connection(await accepted, PATIENCE);
    socket.end();
    expect(await server.read(10_000)).toBe("end");
    expect([server.hasEnded, server.loss]).toEqual([true, undefined]);
    const answer = Promise.withResolvers<Uint8Array>();
    socket.once("data", answer.resolve);
    server.write(utf8("answer"));
    await server.flush();
    expect(Buffer.from(await answer.promise).toString()).toBe("answer");
  });
});

describe("a peer that reads nothing", () => {
  test("makes writes wait, and is cut off when it takes too long", async () => {
    const { server } = await connected({ stalledMs: 200 });
    let waits = 0;
    for (let sent = 0; server.loss === undefined && sent < 1000; sent++) {
      const waited = server.write(new Uint8Array(100_000));
      if (waited !== undefined) waits++;
      await waited;
    }
    expect([server.loss, server.isStalled, waits > 0]).toEqual(["stalled", false, true]);
    expect(await server.read(10_000)).toBe("end");
  });

  test("is waited for as long as it takes something now and then", async () => {
    const { client, server } = await connected();
    // More than the buffers of the system may take on both sides, which grow under load.
    const [pieces, pieceBytes] = [200, 100_000];
    const sent = pieces * pieceBytes;
    const sending = (async () => {
      for (let count = 0; count < pieces; count++) await server.write(new Uint8Array(pieceBytes));
      await server.flush();
    })();
    await until("the server waits", () => server.isStalled);
    expect((await take(client, sent)).length).toBe(sent);
    await sending;
    expect(server.loss).toBeUndefined();
  });
});

describe("read()", () => {
  test("ends with timeout when nothing comes, and at once when it is interrupted", async () => {
    const { client, server } = await connected();
    expect(await server.read(1)).toBe("timeout");
    const reading = server.read(60_000);
    server.interrupt();
    expect(await reading).toBe("timeout");
    client.write(utf8("x"));
    await client.flush();
    expect(await server.read(10_000)).toEqual(utf8("x"));
  });
});
