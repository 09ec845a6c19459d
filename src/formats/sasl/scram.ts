/**
 * Both sides of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding, as functions from text
 * to text; nonces come from the caller. The server keeps a verifier, from which the password cannot
 * be computed.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";

/** What a server keeps in place of a password. */
export interface ScramVerifier {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

const KEY_BYTES = 32;
/** RFC 7677 demands at least 4096; the upper bound keeps a server from stalling a client. */
const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 1_000_000;

/** Makes the verifier of a password. Takes some milliseconds for each 10,000 iterations. */
export function makeVerifier(
  password: string,
  options: { readonly salt: Uint8Array; readonly iterations: number },
): ScramVerifier {
  const { salt, iterations } = options;
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, iterations, KEY_BYTES, "sha256");
  const clientKey = hmac(salted, "Client Key");
  return { salt, iterations, storedKey: sha256(clientKey), serverKey: hmac(salted, "Server Key") };
}

/** The client's first message, taken apart. */
export interface ClientFirst {
  /** `n,,` or `n,a=…,`. The final message repeats it in base64. */
  readonly gs2Header: string;
  readonly authzid: string;
  readonly user: string;
  readonly nonce: string;
  /** The message without its gs2 header. */
  readonly bare: string;
}

/** Parses `n,[a=authzid],n=user,r=nonce` without channel binding. Throws FormatError. */
export function parseClientFirst(text: string): ClientFirst {
  const [, gs2Header, authzid = "", bare, user, nonce] =
    /^([ny],(?:a=([^,]*))?,)(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(text) ?? [];
  if (gs2Header === undefined || bare === undefined || user === undefined || nonce === undefined) {
    throw new FormatError(0, "n,,n=user,r=nonce");
  }
  return { gs2Header, authzid: saslName(authzid), user: saslName(user), nonce, bare };
}

/** Decodes a name, in which `=2C` is a comma and `=3D` an equals sign. */
function saslName(text: string): string {
  if (/=(?!2C|3D)/.test(text)) throw new FormatError(0, "=2C or =3D after an equals sign");
  return text.replaceAll("=2C", ",").replaceAll("=3D", "=").normalize("NFKC");
}

export interface ServerFirst {
  /** The nonce of the client followed by that of the server. */
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** Prints `r=nonce,s=salt,i=iterations`. */
export function printServerFirst(first: ServerFirst): string {
  const salt = Buffer.from(first.salt).toString("base64");
  return `r=${first.nonce},s=${salt},i=${first.iterations}`;
}

/** The inverse of `printServerFirst`. Throws FormatError, also for a bad iteration count. */
export function parseServerFirst(text: string): ServerFirst {
  const [, nonce, salt, digits] = /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})$/.exec(text) ?? [];
  const iterations = Number(digits);
  if (nonce === undefined || salt === undefined || !Number.isSafeInteger(iterations)) {
    throw new FormatError(0, "r=nonce,s=salt,i=iterations");
  }
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
    throw new FormatError(0, `${ITERATIONS_MIN} to ${ITERATIONS_MAX} iterations`);
  }
  return { nonce, salt: Buffer.from(salt, "base64"), iterations };
}

/** What both sides know once two messages have gone. */
export interface ScramExchange {
  readonly first: ClientFirst;
  /** The server's first message, as sent. */
  readonly serverFirst: string;
  /** The joined nonce that the client must repeat. */
  readonly nonce: string;
}

/**
 * Checks the client's proof. Returns `v=signature`, which proves to the client that this is the
 * right server, or undefined if the proof is wrong. Throws FormatError for text of another form.
 */
export function checkClientFinal(
  text: string,
  exchange: ScramExchange,
  verifier: ScramVerifier,
): string | undefined {
  const [, withoutProof, binding, nonce, proof] =
    /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[^p].*)?),p=([A-Za-z0-9+/=]+)$/s.exec(text) ?? [];
  if (withoutProof === undefined || binding === undefined || proof === undefined) {
    throw new FormatError(0, "c=binding,r=nonce,p=proof");
  }
  const header = Buffer.from(binding, "base64").toString("latin1");
  const proofBytes = Buffer.from(proof, "base64");
  if (header !== exchange.first.gs2Header || nonce !== exchange.nonce) return undefined;
  if (proofBytes.length !== KEY_BYTES) return undefined;
  const message = authMessage(exchange, withoutProof);
  const clientKey = xor(hmac(verifier.storedKey, message), proofBytes);
  if (!timingSafeEqual(sha256(clientKey), verifier.storedKey)) return undefined;
  return `v=${hmac(verifier.serverKey, message).toString("base64")}`;
}

/** The client's first message for `nonce`. */
export function makeClientFirst(user: string, nonce: string): ClientFirst & { text: string } {
  const name = user.normalize("NFKC").replaceAll("=", "=3D").replaceAll(",", "=2C");
  const bare = `n=${name},r=${nonce}`;
  return { gs2Header: "n,,", authzid: "", user, nonce, bare, text: `n,,${bare}` };
}

/**
 * The client's final message, and the `v=…` with which the right server will answer. Throws
 * FormatError for a malformed message of the server, or one whose nonce does not begin with the
 * client's.
 */
export function makeClientFinal(
  serverFirst: string,
  first: ClientFirst,
  password: string,
): { readonly text: string; readonly serverFinal: string } {
  const { nonce, salt, iterations } = parseServerFirst(serverFirst);
  if (!nonce.startsWith(first.nonce) || nonce === first.nonce) {
    throw new FormatError(2, "a nonce that goes on from the client's");
  }
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, iterations, KEY_BYTES, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const binding = Buffer.from(first.gs2Header, "latin1").toString("base64");
  const withoutProof = `c=${binding},r=${nonce}`;
  const message = authMessage({ first, serverFirst, nonce }, withoutProof);
  const proof = xor(hmac(sha256(clientKey), message), clientKey);
  const signature = hmac(hmac(salted, "Server Key"), message);
  return {
    text: `${withoutProof},p=${Buffer.from(proof).toString("base64")}`,
    serverFinal: `v=${signature.toString("base64")}`,
  };
}

function authMessage(exchange: ScramExchange, finalWithoutProof: string): string {
  return `${exchange.first.bare},${exchange.serverFirst},${finalWithoutProof}`;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(utf8(text)).digest();
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, index) => byte ^ (right[index] ?? 0));
}
