import { afterAll, describe, expect, test } from "bun:test";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { SyncOptions } from "../../../src/places/sync/sync_options.ts";
import { openSyncPlace } from "../../../src/places/sync/sync_place.ts";
import { granted } from "../../support/places.ts";
import { type TestServer, type TestServerOptions, testServer } from "../../support/serve.ts";
import { guidOf, message, record, stateOf } from "../../support/store_fixture.ts";
import { tcpProxy } from "../../support/tcp_proxy.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";
import { conforms } from "../conformance.ts";

const servers: TestServer[] = [];

async function serve(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await testServer(options);
  servers.push(server);
  return server;
}

function optionsFor(server: TestServer, change: Partial<SyncOptions> = {}): SyncOptions {
  return {
    address: addressOf(server),
    password: () => Promise.resolve("labpass"),
    retries: { count: 3, firstMs: 10 },
    silenceMs: 20_000,
    ...change,
  };
}

function addressOf({ port }: { readonly port: number }): SyncOptions["address"] {
  return { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port };
}

afterAll(async () => {
  for (const server of servers) await server.stop();
});

let conforming: TestServer | undefined;
const open = () => openSyncPlace(optionsFor(conforming as TestServer));
conforms("a sync server", {
  open: async () => {
    await conforming?.stop();
    conforming = await testServer();
    return open();
  },
  reopen: open,
  refusesNames: true,
});
afterAll(() => conforming?.stop());

describe("openSyncPlace()", () => {
  test("begins TLS at once, or with STARTTLS, and checks the certificate", async () => {
    const server = await serve({ tls: TEST_TLS });
    const trust = { ca: TEST_TLS.cert };
    const address = { ...optionsFor(server).address, host: "localhost" };
    const wholly = { ...address, isTls: true, port: server.tlsPort };
    for (const one of [
      optionsFor(server, { address: wholly, trust }),
      optionsFor(server, { address: { ...wholly, host: "127.0.0.1" }, trust }),
      optionsFor(server, { address, trust, startTls: "always" }),
      optionsFor(server, { address, trust: { insecure: true }, startTls: "always" }),
    ]) {
      const place = await openSyncPlace(one);
      expect(granted(await place.user("fred")).mailboxes).toEqual([]);
      await place.close();
    }
    for (const one of [
      optionsFor(server, { address: wholly }),
      optionsFor(server, { address, startTls: "always" }),
    ]) {
      expect(openSyncPlace(one)).rejects.toThrow(/Cannot connect to .*certificate/i);
    }
    const other = { ...wholly, host: "127.0.0.2" };
    const elsewhere = await serve({ tls: TEST_TLS, host: "127.0.0.2" });
    expect(
      openSyncPlace(optionsFor(server, { address: { ...other, port: elsewhere.tlsPort }, trust })),
    ).rejects.toThrow(/altname|certificate/i);
  });

  test("says why it cannot sign in", async () => {
    const server = await serve();
    const wrong = optionsFor(server, { password: () => Promise.resolve("wrong") });
    expect(openSyncPlace(wrong)).rejects.toThrow(/Cannot sign in to .* as admin: NO/);
    const always = optionsFor(server, { startTls: "always" });
    expect(openSyncPlace(always)).rejects.toThrow(/does not offer STARTTLS/);
    const nobody = { ...optionsFor(server).address, port: 1 };
    expect(openSyncPlace(optionsFor(server, { address: nobody }))).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  test("reads survive a lost connection, a session does not", async () => {
    const server = await serve();
    const proxy = await tcpProxy(server.port);
    const place = await openSyncPlace(optionsFor(server, { address: addressOf(proxy) }));
    const session = await place.openSession();
    const records = [record(1)];
    const writer = session.stage({
      partition: "default",
      guid: guidOf(message(1)),
      size: message(1).length,
    });
    await writer.write(message(1));
    await writer.end();
    granted(await session.flush());
    proxy.drop();
    expect(granted(await place.user("fred")).mailboxes).toEqual([]);
    const command = {
      kind: "mailbox",
      state: stateOf("user.fred", records),
      records: recordsOf(records),
    } as const;
    expect(session.apply(command)).rejects.toMatchObject({ code: "unreachable" });
    expect(session.flush()).rejects.toMatchObject({ code: "unreachable" });
    await session.restart();
    expect((await session.apply(command)).kind).toBe("refused"); // nothing is staged any more
    expect(proxy.count()).toBe(4);
    await session.close();
    await place.close();
    await proxy.stop();
  });

  test("a message too large to hold goes and comes in pieces, or is taken back", async () => {
    const server = await serve();
    const place = await openSyncPlace(optionsFor(server));
    const session = await place.openSession();
    const bytes = new Uint8Array(9 * 1024 * 1024).fill(0x61);
    const [guid, size] = [guidOf(bytes), bytes.length];
    const send = async (end: "end" | "abort") => {
      const writer = session.stage({ partition: "default", guid, size });
      for (let at = 0; at < size; at += 1024 * 1024) {
        await writer.write(bytes.subarray(at, at + 1024 * 1024));
        if (end === "abort") return writer.abort();
      }
      await writer.end();
    };
    const one = record(1, { guid, size });
    const state = stateOf("user.fred", [one]);
    const command = { kind: "mailbox", state, records: recordsOf([one]) } as const;
    await send("abort");
    expect(await session.flush()).toMatchObject({ kind: "refused", reason: "failed" });
    expect(await session.apply(command)).toMatchObject({ kind: "refused", reason: "checksum" });
    await send("end");
    granted(await session.flush());
    granted(await session.apply(command));
    const { uniqueid, partition } = state;
    const address = { mailbox: "user.fred", uniqueid, partition, uid: 1, guid };
    const content = granted(await place.message(address));
    const parts: Uint8Array[] = [];
    for await (const part of content.chunks()) parts.push(part);
    expect([content.size, parts.length > 1, guidOf(Buffer.concat(parts))]).toEqual([
      size,
      true,
      guid,
    ]);
    await session.close();
    await place.close();
  });
});
