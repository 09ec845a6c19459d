/** The paths that real Cyrus gave for mailboxes of many kinds, recorded in test/fixtures/paths. */
import { readFileSync } from "node:fs";
import { fixturePath } from "./fixtures.ts";

export interface RecordedMailbox {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string;
  readonly data: string;
  readonly userid?: string;
  readonly seen?: string;
  readonly sieve?: string;
}

export interface RecordedServer {
  readonly settings: Readonly<Record<string, string>>;
  readonly legacy: boolean;
  readonly mailboxes: readonly RecordedMailbox[];
}

export function recordedPaths(): readonly RecordedServer[] {
  return JSON.parse(readFileSync(fixturePath("paths/mbpath-3.6.1.json"), "utf8"));
}
