/**
 * The locator of a place, as the command line takes it: `cyrus:/var/spool/cyrus/mail`,
 * `store:/srv/bobbin`, or a bare path, which is recognised by what lies there.
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import { isSyncAddress, maskPassword, parseSyncAddress, type SyncAddress } from "./sync_address.ts";

export type Locator =
  /** A partition's folder, one mailbox's folder, or an imapd.conf. */
  | { readonly kind: "cyrus"; readonly path: string }
  | { readonly kind: "store"; readonly path: string };

/** Any place: a folder or file on this machine, a sync server, or a dump. */
export type PlaceLocator =
  | Locator
  | { readonly kind: "sync"; readonly address: SyncAddress }
  /** A file, which need not be there yet; `-` is stdin or stdout. */
  | { readonly kind: "dump"; readonly path: string };

const KINDS: readonly Locator["kind"][] = ["cyrus", "store"];

const KNOWN_PLACES = KINDS.map((kind) => `${kind}:PATH`).join(", ");

/** A scheme has at least two letters, so that `c:\mail` is a path. */
const SCHEME = /^([a-z]{2,}):(.*)$/s;

const DUMP = /^dump:(.*)$/s;

/**
 * Parses any PLACE. Throws AppError (usage) for a kind that is not known, (not_found) for no path.
 */
export function parsePlace(text: string): PlaceLocator {
  if (isSyncAddress(text)) return { kind: "sync", address: parseSyncAddress(text) };
  const [, path] = DUMP.exec(text) ?? [];
  if (path === undefined) return parseLocator(text);
  if (path === "") throw new AppError("usage", `Cannot read place ${text}: the path is empty`);
  return { kind: "dump", path: path === "-" ? path : resolve(path) };
}

/**
 * Parses a PLACE on this machine. Throws AppError (usage) for a kind that is not known, (not_found)
 * for no path.
 */
export function parseLocator(text: string): Locator {
  const [, scheme, rest = ""] = SCHEME.exec(text) ?? [];
  if (scheme === undefined || existsSync(text)) return recognise(resolve(text));
  const kind = KINDS.find((known) => known === scheme);
  if (kind === undefined) {
    const masked = maskPassword(text);
    throw new AppError(
      "usage",
      `Cannot read place ${masked}: no kind of place is called ${scheme}`,
      {
        hint: `Known here: ${KNOWN_PLACES}, sync://USER@HOST, or a bare path`,
      },
    );
  }
  if (rest === "") throw new AppError("usage", `Cannot read place ${text}: the path is empty`);
  return { kind, path: existing(resolve(rest)) };
}

function recognise(path: string): Locator {
  const isStore = existsSync(join(existing(path), "bobbin.json"));
  return { kind: isStore ? "store" : "cyrus", path };
}

function existing(path: string): string {
  try {
    statSync(path);
  } catch (error) {
    throw new AppError("not_found", `Cannot find place ${path}`, { cause: error });
  }
  return path;
}
