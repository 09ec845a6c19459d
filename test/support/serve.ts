/** A server over a new store, in this process. */

import { expect } from "bun:test";
import { type Account, type Accounts, noAccounts } from "../../src/accounts/account.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/core/limits.ts";
import { type LogLevel, makeLog } from "../../src/core/log.ts";
import { makeVerifier } from "../../src/formats/sasl/scram.ts";
import type { ListenAt } from "../../src/net/listener.ts";
import type { TlsIdentity } from "../../src/net/tls.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { openWorkerPlace } from "../../src/places/store/threads/worker_place.ts";
import { PATIENCE, type ServerSettings } from "../../src/server/server_settings.ts";
import { type RunningServer, startServer } from "../../src/server/start_server.ts";
import { Csync } from "./csync.ts";
import { tempDir } from "./temp_dir.ts";
import { until } from "./until.ts";

export interface TestServer {
  readonly port: number;
  /** Of the listener that speaks TLS at once, if `tls` was given. */
  readonly tlsPort: number;
  readonly root: string;
  readonly place: WritablePlace;
  readonly server: RunningServer;
  /** Log lines so far. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

export interface TestServerOptions {
  readonly settings?: Partial<Omit<ServerSettings, "tls">>;
  readonly tls?: TlsIdentity;
  readonly limits?: Partial<Limits>;
  readonly place?: WritablePlace;
  /** Where backups are fetched, from the server's own store. */
  readonly backupListen?: readonly ListenAt[];
  readonly level?: LogLevel;
  /** 127.0.0.1 without it. */
  readonly host?: string;
  /** How wrong passwords are held back; not at all without it. */
  readonly sleep?: (ms: number) => Promise<void>;
}

const WORKER = new URL("../../src/worker.ts", import.meta.url);

let accounts: Promise<Accounts> | undefined;

/**
 * `admin` may touch everything, `anne` only herself, `lists` what is shared; password `labpass`.
 */
export function testAccounts(): Promise<Accounts> {
  accounts ??= makeAll();
  return accounts;
}

async function makeAll(): Promise<Accounts> {
  const known = [
    await cheapAccount("admin", ["*"]),
    await cheapAccount("anne", ["anne"]),
    await cheapAccount("lists", ["shared"]),
  ];
  return { ...noAccounts(), byName: new Map(known.map((one) => [one.name, one])) };
}

/** An account whose hash is quickly checked: a suite signs in hundreds of times. */
export async function cheapAccount(name: string, allow: readonly string[]): Promise<Account> {
  const cost = { algorithm: "argon2id", memoryCost: 8, timeCost: 1 } as const;
  const salt = new Uint8Array(16);
  return {
    name,
    argon2id: await Bun.password.hash("labpass", cost),
    scram: makeVerifier("labpass", { salt, iterations: 16_384 }),
    allow,
  };
}

/** Waits until the server has just `count` sessions. */
export async function untilSessions({ server }: TestServer, count: number): Promise<void> {
  await until(`${count} sessions`, () => server.sessionCount() === count);
}

/**
 * Waits until the server has taken what others have sent it: a client that comes after them is
 * answered.
 */
export async function untilTaken(server: TestServer): Promise<void> {
  const { client } = await Csync.open(server.port);
  const before = server.server.sessionCount();
  await client.command("NOOP");
  client.close();
  await untilSessions(server, before - 1);
}

/** Starts a server on a free port of this machine. */
export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const root = `${tempDir("serve")}/store`;
  initStore(root);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  // With threads, as `bobbin serve` has them.
  const own =
    options.place === undefined ? openWorkerPlace(root, { url: WORKER, limits }) : undefined;
  const place = own ?? options.place ?? expect.unreachable("one of them is there");
  const { backupListen } = options;
  const log: string[] = [];
  const known = await testAccounts();
  const { tls } = options;
  const at = { host: options.host ?? "127.0.0.1", port: 0 };
  const server = await startServer({
    place,
    accounts: () => known,
    sleep: options.sleep ?? (() => Promise.resolve()),
    log: makeLog({
      sink: (line) => log.push(line),
      form: "text",
      level: options.level ?? "info",
      now: () => Date.now(),
    }),
    listen:
      tls === undefined
        ? [{ ...at, tls: false }]
        : [at, at].map((one, index) => ({ ...one, tls: index === 1 })),
    ...(own && backupListen && { backup: { listen: backupListen, place: own } }),
    settings: {
      serverName: "test",
      version: "0",
      compress: true,
      tls: tls && (() => tls),
      requireTls: "nobody",
      allowPlaintext: false,
      idleMs: 60_000,
      patience: PATIENCE,
      hasRoom: () => true,
      limits,
      ...options.settings,
    },
  });
  const portOf = (address: string | undefined) => Number(address?.split(":").at(-1));
  return {
    port: portOf(server.addresses[0]),
    tlsPort: portOf(server.addresses[1]),
    root,
    place,
    server,
    log,
    stop: async () => {
      await server.stop(5000);
      await place.close();
    },
  };
}
