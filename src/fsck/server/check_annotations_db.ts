/** annotations.db of a server: readable, and of mailboxes that exist (row AN01). */
import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { parseMailboxAnnotation } from "../../formats/cyrus/annotations_db.ts";
import type { DatabaseReading } from "../../places/cyrus/server/database_file.ts";
import { type Finding, finding } from "../finding.ts";
import { checkDatabase } from "./check_databases.ts";
import { isKnownUniqueid, isLiveName, type MailboxDirectory } from "./mailbox_directory.ts";

/** Checks the file; what is `complete` lists every mailbox that there is. */
export function checkMailboxAnnotations(
  reading: DatabaseReading,
  directory: MailboxDirectory,
  { complete }: { readonly complete: boolean },
): Finding[] {
  const { path } = reading;
  const checked = checkDatabase(reading, { code: "AN01", optional: true });
  const findings = [...checked.findings];
  for (const record of checked.entries ?? []) {
    try {
      const { mailbox, entry } = parseMailboxAnnotation(record);
      const isKnown = isKnownUniqueid(directory, mailbox) || isLiveName(directory, mailbox);
      if (mailbox === "" || isKnown || !complete) continue;
      findings.push(finding("AN01", { path }, { what: "gone", entry, mailbox }));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const key = latin1(record.key).replaceAll("\0", "|");
      findings.push(finding("AN01", { path }, { what: "entry", key, expected: error.expected }));
    }
  }
  return findings;
}
