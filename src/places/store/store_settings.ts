/**
 * `bobbin.json`: the format of a store and its settings, and the probing that fixes them at `init`.
 */
import { linkSync } from "node:fs";
import { join } from "node:path";
import { textOf, utf8 } from "../../core/bytes.ts";
import { AppError, errnoOf } from "../../core/errors.ts";
import {
  createFile,
  diskError,
  makeFolder,
  namesIn,
  readWhole,
  removeFile,
  statOf,
} from "../../storage/disk.ts";
import { replaceFile } from "../../storage/durable.ts";
import { networkFileSystem } from "../../storage/libc.ts";
import { SETTINGS_FILE, STAGING_FOLDER } from "./layout.ts";

/** The format this code reads and writes. */
export const STORE_FORMAT = 1;

export interface StoreSettings {
  readonly format: number;
  /** A level of first letters between `user` and the users' folders. */
  readonly hash: boolean;
  /** The version of cyrus.index that new mailboxes get. */
  readonly indexVersion: 17 | 20;
  /** How a message comes into its mailbox folder: a hard link into the pool, or a copy. */
  readonly pool: "link" | "copy";
  /** Days for which gc keeps what was deleted or expunged. */
  readonly retentionDays: number;
}

export interface InitOptions {
  readonly hash?: boolean;
  readonly indexVersion?: 17 | 20;
  readonly retentionDays?: number;
}

const SETTINGS_BYTES_MAX = 64 * 1024;

/** The settings of the store at `root`; refuses a folder that is none, or one of another format. */
export function readSettings(root: string): StoreSettings {
  const path = join(root, SETTINGS_FILE);
  const bytes = readWhole(path, SETTINGS_BYTES_MAX);
  if (bytes === undefined) {
    throw new AppError("not_found", `Cannot open the store ${root}: there is no ${SETTINGS_FILE}`, {
      hint: isEmpty(root)
        ? `Make one with \`bobbin store init ${root}\`.`
        : `It is no store. A Cyrus server or spool is given as cyrus:${root}, a dump as dump:FILE`,
    });
  }
  const settings = parseSettings(textOf(bytes) ?? "", path);
  if (settings.format !== STORE_FORMAT) {
    throw new AppError("refused", `Cannot open the store ${root}: format ${settings.format}`, {
      hint: `This Bobbin reads format ${STORE_FORMAT}.`,
    });
  }
  return settings;
}

function isEmpty(root: string): boolean {
  const stat = statOf(root);
  return stat === undefined || (stat.isDirectory() && namesIn(root).length === 0);
}

function parseSettings(text: string, path: string): StoreSettings {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError("config", `Cannot read ${path}: not JSON`, { cause: error });
  }
  if (typeof value !== "object" || value === null) {
    throw new AppError("config", `Cannot read ${path}: not a JSON object`);
  }
  const given = new Map<string, unknown>(Object.entries(value));
  const format = given.get("format");
  const hash = given.get("hash");
  const indexVersion = given.get("indexVersion");
  const pool = given.get("pool");
  const retentionDays = given.get("retentionDays");
  const wrong = (name: string): AppError =>
    new AppError("config", `Cannot use ${path}: ${name} is ${JSON.stringify(given.get(name))}`);
  if (typeof format !== "number") throw wrong("format");
  if (typeof hash !== "boolean") throw wrong("hash");
  if (indexVersion !== 17 && indexVersion !== 20) throw wrong("indexVersion");
  if (pool !== "link" && pool !== "copy") throw wrong("pool");
  if (typeof retentionDays !== "number" || !(retentionDays >= 0)) throw wrong("retentionDays");
  return { format, hash, indexVersion, pool, retentionDays };
}

/** Writes the settings durably. */
function writeSettings(root: string, settings: StoreSettings): void {
  replaceFile(join(root, SETTINGS_FILE), utf8(`${JSON.stringify(settings, null, 2)}\n`));
}

/**
 * Makes a store in `root`, an empty folder or none yet: finds out what the file system can do and
 * writes it down. Refuses network file systems, whose locks and syncs cannot be relied upon.
 */
export function initStore(root: string, options: InitOptions = {}): StoreSettings {
  makeFolder(root);
  const names = namesIn(root).filter((name) => name !== "lost+found");
  if (names.length > 0) {
    throw new AppError("cannot_create", `Cannot make a store in ${root}: it holds ${names[0]}`, {
      hint: "Give an empty folder, or one that does not exist yet.",
    });
  }
  refuseNetwork(root);
  makeFolder(join(root, STAGING_FOLDER));
  const settings: StoreSettings = {
    format: STORE_FORMAT,
    hash: options.hash ?? true,
    indexVersion: options.indexVersion ?? 17,
    pool: probeLinks(join(root, STAGING_FOLDER)) ? "link" : "copy",
    retentionDays: options.retentionDays ?? 7,
  };
  for (const folder of ["user", "shared"]) makeFolder(join(root, folder));
  writeSettings(root, settings);
  return settings;
}

/** Refuses a store on a network file system: a lock that another machine may drop is none. */
export function refuseNetwork(root: string): void {
  const network = networkFileSystem(root);
  if (network === undefined) return;
  throw new AppError("refused", `Cannot keep a store at ${root}: it lies on ${network}`, {
    hint: "Use a local file system; replicate to other machines with `bobbin replicate`.",
  });
}

/** True where `folder` can hold hard links. */
function probeLinks(folder: string): boolean {
  const probe = join(folder, `probe.${process.pid}`);
  const second = `${probe}.link`;
  createFile(probe, utf8("probe\n"));
  try {
    linkSync(probe, second);
    return true;
  } catch (error) {
    if (LINK_REFUSED.has(errnoOf(error) ?? "")) return false;
    throw diskError(error, "probe hard links", folder);
  } finally {
    removeFile(second);
    removeFile(probe);
  }
}

/** What link(2) answers where it cannot make a link but a copy will do. */
export const LINK_REFUSED: ReadonlySet<string> = new Set([
  "EPERM",
  "EXDEV",
  "EMLINK",
  "ENOTSUP",
  "ENOSYS",
]);
