/**
 * `meta/x-run`, with which each run of Bobbin ends: one line of JSON. The entries before it are a
 * state of the user from then on, which is how a backup is read as of a moment.
 */
import { utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { jsonLine, parseJson } from "../../core/json.ts";

export interface RunMark {
  /** Milliseconds since 1970: when the run began, and when it ended. */
  readonly began: number;
  readonly ended: number;
  /** The locator of the place that was backed up. */
  readonly source: string;
  /** New messages, their bytes, and mailboxes that were new or had changed. */
  readonly messages: number;
  readonly bytes: number;
  readonly mailboxes: number;
  /** Messages and mailboxes that could not be had, or not as they should be. */
  readonly findings: number;
  /** Mailboxes that were there and could not be read: they are not to be taken for deleted. */
  readonly missing: readonly MissingMailbox[];
  /** The release of Bobbin. */
  readonly version: string;
  /** The first of them; absent where there are none. */
  readonly gaps?: readonly Gap[];
}

/** Mail that came to a mailbox after the run before, and was gone before this one. */
export interface Gap {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string;
  /** What the run before has seen of it: its highest UID, and its modseq as digits; or 0. */
  readonly lastUid: number;
  readonly highestmodseq: string;
  /** How many messages; absent where the mailbox itself is gone, for then nobody can tell. */
  readonly messages?: number;
  /** When the mailbox was deleted, where the source tells. Milliseconds since 1970. */
  readonly deleted?: number;
}

export interface MissingMailbox {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid?: string;
}

const COUNTS = ["began", "ended", "messages", "bytes", "mailboxes", "findings"] as const;

/** The content of the entry. */
export function printRunMark(mark: RunMark): Uint8Array {
  return utf8(`${jsonLine(mark)}\n`);
}

/** The inverse of `printRunMark`. Throws FormatError. */
export function parseRunMark(bytes: Uint8Array): RunMark {
  const found = parseJson(bytes);
  const isSound =
    isObject(found) &&
    COUNTS.every((name) => Number.isSafeInteger(found[name]) && Number(found[name]) >= 0) &&
    typeof found["source"] === "string" &&
    typeof found["version"] === "string" &&
    Array.isArray(found["missing"]) &&
    found["missing"].every(isMissing) &&
    (found["gaps"] === undefined || (Array.isArray(found["gaps"]) && found["gaps"].every(isGap)));
  if (!isSound) throw new FormatError(0, "the end of a run");
  return found as unknown as RunMark; // each field of it was looked at
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isGap(value: unknown): value is Gap {
  if (!isObject(value) || typeof value["name"] !== "string") return false;
  const { uniqueid, lastUid, highestmodseq, messages = 0, deleted = 0 } = value;
  const isText = typeof uniqueid === "string" && typeof highestmodseq === "string";
  return isText && [lastUid, messages, deleted].every(Number.isSafeInteger);
}

function isMissing(value: unknown): value is MissingMailbox {
  if (!isObject(value) || typeof value["name"] !== "string") return false;
  return value["uniqueid"] === undefined || typeof value["uniqueid"] === "string";
}
