/**
 * What protocol a server speaks, known by the first bytes that it sends: most greet a client, and
 * those that wait for the client to begin (HTTP, TLS) answer nonsense each in its own way.
 */
import { latin1, utf8 } from "../core/bytes.ts";
import type { Connection, ReadResult } from "./connection.ts";

const SPEECHES = [
  // An alert or a handshake record of TLS: type, major version 3, minor version.
  ["TLS", /^[\x15\x16]\x03[\x00-\x04]/],
  ["MUPDATE", /^\* (?:OK MUPDATE|AUTH ")/],
  ["csync", /^\* (?:SASL|COMPRESS|SIEVE-MAILBOX|STARTTLS)\b|^\* OK .*\b(?:sync|backup) server\b/i],
  ["IMAP", /^\* (?:OK|PREAUTH|BYE)\b.*(?:IMAP|CAPABILITY|Dovecot|Courier)/i],
  ["LMTP", /^220[ -].*\bLMTP\b/i],
  ["SMTP or FTP", /^(?:220|421|554)[ -]/],
  ["POP3", /^(?:\+OK|-ERR)\b/],
  ["ManageSieve", /^"?(?:IMPLEMENTATION|SIEVE|SASL)"? "/i],
  ["NNTP", /^20[01] /],
  ["SSH", /^SSH-\d/],
  ["HTTP", /^HTTP\/\d|^<!DOCTYPE|^<html/i],
] as const satisfies readonly (readonly [string, RegExp])[];

/** The protocols that are known by their first bytes. */
export type Speech = (typeof SPEECHES)[number][0];

/** The protocol whose first bytes these are; undefined if they could be anything. */
export function recogniseSpeech(first: Uint8Array): Speech | undefined {
  const text = latin1(first.subarray(0, 512));
  return SPEECHES.find(([, begins]) => begins.test(text))?.[0];
}

/** What neither TLS nor HTTP nor any protocol of lines takes for its beginning. */
const NONSENSE = utf8("NOOP\r\n\r\n");
const ANSWER_MS = 2_000;

/**
 * The first bytes of a server that has said nothing so far: it is spoken to. "timeout" and "end" as
 * `Connection.read` gives them: most servers of TLS that answer nothing hang up.
 */
export async function provoke(connection: Connection): Promise<ReadResult> {
  connection.write(NONSENSE);
  await connection.flush();
  return connection.peek(ANSWER_MS);
}
