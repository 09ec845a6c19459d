/**
 * The address of a server that speaks backupcyrusd's protocol: `backupcyrus://HOST:PORT/SLOT` for
 * upstream's, which knows no sign-in; `backupcyrus://USER@HOST:PORT` for Bobbin's over a network,
 * `backupcyruss://` with TLS from the first byte on; `backupcyrus:PATH` for a socket on this
 * machine. SLOT is the server's name, which it tells to whoever does not know it.
 */
import { AppError } from "../core/errors.ts";
import { maskPassword } from "./sync_address.ts";

export type BackupAddress =
  | { readonly path: string }
  | {
      readonly isTls: boolean;
      /** Who signs in; absent where there is no sign-in. */
      readonly user?: string;
      /** A name, or an IP address; IPv6 without brackets. */
      readonly host: string;
      readonly port: number;
      readonly slot?: string;
    };

const BACKUP_PORT = 2901;

const HOST = "(?:\\[([0-9A-Fa-f:.]+)\\]|([^@:/[\\]\\s]+))(?::(\\d{1,5}))?";
const FORM = new RegExp(`^backupcyrus(s?)://(?:([^@/:]*)@)?${HOST}(?:/([^/\\s]*))?$`);

/** True for a text that begins like the address of a backup server. */
export function isBackupAddress(text: string): boolean {
  return /^backupcyruss?:/.test(text);
}

/** Parses an address. A user's `@` is written %40. Throws AppError (usage). */
export function parseBackupAddress(text: string): BackupAddress {
  const [, path] = /^backupcyrus:(?!\/\/)(.+)$/s.exec(text) ?? [];
  if (path !== undefined) return { path };
  const [, tls, login, bracketed, plain, digits, slot = ""] = FORM.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? BACKUP_PORT : Number(digits);
  const user = login === undefined ? undefined : decoded(login);
  const isWrong = host === undefined || port < 1 || port > 65_535 || user === "";
  if (isWrong) {
    const masked = maskPassword(text);
    throw new AppError("usage", `Cannot read place ${masked}: no address of a backup server`, {
      hint: "backupcyrus://HOST:PORT/SLOT, backupcyrus://USER@HOST:PORT, or backupcyrus:SOCKET",
    });
  }
  return {
    ...{ isTls: tls === "s", host, port },
    ...(user !== undefined && { user }),
    ...(slot !== "" && { slot }),
  };
}

/** The inverse of `parseBackupAddress`, always with the port. */
export function printBackupAddress(address: BackupAddress): string {
  if ("path" in address) return `backupcyrus:${address.path}`;
  const { isTls, user, host, port, slot } = address;
  const login = user === undefined ? "" : `${encodeURIComponent(user)}@`;
  const shown = host.includes(":") ? `[${host}]` : host;
  const end = slot === undefined ? "" : `/${slot}`;
  return `backupcyrus${isTls ? "s" : ""}://${login}${shown}:${port}${end}`;
}

/** "" for what cannot be decoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return "";
    throw error;
  }
}
