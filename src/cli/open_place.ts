/** Opens the place that a PLACE on the command line names, of whatever kind. */
import { realpathSync, statSync } from "node:fs";
import type { Command } from "commander";
import { assert } from "../core/assert.ts";
import { latin1 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { readGiven } from "../core/given_file.ts";
import { parseCertificates } from "../net/certificates.ts";
import { dial } from "../net/dial.ts";
import type { TlsTrust } from "../net/tls.ts";
import { openBackupFolder } from "../places/backup/read/backup_folder.ts";
import { lookAtBackupTarget } from "../places/backup/write/backup_target.ts";
import { type BackupLocator, isArchive } from "../places/backup_locator.ts";
import { openBackupcyrusPlace } from "../places/backupcyrus/backupcyrus_place.ts";
import { type BackupAddress, printBackupAddress } from "../places/backupcyrus_address.ts";
import { cyrusPlace } from "../places/cyrus/cyrus_place.ts";
import { readImapdConf } from "../places/cyrus/server/imapd_conf.ts";
import { serverSource } from "../places/cyrus/server_source.ts";
import { spoolSource } from "../places/cyrus/spool_source.ts";
import { createDumpPlace, openDumpPlace, unwrittenDumpPlace } from "../places/dump/dump_place.ts";
import { openDump } from "../places/dump/read_dump.ts";
import { backupRootPath, type PlaceLocator, parsePlace } from "../places/locator.ts";
import { mailFilesPlace } from "../places/mail_files/mail_files_place.ts";
import {
  emlFolder,
  type MessageSink,
  mboxFile,
  requireNew,
} from "../places/mail_files/message_sink.ts";
import type { Place, WritablePlace } from "../places/place.ts";
import { openStorePlace } from "../places/store/store_place.ts";
import { openLink } from "../places/sync/sign_in.ts";
import { SYNC_PATIENCE, type SyncOptions } from "../places/sync/sync_options.ts";
import { openSyncPlace } from "../places/sync/sync_place.ts";
import { printSyncAddress, type SyncAddress } from "../places/sync_address.ts";
import type { CommandEnv } from "./command.ts";
import { openBackups } from "./open_backups.ts";
import { choiceOption } from "./options.ts";
import type { Output } from "./output.ts";
import { readPassword } from "./secrets.ts";

/** The options of sync servers, which `addPlaceOptions` declares. */
export interface PlaceOptions {
  readonly passwordFile?: string;
  /** A PEM file of the authorities to trust. */
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly allowPlaintext?: boolean;
  readonly compress?: boolean;
  readonly starttls?: "auto" | "always" | "never";
  readonly sieve?: "mailbox" | "files";
  readonly partition?: string;
  /** A folder without mailboxes is a spool too. */
  readonly allowEmpty?: boolean;
  /** What proves sound of a damaged mailbox is read. */
  readonly salvage?: boolean;
  /** A Cyrus server is read under its own locks. */
  readonly lock?: boolean;
}

/** What a place that is written may also need. */
export interface TargetOptions extends PlaceOptions {
  /** Where its mail will come from. */
  readonly source?: Place;
}

type TargetEnv = Pick<CommandEnv, "output" | "workerUrl" | "internalNames">;

/** The warning that `--insecure` gives each time. */
export const INSECURE =
  "No certificate is checked: whoever sits on the way can read and change everything, the " +
  "password too";

/** Declares the options of `PlaceOptions`, with a separate password file for each of `sides`. */
export function addPlaceOptions(command: Command, sides: readonly string[] = []): Command {
  const password = "the first line of FILE is the password (- is stdin; or set BOBBIN_PASSWORD)";
  command.option("--password-file <file>", password);
  for (const side of sides) {
    command.option(`--${side}-password-file <file>`, `the same, only for ${side.toUpperCase()}`);
  }
  return command
    .option("--ca <file>", "trust this authority (PEM) instead of those of the system")
    .option(
      "--insecure",
      "take any certificate: an attacker on the way can then read and change all",
    )
    .option("--allow-plaintext", "send a plain password without TLS to another machine")
    .option("--compress", "compress where the server offers it; helps on slow lines")
    .addOption(
      choiceOption(
        "--starttls <when>",
        "when to begin TLS; auto: where it is offered, but not to this machine",
        [...["auto", "always", "never"]],
      ),
    )
    .addOption(
      choiceOption(
        "--sieve <form>",
        "send scripts in a mailbox, as Cyrus does since 3.6, or as files",
        [...["mailbox", "files"]],
      ),
    )
    .option(
      "--partition <name>",
      "where to put mailboxes whose partition the server does not have",
    );
}

/** The options of one side, with its own password file if it has one. */
export function optionsOfSide<Options extends PlaceOptions>(
  options: Options,
  passwordFile: string | undefined,
): Options {
  return passwordFile === undefined ? options : { ...options, passwordFile };
}

type Kind = PlaceLocator["kind"];

interface Opener<Found extends PlaceLocator> {
  readonly read: (locator: Found, options: PlaceOptions) => Promise<Place>;
  /** Opens it for writing; absent for kinds that cannot be written. */
  readonly write?: (
    locator: Found,
    options: TargetOptions,
    env: TargetEnv,
  ) => Promise<WritablePlace>;
  /** Opens it as it is before the first write; absent where `read` does just that. */
  readonly unwritten?: (locator: Found, options: PlaceOptions) => Promise<Place>;
}

const OPENERS: { readonly [Name in Kind]: Opener<Extract<PlaceLocator, { kind: Name }>> } = {
  cyrus: {
    read: async ({ path }, { allowEmpty, salvage, lock }) => {
      const isFolder = statSync(path).isDirectory();
      if (isFolder && lock === true) throw cannotLock(path);
      const source = isFolder
        ? spoolSource({ data: path }, { allowEmpty })
        : serverSource(readImapdConf(path), { lock });
      return cyrusPlace(source, { salvages: salvage });
    },
  },
  store: {
    read: async ({ path }) => openStorePlace(path, { access: "read" }),
    unwritten: async ({ path }) => openStorePlace(path, { access: "read", isTarget: true }),
    write: async ({ path }, _, { output }) =>
      openStorePlace(path, { access: "upgrade", tell: (text) => output.talk(text) }),
  },
  sync: {
    read: async ({ address }, options) =>
      openSyncPlace({ ...syncOptionsOf(address, options), isSource: true }),
    unwritten: openSync,
    write: openSync,
  },
  backupcyrus: { read: async ({ address }, options) => openBackupServer(address, options) },
  backup: {
    read: async ({ path, at, text }) => openBackupFolder(path, { locator: text, at }),
    write: async (locator, { source }, env) => {
      requireBackupTarget(locator);
      assert(source !== undefined, "a backup that nothing is brought to");
      return openBackups(locator.path, { source, env });
    },
    unwritten: async (locator) => {
      requireBackupTarget(locator);
      return lookAtBackupTarget(locator.path);
    },
  },
  dump: {
    read: async ({ path }) => openDumpPlace(path, await openDump(path)),
    write: async ({ path }) => createDumpPlace(path),
    unwritten: async ({ path }) => unwrittenDumpPlace(path),
  },
  eml: mailFiles(emlFolder, false),
  mbox: mailFiles(mboxFile, true),
};

/** Files of messages are written from nothing; mail programs read them. */
function mailFiles(
  make: (path: string) => MessageSink,
  keepsFlags: boolean,
): Opener<Extract<PlaceLocator, { kind: "eml" | "mbox" }>> {
  const place = (kind: string, path: string, sink: MessageSink | undefined) =>
    mailFilesPlace({ locator: `${kind}:${path}`, keepsFlags, sink });
  return {
    read: async ({ kind, path }) => {
      throw new AppError("usage", `Cannot read ${kind}:${path}: ${kind} is only written`);
    },
    write: async ({ kind, path }) => place(kind, path, make(path)),
    unwritten: async ({ kind, path }) => {
      requireNew(kind, path);
      return place(kind, path, undefined);
    },
  };
}

/** The error for `--lock` with a place whose lock files nobody knows. */
export function cannotLock(place: string): AppError {
  return new AppError("usage", `Cannot lock ${place}: only an imapd.conf says where locks are`);
}

/** Throws AppError (usage) for a backup as of a moment, and where something else lies. */
function requireBackupTarget({ path, at, text }: BackupLocator): void {
  if (at === undefined) {
    if (!isArchive(path)) backupRootPath(text);
    return;
  }
  throw new AppError("usage", `Cannot write to ${text}: what was then stays as it was`, {
    hint: "Leave out the @ and the time behind it",
  });
}

function openerOf(locator: PlaceLocator): Opener<PlaceLocator> {
  return OPENERS[locator.kind] as Opener<PlaceLocator>; // each opener is given only its own kind
}

/** Opens the place that `text` names, for reading. The caller closes it. Throws AppError. */
export async function openPlace(
  text: string,
  { output }: Pick<CommandEnv, "output">,
  options: PlaceOptions = {},
): Promise<Place> {
  const locator = parsePlace(text);
  const place = await openerOf(locator).read(locator, options);
  tellCaveat(place, output);
  return place;
}

/** Opens for reading what `openWritablePlace` would write to; nothing is written or created. */
export async function openTargetToLook(
  text: string,
  env: Pick<CommandEnv, "output">,
  options: PlaceOptions = {},
): Promise<Place> {
  const locator = parsePlace(text);
  const { unwritten } = openerOf(locator);
  if (unwritten === undefined) return openPlace(text, env, options);
  const place = await unwritten(locator, options);
  tellCaveat(place, env.output);
  return place;
}

function tellCaveat({ caveat }: Place, output: Output): void {
  if (caveat !== undefined) output.talk(caveat);
}

/** Kinds that can be read and changed at once; a dump is written from end to end. */
const UPDATABLE: readonly Kind[] = ["store", "sync"];

/** Throws AppError (usage) for a place that cannot be written to while it is read. */
export function requireUpdatable(text: string): void {
  const { kind } = parsePlace(text);
  if (UPDATABLE.includes(kind)) return;
  const why = OPENERS[kind].write === undefined ? "is only read" : "is written in one go";
  throw new AppError("usage", `Cannot bring anything back to ${text}: a ${kind} place ${why}`, {
    hint: `Places for both ways: ${UPDATABLE.join(", ")}. A Cyrus server is reached by sync://`,
  });
}

/** True where both are the same store, which one process must not read by copies too. */
export function areOneStore(left: string, right: string): boolean {
  const [one, other] = [left, right].map(parsePlace);
  if (one?.kind !== "store" || other?.kind !== "store") return false;
  return realpathSync(one.path) === realpathSync(other.path);
}

/** Opens the place that `text` names, for writing. The caller closes it. Throws AppError. */
export async function openWritablePlace(
  text: string,
  env: TargetEnv,
  options: TargetOptions = {},
): Promise<WritablePlace> {
  const locator = parsePlace(text);
  const { write } = openerOf(locator);
  if (write !== undefined) {
    const place = await write(locator, options, env);
    tellCaveat(place, env.output);
    return place;
  }
  const kinds = Object.entries(OPENERS).filter(([, opener]) => opener.write !== undefined);
  throw new AppError("usage", `Cannot write to ${text}: a ${locator.kind} place is only read`, {
    hint: `Places that can be written: ${kinds.map(([name]) => name).join(", ")}`,
  });
}

async function openSync(
  { address }: Extract<PlaceLocator, { kind: "sync" }>,
  options: PlaceOptions,
): Promise<WritablePlace> {
  return openSyncPlace(syncOptionsOf(address, options));
}

function openBackupServer(address: BackupAddress, options: PlaceOptions): Place {
  const locator = printBackupAddress(address);
  const { silenceMs: stalledMs } = SYNC_PATIENCE;
  const patience = { ...SYNC_PATIENCE, stalledMs };
  if ("path" in address) {
    const connect = async () => ({ connection: await dial(address, { patience }) });
    return openBackupcyrusPlace({ locator, where: address.path, connect });
  }
  const { user, isTls, slot, host, port } = address;
  const where = `${host}:${port}`;
  if (user !== undefined) {
    const sync = syncOptionsOf({ flavour: "csync", isTls, user, host, port }, options);
    const connect = async () => {
      const { dialogue } = await openLink(sync, "signIn");
      return { connection: dialogue.connection, rest: dialogue.rest() };
    };
    return openBackupcyrusPlace({ locator, where, slot, connect });
  }
  const tls = isTls ? trustIn(options) : undefined;
  const connect = async () => ({ connection: await dial({ host, port }, { tls, patience }) });
  return openBackupcyrusPlace({ locator, where, slot, connect });
}

function trustIn({ ca, insecure }: PlaceOptions): TlsTrust {
  return { ca: ca === undefined ? undefined : readAuthorities(ca), insecure };
}

/**
 * How to reach the server at `address`. Throws AppError: io for a `--ca` that cannot be read,
 * config for one that holds no certificates.
 */
export function syncOptionsOf(address: SyncAddress, options: PlaceOptions): SyncOptions {
  const { passwordFile: file, partition, starttls, sieve } = options;
  const credentials = [`bobbin.password.${address.host}`, "bobbin.password"];
  const secret = { file, credentials };
  let password: Promise<string> | undefined;
  return {
    address,
    password: () => {
      password ??= readPassword({ ...secret, whose: printSyncAddress(address) });
      return password;
    },
    trust: trustIn(options),
    allowPlaintext: options.allowPlaintext ?? false,
    compress: options.compress ?? false,
    ...(starttls !== undefined && { startTls: starttls }),
    ...(sieve !== undefined && { sieve }),
    ...(partition !== undefined && { partition }),
  };
}

function readAuthorities(path: string): string {
  const given = readGiven(path);
  if ("problem" in given) {
    throw new AppError("io", `Cannot read ${path}: ${given.problem}`, { cause: given.cause });
  }
  const pem = latin1(given.bytes);
  parseCertificates(pem, path);
  return pem;
}
