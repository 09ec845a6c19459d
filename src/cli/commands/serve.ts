/** `bobbin serve STORE` is a replica for Cyrus or Bobbin. It runs until SIGTERM or SIGINT. */
import { hostname } from "node:os";
import { createSecureContext } from "node:tls";
import { WatchedUsersFile } from "../../accounts/watched_users_file.ts";
import { latin1 } from "../../core/bytes.ts";
import { AppError } from "../../core/errors.ts";
import { readGiven } from "../../core/given_file.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { everyLog, type Log, type LogLevel, makeLog, sinkThatMayFail } from "../../core/log.ts";
import type { ListenAt } from "../../net/listener.ts";
import type { TlsIdentity } from "../../net/tls.ts";
import { parseLocator } from "../../places/locator.ts";
import type { WritablePlace } from "../../places/place.ts";
import { OPEN_OWNERS } from "../../places/store/threads/store_threads.ts";
import { openWorkerPlace } from "../../places/store/threads/worker_place.ts";
import { lineWriter } from "../../server/line_writer.ts";
import { PATIENCE } from "../../server/server_settings.ts";
import { startServer } from "../../server/start_server.ts";
import { syslogLog } from "../../server/syslog.ts";
import { inheritedSockets, notifyManager } from "../../server/systemd.ts";
import { roomOf } from "../../storage/free_space.ts";
import type { Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type OpenFiles, openFilesLimit, shareFiles } from "../open_files.ts";
import { choiceOption, collect, countOption, secondsOption } from "../options.ts";
import { VERSION } from "../version.ts";

export const registerServe: Register = (program, handle) => {
  program
    .command("serve")
    .summary("be a replica for Cyrus or Bobbin (the dlist sync server)")
    .description(
      "Serves a store to Cyrus' sync_client and to `bobbin replicate`. Logs to stderr, reads the " +
        "users file again when it changes, and ends on SIGTERM after the commands in flight.",
    )
    .argument("<store>", "the store to serve")
    .requiredOption("--users-file <file>", "accounts, made with `bobbin passwd`")
    .option("--listen <address:port>", "plain or STARTTLS (repeat for more)", collect, [])
    .option("--listen-tls <address:port>", "TLS at once (repeat for more)", collect, [])
    .option("--tls-cert <file>", "certificate with its chain, PEM; offers STARTTLS")
    .option("--tls-key <file>", "its key, PEM")
    .option("--no-compress", "do not offer COMPRESS DEFLATE")
    .option("--allow-plaintext", "take plain passwords without TLS from other machines")
    .option("--idle-timeout <seconds>", "send silent clients away (1800)", secondsOption)
    .option("--stop-timeout <seconds>", "let commands in flight end (60)", secondsOption)
    .option("--min-free <mib>", "refuse mail when less of the disk is free (64)", countOption)
    .option("--max-held <mib>", "memory for unfinished commands (360)", countOption)
    .option("--max-sessions <n>", "connections at a time (1000)", countOption)
    .addOption(choiceOption("--log-form <form>", "log lines", ["text", "journal"]))
    .option("--syslog <socket>", "log to syslog too, whose socket mostly is /dev/log")
    .action(handle(runServe));
};

interface ServeOptions {
  readonly usersFile: string;
  readonly listen: readonly string[];
  readonly listenTls: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly compress: boolean;
  readonly allowPlaintext?: boolean;
  readonly idleTimeout?: number;
  readonly stopTimeout?: number;
  readonly minFree?: number;
  readonly maxHeld?: number;
  readonly maxSessions?: number;
  readonly logForm?: "text" | "journal";
  readonly syslog?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

const IDLE_SECONDS = 1800;
const STOP_SECONDS = 60;
const MIN_FREE_MIB = 64;
const STDERR = 2;

const runServe: Handler = async (args, given, env) => {
  const options = given as unknown as ServeOptions; // as commander was told above
  const locator = parseLocator(String(args[0]));
  if (locator.kind !== "store") {
    throw new AppError("usage", `Cannot serve ${args[0]}: it is no store`, {
      hint: "Make one with `bobbin store init FOLDER`.",
    });
  }
  const log = logOf(options);
  const accounts = new WatchedUsersFile(options.usersFile, log);
  const tls = tlsOf(options);
  const listen = listenersOf(options);
  const stopping = env.takeSignals();
  const { sessions, owners: openOwners } = openFilesOf(options, log);
  const tell = (text: string): void => log.write("warning", text);
  const place = openWorkerPlace(locator.path, { url: env.workerUrl, openOwners, tell });
  try {
    const { allowPlaintext = false, compress } = options;
    const server = await startServer({
      place,
      accounts: () => accounts.current(),
      log,
      listen,
      settings: {
        serverName: hostname(),
        version: VERSION,
        compress,
        allowPlaintext,
        tls,
        idleMs: (options.idleTimeout ?? IDLE_SECONDS) * 1000,
        patience: PATIENCE,
        hasRoom: roomOf(locator.path, (options.minFree ?? MIN_FREE_MIB) * 1024 * 1024),
        limits: { ...DEFAULT_LIMITS, ...heldLimits(options), sessions },
      },
    });
    log.write("info", "Serving", { store: locator.path, at: server.addresses.join(",") });
    env.output.object({ type: "listening", addresses: server.addresses });
    env.output.flush();
    notifyManager(process.env, "READY=1");
    await ended(stopping);
    log.write("info", "Stopping", {
      signal: String(stopping.reason),
      sessions: server.sessionCount(),
    });
    notifyManager(process.env, "STOPPING=1");
    await server.stop((options.stopTimeout ?? STOP_SECONDS) * 1000);
  } finally {
    if (!(await closesSoon(place))) log.write("error", "The store is still at work: left alone");
  }
  log.write("info", "Stopped");
  return { exit: EXIT.ok };
};

/** What the disk keeps waiting has not been acknowledged, and a kill can break nothing. */
const CLOSE_MS = 1000;

async function closesSoon(place: WritablePlace): Promise<boolean> {
  const closed = place.close().then(() => true);
  closed.catch(() => undefined); // it may fail after the time is over
  return await Promise.race([closed, Bun.sleep(CLOSE_MS).then(() => false)]);
}

function logOf(options: ServeOptions): Log {
  const level: LogLevel = options.verbose ? "debug" : options.quiet ? "warning" : "info";
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
function heldLimits({ maxHeld }: ServeOptions): Partial<Limits> {
  if (maxHeld === undefined) return {};
  const heldBytes = maxHeld * 1024 * 1024;
  return { heldBytes, accountHeldBytes: (heldBytes / 6) * 5 };
}

function tlsOf({ tlsCert, tlsKey }: ServeOptions): TlsIdentity | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new AppError("usage", "--tls-cert and --tls-key go together");
  }
  const tls = { cert: readPem(tlsCert), key: readPem(tlsKey) };
  try {
    createSecureContext(tls);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError("config", `Cannot use ${tlsCert} with ${tlsKey}: ${reason}`, {
      cause: error,
      hint: "Both must be PEM, the key that of the first certificate.",
    });
  }
  return tls;
}

function readPem(path: string): string {
  const given = readGiven(path);
  if ("bytes" in given) return latin1(given.bytes);
  throw new AppError("config", `Cannot read ${path}: ${given.problem}`, { cause: given.cause });
}

/** The sockets to listen on; one from systemd with `tls` in its name speaks TLS at once. */
function listenersOf(options: ServeOptions): ListenAt[] {
  const inherited = inheritedSockets(process.env, process.pid);
  const found: ListenAt[] = [
    ...inherited.map(({ fd, name }) => ({ fd, tls: name.includes("tls") })),
    ...options.listen.map((text) => ({ ...addressOf(text), tls: false })),
    ...options.listenTls.map((text) => ({ ...addressOf(text), tls: true })),
  ];
  if (found.length === 0) {
    throw new AppError("usage", "Nowhere to listen", { hint: "--listen 127.0.0.1:2005" });
  }
  return found;
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
