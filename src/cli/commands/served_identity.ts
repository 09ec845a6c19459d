/** The certificate and key that `bobbin serve` is given, and how long they are good. */

import { createSecureContext } from "node:tls";
import { latin1 } from "../../core/bytes.ts";
import { plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { readGiven } from "../../core/given_file.ts";
import type { Log } from "../../core/log.ts";
import { parseCertificates } from "../../net/certificates.ts";
import type { TlsIdentity } from "../../net/tls.ts";

export interface ServedIdentity extends TlsIdentity {
  readonly expires: Date;
}

export interface IdentityFiles {
  readonly cert: string;
  readonly key: string;
}

/** Reads both files. Throws AppError (config) where they cannot be used together. */
export function readIdentity(files: IdentityFiles): ServedIdentity {
  const [cert, key] = [readPem(files.cert), readPem(files.key)];
  const [first] = parseCertificates(cert, files.cert);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError("config", `Cannot use ${files.cert} with ${files.key}: ${reason}`, {
      cause: error,
      hint: keyHint(key),
    });
  }
  return { cert, key, expires: first.validToDate };
}

function keyHint(key: string): string {
  if (!key.includes("PRIVATE KEY-----")) return "The key is none: PEM with a PRIVATE KEY is wanted";
  if (key.includes("ENCRYPTED")) {
    return "The key wants a passphrase: `openssl pkey -in FILE` writes one that does not";
  }
  return "The key must be that of the first certificate in the file";
}

function readPem(path: string): string {
  const given = readGiven(path);
  if ("bytes" in given) return latin1(given.bytes);
  throw new AppError("config", `Cannot read ${path}: ${given.problem}`, { cause: given.cause });
}

const DAY_MS = 24 * 3600 * 1000;
const SOON_DAYS = 14;

/** Logs that a certificate has expired, or will soon. */
export function warnOfExpiry({ expires }: ServedIdentity, log: Log, nowMs: number): void {
  const left = expires.getTime() - nowMs;
  const facts = { expires: expires.toISOString() };
  if (left <= 0) {
    log.write("error", "The certificate has expired: clients refuse it", facts);
  } else if (left < SOON_DAYS * DAY_MS) {
    const days = Math.floor(left / DAY_MS);
    log.write("warning", `The certificate expires in ${plural(days, "day")}`, facts);
  }
}
