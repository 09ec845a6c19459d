/** A listener over a protocol of its own: it knows nothing of what is spoken. */
import { afterEach, describe, expect, test } from "bun:test";
import { latin1, utf8 } from "../../src/core/bytes.ts";
import { makeLog } from "../../src/core/log.ts";
import type { Connection } from "../../src/net/connection.ts";
import { dial } from "../../src/net/dial.ts";
import { type Listener, type Protocol, startListener } from "../../src/net/listener.ts";
import type { TlsTrust } from "../../src/net/tls.ts";
import { TEST_TLS } from "../support/tls_identity.ts";
import { until } from "../support/until.ts";

const PATIENCE = { handshakeMs: 10_000, stalledMs: 10_000 };

/** Says back what it is told, until it hears `.` or is to stop; after `!` it will not stop. */
const ECHO: Protocol = {
  refusal: (why) => `no: ${why}`,
  serve: async (connection, stopping) => {
    for (;;) {
      const got = await connection.read(60_000);
      if (stopping.aborted) connection.write(utf8("bye"));
      if (stopping.aborted || typeof got === "string" || latin1(got) === ".") break;
      connection.write(got);
      await connection.flush();
      if (latin1(got) === "!") await until("it is cut off", () => connection.hasEnded);
    }
    await connection.close();
  },
};

let listener: Listener;
let log: string[];
const clients: Connection[] = [];

async function listen(limits: { sessions: number; sessionsOfAddress: number }): Promise<void> {
  log = [];
  const at = { host: "127.0.0.1", port: 0 };
  listener = await startListener({
    protocol: ECHO,
    listen: [
      { ...at, tls: false },
      { ...at, tls: true },
    ],
    tls: () => TEST_TLS,
    ...{ limits, isKnown: () => false },
    patience: PATIENCE,
    log: makeLog({ sink: (line) => log.push(line), form: "text", level: "info", now: () => 0 }),
  });
}

async function client(options: { readonly tls?: TlsTrust } = {}): Promise<Connection> {
  const address = listener.addresses[options.tls === undefined ? 0 : 1] ?? "";
  const port = Number(address.split(":").at(-1));
  const to = { host: "127.0.0.1", port };
  const made = await dial(to, { ...options, patience: { ...PATIENCE, connectMs: 10_000 } });
  clients.push(made);
  return made;
}

async function said(one: Connection): Promise<string> {
  const got = await one.read(10_000);
  return typeof got === "string" ? got : latin1(got);
}

async function echoed(one: Connection, text: string): Promise<string> {
  one.write(utf8(text));
  await one.flush();
  return said(one);
}

afterEach(async () => {
  for (const one of clients.splice(0)) one.destroy();
  await listener.stop(1000);
});

describe("startListener()", () => {
  test("gives each client to the protocol, where TLS is spoken after the handshake", async () => {
    await listen({ sessions: 10, sessionsOfAddress: 10 });
    const [plain, secure] = [await client(), await client({ tls: { ca: TEST_TLS.cert } })];
    expect([await echoed(plain, "a"), await echoed(secure, "b")]).toEqual(["a", "b"]);
    expect([plain.isEncrypted, secure.isEncrypted]).toEqual([false, true]);
    expect(listener.connectionCount()).toBe(2);
    expect(await echoed(plain, ".")).toBe("end");
    await until("the session is over", () => listener.connectionCount() === 1);
  });

  test("refuses clients beyond its limits in the protocol's words", async () => {
    await listen({ sessions: 10, sessionsOfAddress: 1 });
    const first = await client();
    expect(await echoed(first, "a")).toBe("a");
    expect(await said(await client())).toBe("no: too many connections\r\n");
    expect(log.join("\n")).toContain("warning Connection refused");
    first.destroy();
    await until("the first has gone", () => listener.connectionCount() === 0);
    expect(await echoed(await client(), "b")).toBe("b");
  });

  test("stop() lets every session end by itself", async () => {
    await listen({ sessions: 10, sessionsOfAddress: 10 });
    const one = await client();
    expect(await echoed(one, "a")).toBe("a");
    const stopped = listener.stop(10_000);
    expect([await said(one), await said(one)]).toEqual(["bye", "end"]);
    await stopped;
    expect(log.join("\n")).not.toContain("Cut off");
    expect(listener.connectionCount()).toBe(0);
  });

  test("stop() cuts off a session that does not end", async () => {
    await listen({ sessions: 10, sessionsOfAddress: 10 });
    const one = await client();
    expect(await echoed(one, "!")).toBe("!");
    const stubborn = listener.stop(0);
    expect(await said(one)).toBe("end");
    await stubborn;
    expect(log.join("\n")).toContain("warning Cut off a session");
    expect(listener.connectionCount()).toBe(0);
  });

  test("an address that is taken is an error that names it", async () => {
    await listen({ sessions: 1, sessionsOfAddress: 1 });
    const port = Number(listener.addresses[0]?.split(":").at(-1));
    const again = startListener({
      protocol: ECHO,
      isKnown: () => false,
      listen: [{ host: "127.0.0.1", port, tls: false }],
      limits: { sessions: 1, sessionsOfAddress: 1 },
      patience: PATIENCE,
      log: makeLog({ sink: () => undefined, form: "text", level: "info", now: () => 0 }),
    });
    expect(again).rejects.toThrow(`Cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
  });
});
