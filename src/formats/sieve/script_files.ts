/**
 * Sieve scripts. Replication names them as files, `x.script` and its bytecode `x.bc`; a Cyrus since
 * 3.6 keeps each as a message of the mailbox `#sieve`, with its name in the Subject and its text in
 * the body; the active one is \Flagged (Cyrus imap/sieve_db.c).
 */
import { latin1 } from "../../core/bytes.ts";
import { sha1Of } from "../../hash/sha1.ts";
import { activeMark, type SieveFile } from "../../model/mailbox.ts";
import { bytecodeVersion } from "./bytecode.ts";

export interface SieveScript {
  /** Without the suffix; latin1. */
  readonly name: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  readonly content: Uint8Array;
  readonly isActive: boolean;
  /** What it was compiled to, where that is a file beside it. */
  readonly bytecode?: { readonly lastUpdate: number; readonly content: Uint8Array };
}

/**
 * The scripts as replication names them: each with its GUID, and its bytecode. A server since 3.4
 * names that of the active one only, as a mark without content: it makes bytecode by itself.
 */
export function sieveFilesOf(scripts: readonly SieveScript[]): SieveFile[] {
  return scripts.flatMap(({ name, lastUpdate, content, isActive, bytecode }) => {
    const guid = sha1Of(content);
    const script = { filename: `${name}.script`, lastUpdate, guid, isActive: false };
    const filename = `${name}.bc`;
    if (bytecode === undefined || (bytecodeVersion(bytecode.content) ?? 0) >= BYTECODE_OF_34) {
      return isActive ? [script, activeMark(filename)] : [script];
    }
    const compiled = { lastUpdate: bytecode.lastUpdate, guid: sha1Of(bytecode.content) };
    return [script, { filename, ...compiled, isActive }];
  });
}

const BYTECODE_OF_34 = 30;

const BLANK_LINE = /\r?\n\r?\n/;

/** The name and text in a message of `#sieve`; undefined where it has no Subject. */
export function parseScriptMessage(
  message: Uint8Array,
): Pick<SieveScript, "name" | "content"> | undefined {
  const text = latin1(message);
  const end = BLANK_LINE.exec(text);
  if (end === null) return undefined;
  const [, subject] = /^subject:[ \t]*(.*(?:\r?\n[ \t].*)*)/im.exec(text.slice(0, end.index)) ?? [];
  if (subject === undefined) return undefined;
  const name = decodeScriptName(subject.replace(/\r?\n(?=[ \t])/g, "").trimEnd());
  return { name, content: message.subarray(end.index + end[0].length) };
}

const ENCODED_WORD = /=\?utf-8\?([qb])\?([^?]*)\?=(?:[ \t]+(?==\?utf-8\?[qb]\?[^?]*\?=))?/gi;

/**
 * The name that a person gave. In the Subject 3.6 splits a long one, or one that is not ASCII, into
 * the words of RFC 2047, and calls the script so over sync as well (seen at 3.6.1).
 */
export function decodeScriptName(name: string): string {
  return name.replace(ENCODED_WORD, (_, encoding: string, text: string) => {
    if (encoding.toLowerCase() === "b") return latin1(Buffer.from(text, "base64"));
    const byteOf = (_whole: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
    return text.replaceAll("_", " ").replace(/=([0-9A-F]{2})/gi, byteOf);
  });
}
