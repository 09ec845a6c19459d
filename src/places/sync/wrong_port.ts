/** What is told of a port where something else is spoken than its address says. */
import { AppError, errnoOf } from "../../core/errors.ts";
import type { ReadResult } from "../../net/connection.ts";
import { type DialPatience, dial } from "../../net/dial.ts";
import { provoke, recogniseSpeech, type Speech } from "../../net/speech.ts";
import { printSyncAddress, type SyncAddress } from "../sync_address.ts";
import type { SyncPatience } from "./sync_options.ts";

/** The port of IMAP with TLS from the first byte on. */
const IMAPS_PORT = 993;

const USUAL = "Sync servers listen on port 2005 mostly (sync://), IMAP servers on 143 (imap://)";

interface Heard {
  /** True if it was said within TLS. */
  readonly isEncrypted: boolean;
}

/** The error for a server that began with `first`, if `address` says otherwise; else undefined. */
export function wrongSpeech(
  address: SyncAddress,
  first: Uint8Array,
  { isEncrypted }: Heard,
): AppError | undefined {
  const { host, port, isTls } = address;
  const speech = recogniseSpeech(first);
  const wanted: Speech = address.flavour === "csync" ? "csync" : "IMAP";
  // After STARTTLS what comes within TLS is right where the address has none.
  const isRight =
    speech === "TLS" ? isTls && !isEncrypted : speech === wanted && (isEncrypted || !isTls);
  if (speech === undefined || isRight) return undefined;
  const what = {
    TLS: "speaks TLS from the first byte on",
    [wanted]: `speaks ${nameOf(wanted)} without TLS`,
  }[speech];
  const text = what ?? `speaks ${nameOf(speech)}, not ${nameOf(wanted)}`;
  return new AppError("protocol", `${host}:${port} ${text}`, {
    context: { host, port },
    hint: fittingHint(address, speech, { isEncrypted }),
  });
}

function nameOf(speech: Speech): string {
  return speech === "csync" ? "the sync protocol" : speech;
}

function fittingHint(address: SyncAddress, speech: Speech, { isEncrypted }: Heard): string {
  const fitting = (change: Partial<SyncAddress>) =>
    `Try ${printSyncAddress({ ...address, isTls: isEncrypted, ...change })}`;
  if (speech === "csync") return fitting({ flavour: "csync" });
  if (speech === "IMAP") return fitting({ flavour: "imap" });
  if (speech !== "TLS") return USUAL;
  return fitting({ isTls: true, ...(address.port === IMAPS_PORT && { flavour: "imap" }) });
}

/**
 * The error for a server that has not greeted: `silence` is how that was known, and `said` what it
 * says when it is spoken to.
 */
export function noGreeting(
  address: SyncAddress,
  silence: "timeout" | "end",
  said: ReadResult,
): AppError {
  const { host, port, isTls } = address;
  if (typeof said !== "string") {
    const wrong = wrongSpeech(address, said, { isEncrypted: isTls });
    if (wrong !== undefined) return wrong;
  }
  const what =
    silence === "end"
      ? "has closed the connection without a word"
      : "is silent: no greeting of a server has come";
  const refusal = silence === "end" ? "It may not take this machine: see its log. " : "";
  const tls = isTls
    ? ""
    : `If it speaks TLS at once: ${printSyncAddress({ ...address, isTls: true })}. `;
  return new AppError("unreachable", `${host}:${port} ${what}`, {
    context: { host, port },
    hint: `${refusal}${tls}${USUAL}`,
  });
}

/**
 * The error for a server with which TLS has failed: if that is because it speaks something else
 * there, with that; it is asked for once more, without TLS.
 */
export async function withoutTls(
  address: SyncAddress,
  failure: AppError,
  patience: DialPatience & Pick<SyncPatience, "greetingMs">,
): Promise<AppError> {
  const code = errnoOf(failure.cause);
  const isOfTls = code === undefined || /^ERR_SSL|^ECONNRESET$/.test(code);
  if (!isOfTls) return failure;
  try {
    const connection = await dial(address, { patience });
    const first = await connection.peek(Math.min(LOOK_MS, patience.greetingMs));
    const said = first === "timeout" ? await provoke(connection) : first;
    connection.destroy();
    const isBytes = typeof said !== "string";
    return (isBytes ? wrongSpeech(address, said, { isEncrypted: false }) : undefined) ?? failure;
  } catch (error) {
    if (error instanceof AppError) return failure; // it cannot be asked, so the failure stands
    throw error;
  }
}

/** How long a server may take to greet the one who only wants to know what it is. */
const LOOK_MS = 3_000;
