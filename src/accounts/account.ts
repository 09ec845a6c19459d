/**
 * An account of the servers: who may sign in, and what it may touch. It holds no password but an
 * argon2id hash for PLAIN and a SCRAM-SHA-256 verifier, from neither of which the password can be
 * had back.
 */
import { createHmac, randomBytes } from "node:crypto";
import { makeVerifier, type ScramVerifier } from "../formats/sasl/scram.ts";

export interface Account {
  readonly name: string;
  /** Of the password, as argon2id in its usual text form. */
  readonly argon2id: string;
  readonly scram: ScramVerifier;
  /** User ids, `*` for everything, `shared` for what belongs to no user. */
  readonly allow: readonly string[];
}

/** The accounts of a server, as its users file has them. */
export interface Accounts {
  /**
   * The salts for names that are no account are derived from this secret. A name always gets the
   * same salt, so that asking twice tells nobody which names are accounts.
   */
  readonly secret: Uint8Array;
  readonly byName: ReadonlyMap<string, Account>;
}

/** Bytes of `Accounts.secret`. */
export const SECRET_BYTES = 32;
const SALT_BYTES = 16;
const ITERATIONS = 16_384;

/** A users file without accounts. */
export function noAccounts(): Accounts {
  return { secret: new Uint8Array(randomBytes(SECRET_BYTES)), byName: new Map() };
}

/** A verifier for a name that is no account; no password fits it. */
export function fakeVerifier(name: string, accounts: Accounts): ScramVerifier {
  const derive = (what: string) =>
    createHmac("sha256", accounts.secret).update(`${what}\0${name}`).digest();
  return {
    salt: derive("salt").subarray(0, SALT_BYTES),
    iterations: ITERATIONS,
    storedKey: derive("stored"),
    serverKey: derive("server"),
  };
}

/**
 * What a check of a password costs: 19 MiB and two passes, as OWASP advises for argon2id. More
 * would only cost the server memory, since whoever has stolen the file would guess against the
 * cheaper SCRAM verifier.
 */
export const ARGON2ID = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** An account for `password`. Takes some 50 ms, as is the purpose of such hashes. */
export async function makeAccount(
  name: string,
  password: string,
  allow: readonly string[],
): Promise<Account> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  return {
    name,
    argon2id: await Bun.password.hash(password, ARGON2ID),
    scram: makeVerifier(password, { salt, iterations: ITERATIONS }),
    allow,
  };
}

/** True for a name that an account may have: it goes into log lines and SASL messages. */
export function isAccountName(name: string): boolean {
  return /^[^\s\p{Cc}\p{Cf}"\\]{1,255}$/u.test(name) && name === name.normalize("NFKC");
}
