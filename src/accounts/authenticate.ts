/**
 * `AUTHENTICATE mech [initial-response]` (sync-protocol.md 1.4): PLAIN and SCRAM-SHA-256. What a
 * client is told does not depend on whether its name is an account.
 */
import { randomBytes } from "node:crypto";
import { latin1, textOf, utf8 } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import { parsePlain } from "../formats/sasl/plain.ts";
import { checkClientFinal, parseClientFirst, printServerFirst } from "../formats/sasl/scram.ts";
import { type Account, type Accounts, fakeVerifier } from "./account.ts";
import type { SignInGate } from "./sign_in_gate.ts";

export type Mechanism = "PLAIN" | "SCRAM-SHA-256";

/**
 * The mechanisms that a client is offered. PLAIN is among them only if nobody can read the password
 * on its way, or the administrator has allowed that.
 */
export function offeredMechanisms(options: { readonly mayBePlain: boolean }): Mechanism[] {
  return options.mayBePlain ? ["SCRAM-SHA-256", "PLAIN"] : ["SCRAM-SHA-256"];
}

/** How a sign-in has ended; `name` is the account that the client claimed, for the log. */
export type SignIn =
  | { readonly kind: "signedIn"; readonly account: Account }
  | { readonly kind: "failed"; readonly name: string; readonly why: string }
  | { readonly kind: "cancelled" }
  /** The client has not kept to the mechanism. */
  | { readonly kind: "malformed"; readonly why: string }
  /** Too many sign-ins at a time. */
  | { readonly kind: "busy" };

export interface SignInDialog {
  readonly accounts: Accounts;
  readonly gate: SignInGate;
  /** The IP address of the client. */
  readonly address: string;
  /**
   * The initial response in base64, `=` for an empty one; undefined if the client has sent none.
   */
  readonly initial: string | undefined;
  /** Aborted when nobody waits for the end of the dialog any more. */
  readonly signal: AbortSignal;
  /** Sends a challenge in base64; gives the client's line, undefined if it has gone. */
  readonly ask: (challenge: string) => Promise<string | undefined>;
}

/**
 * A hash that no password fits, of the cost `ARGON2ID`. It is checked where the name is no account,
 * so that the check takes as long as for one.
 */
export const NOBODYS_HASH = [
  "$argon2id$v=19$m=19456,t=2,p=1",
  "lWJXPKCw45ydbo/GLEXKWfraGnfyfKrVh8SZQhwcT9o",
  "RuEmQNNo6XHbk4WrY18Hz+zzXy/jYz8PKDl+EbYZKOc",
].join("$");

/** Runs the dialog of a mechanism. */
export async function signIn(mechanism: Mechanism, dialog: SignInDialog): Promise<SignIn> {
  try {
    return mechanism === "PLAIN" ? await plain(dialog) : await scram(dialog);
  } catch (error) {
    if (error instanceof FormatError) return { kind: "malformed", why: error.message };
    if (error === CANCELLED) return { kind: "cancelled" };
    throw error;
  }
}

const CANCELLED = Symbol("cancelled");

async function plain(dialog: SignInDialog): Promise<SignIn> {
  const first = dialog.initial ?? (await answerTo("", dialog));
  const { authzid, authcid, password } = parsePlain(decode(first));
  const account = dialog.accounts.byName.get(authcid);
  const check = async () => {
    const fits = await Bun.password.verify(password, account?.argon2id ?? NOBODYS_HASH);
    return fits && account !== undefined;
  };
  const passed = await dialog.gate.pass(
    { address: dialog.address, name: authcid },
    check,
    dialog.signal,
  );
  if (passed === undefined) return { kind: "busy" };
  return verdict(passed ? account : undefined, { name: authcid, authzid });
}

async function scram(dialog: SignInDialog): Promise<SignIn> {
  const { accounts } = dialog;
  const first = parseClientFirst(textIn(dialog.initial ?? (await answerTo("", dialog))));
  const account = accounts.byName.get(first.user);
  // It is made for an account too, so that both take the same time.
  const fake = fakeVerifier(first.user, accounts);
  const verifier = account?.scram ?? fake;
  const nonce = first.nonce + randomBytes(18).toString("base64");
  const { salt, iterations } = verifier;
  const serverFirst = printServerFirst({ nonce, salt, iterations });
  const final = textIn(await answerTo(serverFirst, dialog));
  const exchange = { first, serverFirst, nonce };
  let proof: string | undefined;
  const check = async () => {
    proof = checkClientFinal(final, exchange, verifier);
    return proof !== undefined && account !== undefined;
  };
  const claimant = { address: dialog.address, name: first.user };
  const passed = await dialog.gate.pass(claimant, check, dialog.signal);
  if (passed === undefined) return { kind: "busy" };
  const result = verdict(passed ? account : undefined, {
    name: first.user,
    authzid: first.authzid,
  });
  // The client must get the server's proof too; it answers it with an empty line.
  if (result.kind === "signedIn" && proof !== undefined) await answerTo(proof, dialog);
  return result;
}

interface Claim {
  readonly name: string;
  readonly authzid: string;
}

function verdict(account: Account | undefined, claim: Claim): SignIn {
  const { name, authzid } = claim;
  if (account === undefined) return { kind: "failed", name, why: "no such account or password" };
  // An account cannot act for another one.
  if (authzid !== "" && authzid !== name) {
    return { kind: "failed", name, why: `asked to act as ${authzid}` };
  }
  return { kind: "signedIn", account };
}

async function answerTo(challenge: string, dialog: SignInDialog): Promise<string> {
  const line = await dialog.ask(Buffer.from(utf8(challenge)).toString("base64"));
  if (line === undefined || line === "*") throw CANCELLED;
  return line;
}

function decode(base64: string): Uint8Array {
  if (base64 === "=") return new Uint8Array();
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw new FormatError(0, "base64");
  return Buffer.from(base64, "base64");
}

function textIn(base64: string): string {
  const bytes = decode(base64);
  return textOf(bytes) ?? latin1(bytes);
}
