/** Ports where something else is spoken than the address says, and peers that keep one waiting. */
import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { AppError } from "../../../src/core/errors.ts";
import { openLink } from "../../../src/places/sync/sign_in.ts";
import type { SyncOptions } from "../../../src/places/sync/sync_options.ts";
import { parseSyncAddress } from "../../../src/places/sync_address.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

type Serve = (socket: Socket) => void;

async function portOf(serve: Serve, { isTls }: { readonly isTls: boolean }): Promise<number> {
  const keep = (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    serve(socket);
  };
  const server = isTls ? createTlsServer(TEST_TLS, keep) : createServer(keep);
  server.on("tlsClientError", (_: Error, socket: Socket) => socket.destroy());
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** The error of a sign-in at `scheme://admin@127.0.0.1:PORT`. */
async function failure(
  scheme: string,
  port: number,
  patience: Partial<SyncOptions> = {},
): Promise<AppError> {
  try {
    const link = await openLink(
      {
        address: parseSyncAddress(`${scheme}://admin@127.0.0.1:${port}`),
        password: () => Promise.resolve("labpass"),
        trust: { insecure: true },
        ...patience,
      },
      "read",
    );
    link.dialogue.connection.destroy();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it has signed in");
}

const says = (text: string) => (socket: Socket) => void socket.write(text);
const CSYNC = says("* SASL PLAIN\r\n* OK beta Cyrus sync server 3.6.1\r\n");
const IMAP = says("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] beta Cyrus IMAP 3.6.1 server ready\r\n");
/** Answers 400 to whatever comes. */
const HTTP = (socket: Socket) =>
  void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
const SHORT = { greetingMs: 150 };

describe("a port where something else is spoken", () => {
  test.each<readonly [string, string, boolean, Serve, string]>([
    ["csync", "imap", false, CSYNC, "sync"],
    ["csync", "syncs", false, CSYNC, "sync"],
    ["csync", "imaps", false, CSYNC, "sync"],
    ["csync within TLS", "sync", true, CSYNC, "syncs"],
    ["csync within TLS", "imaps", true, CSYNC, "syncs"],
    ["IMAP", "sync", false, IMAP, "imap"],
    ["IMAP", "imaps", false, IMAP, "imap"],
    ["IMAP within TLS", "imap", true, IMAP, "imaps"],
    ["IMAP within TLS", "syncs", true, IMAP, "imaps"],
  ])("%s is told of %s://, with the address that fits", async (_, scheme, isTls, serve, right) => {
    const port = await portOf(serve, { isTls });
    const { code, message, hint } = await failure(scheme, port, SHORT);
    expect([code, hint]).toEqual(["protocol", `Try ${right}://admin@127.0.0.1:${port}`]);
    expect(message).toStartWith(`127.0.0.1:${port} speaks `);
  });

  test.each<readonly [string, Serve]>([
    ["LMTP", says("220 beta Cyrus LMTP 3.6.1 server ready\r\n")],
    ["POP3", says("+OK beta Cyrus POP3 server ready\r\n")],
    ["ManageSieve", says('"IMPLEMENTATION" "Cyrus timsieved 3.6.1"\r\n')],
    ["HTTP", HTTP],
  ])("%s is named, under each scheme", async (speech, serve) => {
    for (const scheme of ["sync", "syncs", "imap", "imaps"]) {
      const port = await portOf(serve, { isTls: false });
      const { code, message, hint } = await failure(scheme, port, SHORT);
      const wanted = scheme.startsWith("sync") ? "the sync protocol" : "IMAP";
      expect([scheme, code, message]).toEqual([
        scheme,
        "protocol",
        `127.0.0.1:${port} speaks ${speech}, not ${wanted}`,
      ]);
      expect(hint).toContain("port 2005");
    }
  });

  test("a server that says nothing, or hangs up, is named, and what it may be", async () => {
    for (const serve of [() => undefined, (socket: Socket) => void socket.end()]) {
      const port = await portOf(serve, { isTls: false });
      const { code, message, hint } = await failure("sync", port, SHORT);
      expect([code, message.startsWith(`127.0.0.1:${port} `)]).toEqual(["unreachable", true]);
      expect(hint).toContain(`syncs://admin@127.0.0.1:${port}`);
    }
  });

  test("is not sought where TLS is spoken and answers with an alert alone", async () => {
    const alert = (socket: Socket) => void socket.end(Buffer.from("15030100020246", "hex"));
    const port = await portOf(alert, { isTls: false });
    const { message, hint = "" } = await failure("imaps", port);
    expect(`${message} ${hint}`).not.toMatch(/from the first byte|Try imaps/);
  });

  test("a certificate that is not trusted stays what is told", async () => {
    const port = await portOf(CSYNC, { isTls: true });
    const { code, hint } = await failure("imaps", port, { trust: {} });
    expect([code, hint]).toEqual(["unreachable", expect.stringContaining("--ca FILE")]);
  });
});

describe("patience", () => {
  test("a greeting that goes on for ever ends in time, though bytes come in", async () => {
    const timers: Timer[] = [];
    const drip = (socket: Socket) => {
      socket.write("* OK ");
      timers.push(setInterval(() => socket.write("x"), 5));
    };
    for (const scheme of ["sync", "imap"]) {
      const port = await portOf(drip, { isTls: false });
      const { code, message } = await failure(scheme, port, { greetingMs: 1000 });
      expect([code, message]).toEqual([
        "unreachable",
        `127.0.0.1:${port} has not come to an end of its answer in 1 s`,
      ]);
    }
    for (const timer of timers) clearInterval(timer);
  });

  test("an answer to the sign-in that never ends does not hold it for ever", async () => {
    const port = await portOf(
      (socket) => {
        CSYNC(socket);
        socket.on("data", () => void socket.write("OK"));
      },
      { isTls: false },
    );
    const { code, message } = await failure("sync", port, { signInMs: 1000 });
    expect([code, message]).toEqual([
      "unreachable",
      `127.0.0.1:${port} has not come to an end of its answer in 1 s`,
    ]);
  });
});
