/** The address of a sync server: `sync://user@host:port`, `syncs://…`, `imap://…`, `imaps://…`. */
import { AppError } from "../core/errors.ts";

/** How commands are framed: without tags on a port of their own, or with tags inside IMAP. */
export type SyncFlavour = "csync" | "imap";

export interface SyncAddress {
  readonly flavour: SyncFlavour;
  /** TLS from the first byte on; otherwise it begins with STARTTLS, if at all. */
  readonly isTls: boolean;
  readonly user: string;
  /** A name, or an IP address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

interface Scheme {
  readonly flavour: SyncFlavour;
  readonly isTls: boolean;
  readonly port: number;
}

const SCHEMES: Readonly<Record<string, Scheme>> = {
  sync: { flavour: "csync", isTls: false, port: 2005 },
  syncs: { flavour: "csync", isTls: true, port: 2005 },
  imap: { flavour: "imap", isTls: false, port: 143 },
  imaps: { flavour: "imap", isTls: true, port: 993 },
};

/** True for a text that begins like the address of a sync server. */
export function isSyncAddress(text: string): boolean {
  const scheme = /^([a-z]+):\/\//.exec(text)?.[1];
  return scheme !== undefined && Object.hasOwn(SCHEMES, scheme);
}

/** `text` without what may be a password: from the first `:` to the last `@`. */
export function maskPassword(text: string): string {
  return text.replace(/^([^:/]*:\/\/[^:]*):.*@/s, "$1:…@");
}

/**
 * Parses an address. A user's `@` is written %40. Throws AppError (usage), also for a password in
 * it: arguments can be read by everybody on the machine.
 */
export function parseSyncAddress(text: string): SyncAddress {
  const [, name = "", login, bracketed, plain, digits] =
    /^([a-z]+):\/\/(?:([^@/]*)@)?(?:\[([0-9A-Fa-f:.]+)\]|([^@:/[\]\s]+))(?::(\d{1,5}))?\/?$/.exec(
      text,
    ) ?? [];
  const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined;
  const host = bracketed ?? plain;
  const masked = maskPassword(text);
  if (masked !== text) {
    throw new AppError("usage", `Cannot read place ${masked}: a password must not stand there`, {
      hint: "Use --password-file FILE, BOBBIN_PASSWORD or $CREDENTIALS_DIRECTORY",
    });
  }
  const port = digits === undefined ? scheme?.port : Number(digits);
  const user = decoded(login ?? "");
  const isPort = port !== undefined && port > 0 && port < 65_536;
  if (scheme === undefined || host === undefined || !isPort || user === undefined || user === "") {
    throw new AppError("usage", `Cannot read place ${masked}: not an address of a sync server`, {
      hint: hintFor(text),
    });
  }
  return { flavour: scheme.flavour, isTls: scheme.isTls, user, host, port };
}

const FORM = "sync://USER@HOST:PORT, likewise syncs://, imap:// and imaps://";

/** What is wrong with an address that cannot be parsed, as far as that can be seen. */
function hintFor(text: string): string {
  const [, name = "", rest = ""] = /^([a-z]+):\/\/(.*)$/s.exec(text) ?? [];
  const at = rest.lastIndexOf("@");
  const [login, place] = [rest.slice(0, Math.max(at, 0)), rest.slice(at + 1)];
  if (login.includes("@")) {
    const written = login.replaceAll("@", "%40");
    return `The @ in the name of the account is written %40: ${name}://${written}@${place}`;
  }
  if (login === "") return `Name the account that signs in: ${name}://USER@${place || "HOST"}`;
  if (/^[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/.test(place)) {
    return `An IPv6 address stands in brackets: ${name}://${login}@[${place}]:PORT`;
  }
  if (/^[^/]+\/./.test(place)) return `No path and no user follow the host: ${FORM}`;
  if (/:[^/]*\/?$/.test(place)) return `A port is a number from 1 to 65535: ${FORM}`;
  return FORM;
}

/** The inverse of `parseSyncAddress`, always with the port. */
export function printSyncAddress(address: SyncAddress): string {
  const { flavour, isTls, user, host, port } = address;
  const scheme = `${flavour === "csync" ? "sync" : "imap"}${isTls ? "s" : ""}`;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return `${scheme}://${encodeURIComponent(user)}@${shownHost}:${port}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
