/**
 * Annotations: those of messages against the records of their mailbox, and those of mailboxes, which lie
 * in one database of the server (row AN01).
 */

import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import {
  type MessageAnnotation,
  parseMailboxAnnotation,
} from "../../formats/cyrus/annotations_db.ts";
import type { DatabaseReading } from "../../places/cyrus/server/database_file.ts";
import type { Finding } from "../finding.ts";
import { finding } from "../finding_codes.ts";
import { checkDatabase } from "../server/check_databases.ts";
import { type LocatedFinding, ofServer } from "../server/located_finding.ts";
import { isKnownUniqueid, isLiveName, type MailboxDirectory } from "../server/mailbox_directory.ts";

/** Fields of a record that older versions keep as annotations, and the version that took each in. */
const VIRTUAL_SINCE: Readonly<Record<string, number>> = {
  "/vendor/cmu/cyrus-imapd/thrid": 13,
  "/vendor/cmu/cyrus-imapd/savedate": 15,
  "/vendor/cmu/cyrus-imapd/createdmodseq": 16,
  "/vendor/cmu/cyrus-imapd/basethrid": 20,
  "/vendor/cmu/cyrus-imapd/internaldate.nsec": 20,
};

export interface MessageAnnotationsInput {
  readonly annotations: Iterable<MessageAnnotation>;
  /** True for the UID of any record, expunged ones too. */
  readonly hasRecord: (uid: number) => boolean;
  readonly minorVersion: number;
  /** Of cyrus.annotations. */
  readonly path: string;
}

/** Annotations without a message, and those that a newer index keeps in its records. */
export function checkMessageAnnotations(input: MessageAnnotationsInput): Finding[] {
  const findings: Finding[] = [];
  const { path, minorVersion } = input;
  for (const { uid, entry, deleted } of input.annotations) {
    if (deleted) continue;
    if (!input.hasRecord(uid)) {
      const text = "annotation of a message that has no record";
      findings.push(finding("AN01", { text, path, uid, field: entry }));
    } else if (minorVersion >= (VIRTUAL_SINCE[entry] ?? Number.POSITIVE_INFINITY)) {
      const text = "annotation that the index record holds since a later version";
      findings.push(finding("AN01", { text, path, uid, field: entry, severity: "info" }));
    }
  }
  return findings;
}

/** The server's annotations.db: readable, and of mailboxes that exist. */
export function checkMailboxAnnotations(
  reading: DatabaseReading,
  directory: MailboxDirectory,
  { complete }: { readonly complete: boolean },
): LocatedFinding[] {
  const { path } = reading;
  const options = { code: "AN01", title: "annotations.db", optional: true };
  const checked = checkDatabase(reading, options);
  const findings: LocatedFinding[] = checked.findings.map((one) => ({ finding: one }));
  for (const record of checked.entries ?? []) {
    try {
      const { mailbox, entry } = parseMailboxAnnotation(record);
      const isKnown = isKnownUniqueid(directory, mailbox) || isLiveName(directory, mailbox);
      if (mailbox === "" || isKnown || !complete) continue;
      const text = "annotation of a mailbox that is gone";
      findings.push(
        ofServer("AN01", { text, path, field: entry, found: mailbox, severity: "info" }),
      );
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const text = `annotation cannot be parsed: expected ${error.expected}`;
      const field = latin1(record.key).replaceAll("\0", "|");
      findings.push(ofServer("AN01", { text, path, field }));
    }
  }
  return findings;
}
