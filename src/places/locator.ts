/**
 * Where a place is, as the command line names it: `cyrus:/var/spool/cyrus/mail`,
 * `store:/srv/bobbin`, or a bare path that is recognised by what lies there.
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import { isSyncAddress, maskPassword, parseSyncAddress, type SyncAddress } from "./sync_address.ts";

export type Locator =
  /** A partition's folder, one mailbox's folder, or an imapd.conf. */
  | { readonly kind: "cyrus"; readonly path: string }
  | { readonly kind: "store"; readonly path: string };

/** Any place: on this machine, a sync server, or a dump. */
export type PlaceLocator =
  | Locator
  | { readonly kind: "sync"; readonly address: SyncAddress }
  /** A file that may be yet to be written; `-` = stdin or stdout. */
  | { readonly kind: "dump"; readonly path: string };

const KINDS: readonly Locator["kind"][] = ["cyrus", "store"];

/** A scheme has two letters at least, so that nothing of Windows is one. */
const SCHEME = /^([a-z]{2,}):(.*)$/s;

const DUMP = /^dump:(.*)$/s;

/** Parses a PLACE. Throws AppError (usage) for an unknown kind, (not_found) for no path. */
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
        hint:
          `Known here: ${KINDS.map((known) => `${known}:PATH`).join(", ")}, ` +
          "sync://USER@HOST, or a bare path",
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
