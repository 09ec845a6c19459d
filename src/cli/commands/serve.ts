/** `bobbin serve STORE` is a replica for Cyrus or Bobbin. It runs until SIGTERM or SIGINT. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { Accounts } from "../../accounts/account.ts";
import { readAccounts } from "../../accounts/users_file.ts";
import { isLoopback } from "../../core/address.ts";
import { AppError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { everyLog, type Log, type LogLevel, makeLog, sinkThatMayFail } from "../../core/log.ts";
import { WatchedFiles } from "../../core/watched_files.ts";
import type { ListenAt } from "../../net/listener.ts";
import { parseLocator } from "../../places/locator.ts";
import type { WritablePlace } from "../../places/place.ts";
import { OPEN_OWNERS } from "../../places/store/threads/store_threads.ts";
import { openWorkerPlace } from "../../places/store/threads/worker_place.ts";
import { lineWriter } from "../../server/line_writer.ts";
import { PATIENCE, type RequireTls } from "../../server/server_settings.ts";
import { type RunningServer, startServer } from "../../server/start_server.ts";
import { syslogLog } from "../../server/syslog.ts";
import { inheritedSockets, notifyManager } from "../../server/systemd.ts";
import { roomOf } from "../../storage/free_space.ts";
import type { CommandEnv, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type OpenFiles, openFilesLimit, shareFiles } from "../open_files.ts";
import { choiceOption, collect, countOption, secondsOption, sizeOrMibOption } from "../options.ts";
import type { Loudness, Output } from "../output.ts";
import { VERSION } from "../version.ts";
import { readIdentity, type ServedIdentity, warnOfExpiry } from "./served_identity.ts";

export const registerServe: Register = (program, handle) => {
  program
    .command("serve")
    .summary("be a replica to which Cyrus or Bobbin sends mail")
    .description(
      "Serves a store to Cyrus' sync_client and to `bobbin replicate`. The log goes to stderr. " +
        "Users file and certificate are read again when they change, and on SIGHUP. SIGUSR1 logs " +
        "the state. SIGTERM ends the server; commands that have begun may end first. With a " +
        "certificate, clients on other machines must begin TLS before anything else.",
    )
    .argument("<store>", "the store to serve")
    .requiredOption("--users-file <file>", "accounts, made with `bobbin passwd`")
    .option(
      "--listen <address:port>",
      "where to listen, without TLS or with STARTTLS (repeat for more)",
      collect,
    )
    .option(
      "--listen-tls <address:port>",
      "where to listen with TLS from the first byte on (repeat for more)",
      collect,
    )
    .option(
      "--backup-listen <where>",
      "where backups are fetched: a socket's path, or address:port with sign-in (repeat for more)",
      collect,
    )
    .option("--tls-cert <file>", "the certificate with its chain (PEM); STARTTLS is offered then")
    .option("--tls-key <file>", "the key of the certificate (PEM)")
    .option("--require-tls", "demand TLS also of clients on this machine")
    .option("--no-require-tls", "demand TLS of nobody, not even of other machines")
    .option("--no-compress", "do not offer compression")
    .option("--allow-plaintext", "take plain passwords without TLS from other machines")
    .option("--idle-timeout <seconds>", "send silent clients away (1800)", secondsOption)
    .option(
      "--stop-timeout <seconds>",
      "how long commands may take after SIGTERM (60)",
      secondsOption,
    )
    .option(
      "--min-free <size>",
      "refuse mail when less of the disk is free (64MiB)",
      sizeOrMibOption,
    )
    .option("--max-held <size>", "memory for unfinished commands (360MiB)", sizeOrMibOption)
    .option("--max-sessions <n>", "connections at a time (1000)", countOption)
    .addOption(
      choiceOption("--log-form <form>", "the form of the log", ["text", "journal", "json"]),
    )
    .option("--syslog <socket>", "log to syslog too; the socket is mostly /dev/log")
    .action(handle(runServe));
};

interface ServeOptions {
  readonly usersFile: string;
  readonly listen?: readonly string[];
  readonly listenTls?: readonly string[];
  readonly backupListen?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly requireTls?: boolean;
  readonly compress: boolean;
  readonly allowPlaintext?: boolean;
  readonly idleTimeout?: number;
  readonly stopTimeout?: number;
  readonly minFree?: number;
  readonly maxHeld?: number;
  readonly maxSessions?: number;
  readonly logForm?: "text" | "journal" | "json";
  readonly syslog?: string;
}

const IDLE_SECONDS = 1800;
const STOP_SECONDS = 60;
const MIN_FREE_BYTES = 64 * 1024 * 1024;
const STDERR = 2;
const EXPIRY_EVERY_MS = 24 * 3600 * 1000;

const runServe: Handler<"serve"> = async (args, given, env) => {
  const options = given as unknown as ServeOptions; // as commander was told above
  const locator = parseLocator(String(args[0]));
  if (locator.kind !== "store") {
    throw new AppError("usage", `Cannot serve ${args[0]}: it is no store`, {
      hint: "Make one with `bobbin store init FOLDER`.",
    });
  }
  const log = logOf(options, env.output);
  const { usersFile } = options;
  const accounts = new WatchedFiles({
    ...{ paths: [usersFile], what: "users file", log },
    read: () => readAccounts(usersFile),
  });
  const requireTls = requiredTls(options);
  const identity = watchIdentity(options, log);
  const listen = listenersOf(options);
  const backupListen = backupListenersOf(options);
  const stopping = env.takeSignals();
  const { sessions, owners: openOwners } = openFilesOf(options, log);
  const tell = (text: string): void => log.write("warning", text);
  const place = openWorkerPlace(locator.path, { url: env.workerUrl, openOwners, tell });
  const stopMs = (options.stopTimeout ?? STOP_SECONDS) * 1000;
  let endMs = performance.now() + stopMs;
  try {
    const { allowPlaintext = false, compress } = options;
    const server = await startServer({
      place,
      accounts: () => accounts.current(),
      log,
      listen,
      backup: { listen: backupListen, place },
      settings: {
        serverName: hostname(),
        version: VERSION,
        compress,
        allowPlaintext,
        tls: identity && (() => identity.current()),
        requireTls,
        idleMs: (options.idleTimeout ?? IDLE_SECONDS) * 1000,
        patience: PATIENCE,
        hasRoom: roomOf(locator.path, options.minFree ?? MIN_FREE_BYTES),
        limits: { ...DEFAULT_LIMITS, ...heldLimits(options), sessions },
      },
    });
    const totals = env.soFar(() => server.totals());
    const { addresses, backupAddresses } = server;
    log.write("info", "Serving", {
      ...{ store: locator.path, at: addresses.join(",") || undefined },
      backups: backupAddresses.join(",") || undefined,
    });
    if (requireTls === "nobody") warnOfClear(addresses, listen, log);
    listenToSignals(env, { log, server, accounts, identity });
    const daily = setInterval(() => {
      if (identity !== undefined) warnOfExpiry(identity.current(), log, Date.now());
    }, EXPIRY_EVERY_MS);
    stopping.addEventListener("abort", () => clearInterval(daily));
    env.output.object({ type: "listening", addresses, backupAddresses });
    env.output.flush();
    notifyManager(process.env, "READY=1");
    await ended(stopping);
    log.write("info", "Stopping", {
      signal: String(stopping.reason),
      sessions: server.sessionCount(),
    });
    notifyManager(process.env, "STOPPING=1");
    endMs = performance.now() + stopMs;
    await server.stop(stopMs);
    log.write("info", "Served", { ...totals() });
  } finally {
    if (!(await closesBy(place, endMs))) log.write("error", "The store is still at work: left");
  }
  log.write("info", "Stopped");
  return { exit: EXIT.ok };
};

interface Served {
  readonly log: Log;
  readonly server: RunningServer;
  readonly accounts: WatchedFiles<Accounts>;
  readonly identity: WatchedFiles<ServedIdentity> | undefined;
}

/** At SIGHUP files are read again, and at SIGUSR1 the state is logged. */
function listenToSignals(
  { signals }: CommandEnv,
  { log, server, accounts, identity }: Served,
): void {
  signals.onHangUp(() => {
    accounts.readAgain();
    identity?.readAgain();
  });
  signals.onStateAsked(() => {
    log.write("notice", "State", {
      sessions: server.sessionCount(),
      heldBytes: server.heldBytes(),
      residentBytes: process.memoryUsage.rss(),
      accounts: accounts.current().byName.size,
      certificateUntil: identity?.current().expires.toISOString(),
      seconds: Math.round(performance.now() / 1000),
    });
  });
}

/** What a store has at least to close. */
const CLOSE_MS = 1000;

/** False if it takes longer: what the disk keeps has not been acknowledged, so a kill is safe. */
async function closesBy(place: WritablePlace, endMs: number): Promise<boolean> {
  const time = Promise.withResolvers<boolean>();
  const leftMs = Math.max(CLOSE_MS, endMs - performance.now());
  const timer = setTimeout(() => time.resolve(false), leftMs);
  const closed = place.close().then(() => true);
  closed.catch(() => undefined); // it may fail after the time is over
  try {
    return await Promise.race([closed, time.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const LEVELS: Readonly<Record<Loudness, LogLevel>> = {
  ...({ errors: "warning", summary: "notice", usual: "info", more: "debug" } as const),
};

function logOf(options: ServeOptions, { loudness }: Output): Log {
  const level = LEVELS[loudness];
  // systemd sets JOURNAL_STREAM when stderr goes to its journal.
  const form =
    options.logForm ?? (process.env["JOURNAL_STREAM"] === undefined ? "text" : "journal");
  const sink = sinkThatMayFail(lineWriter(STDERR));
  const log = makeLog({ sink, form, level, now: () => Date.now() });
  const { syslog } = options;
  return syslog === undefined ? log : everyLog([log, syslogLog(syslog, level, process.pid)]);
}

function openFilesOf({ maxSessions }: ServeOptions, log: Log): OpenFiles {
  const wanted = maxSessions ?? DEFAULT_LIMITS.sessions;
  const files = openFilesLimit();
  if (files === undefined) return { sessions: wanted, owners: OPEN_OWNERS };
  const { sessions, owners } = shareFiles(files);
  if (sessions >= wanted) return { sessions: wanted, owners };
  log.write("warning", "Fewer sessions: few files may be open", { files, sessions, wanted });
  return { sessions, owners };
}

/** A sixth of the memory for unfinished commands is kept from any one account. */
function heldLimits({ maxHeld: heldBytes }: ServeOptions): Partial<Limits> {
  if (heldBytes === undefined) return {};
  return { heldBytes, accountHeldBytes: Math.floor((heldBytes / 6) * 5) };
}

/** The certificate and key, read again when they change; undefined without them. */
function watchIdentity(
  { tlsCert: cert, tlsKey: key }: ServeOptions,
  log: Log,
): WatchedFiles<ServedIdentity> | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new AppError("usage", "--tls-cert and --tls-key go together");
  }
  const read = () => {
    const identity = readIdentity({ cert, key });
    warnOfExpiry(identity, log, Date.now());
    return identity;
  };
  return new WatchedFiles({ paths: [cert, key], what: "certificate", read, log });
}

/** Who must begin TLS before anything else. Throws AppError (usage) where nobody can. */
function requiredTls(options: ServeOptions): RequireTls {
  const { requireTls, tlsCert, allowPlaintext } = options;
  if (tlsCert === undefined && requireTls === true) {
    throw new AppError("usage", "--require-tls wants a certificate", {
      hint: "--tls-cert and --tls-key",
    });
  }
  if (requireTls === true) return "all";
  // Who takes passwords without TLS from other machines has decided against it.
  const isWaived = requireTls === false || allowPlaintext === true;
  return tlsCert === undefined || isWaived ? "nobody" : "others";
}

/** Warns of sockets over which other machines may send mail that everybody can read. */
function warnOfClear(addresses: readonly string[], listen: readonly ListenAt[], log: Log): void {
  const open = addresses.filter((address, at) => {
    const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    return listen[at]?.tls === false && !isLoopback(host);
  });
  if (open.length === 0) return;
  const text = "TLS is not required: what other machines send can be read and changed on the way";
  log.write("warning", text, { at: open.join(","), hint: "--tls-cert, and no --no-require-tls" });
}

/** The sockets to listen on; one from systemd with `tls` in its name speaks TLS at once. */
function listenersOf(options: ServeOptions): ListenAt[] {
  const { listen = [], listenTls = [], backupListen = [] } = options;
  const inherited = inheritedSockets(process.env, process.pid);
  const found: ListenAt[] = [
    ...inherited.map(({ fd, name }) => ({ fd, tls: name.includes("tls") })),
    ...listen.map((text) => ({ ...addressOf(text), tls: false })),
    ...listenTls.map((text) => ({ ...addressOf(text), tls: true })),
  ];
  if (found.length === 0 && backupListen.length === 0) {
    throw new AppError("usage", "Nowhere to listen", { hint: "--listen 127.0.0.1:2005" });
  }
  return found;
}

/**
 * The sockets for backups: a path, or an address where clients sign in. Throws AppError (usage) for
 * an address that other machines reach without TLS.
 */
function backupListenersOf({ backupListen = [], tlsCert }: ServeOptions): ListenAt[] {
  return backupListen.map((text) => {
    if (text.includes("/")) return { path: resolve(text), tls: false };
    const address = addressOf(text);
    const isHere = isLoopback(address.host) || address.host === "localhost";
    if (tlsCert === undefined && !isHere) {
      throw new AppError("usage", `Cannot give backups at ${text}: that wants a certificate`, {
        hint: "--tls-cert and --tls-key; or an address of this machine alone, or a socket's path",
      });
    }
    return { ...address, tls: false };
  });
}

/** Parses `127.0.0.1:2005`, `[::1]:2005`, or `:2005` for all addresses. Throws AppError (usage). */
function addressOf(text: string): { host: string; port: number } {
  const [, v6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new AppError("usage", `Cannot listen on ${text}: expected ADDRESS:PORT`, {
      hint: /^\d{1,5}$/.test(text)
        ? `:${text} for all addresses, 127.0.0.1:${text} for this machine alone`
        : "127.0.0.1:2005, [::1]:2005, or :2005 for all addresses",
    });
  }
  return { host: v6 ?? (name || "::"), port };
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}
