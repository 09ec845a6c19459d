/** Findings of a whole server: each says whose it is. */

import type { Finding } from "../finding.ts";
import { type FindingFacts, finding } from "../finding_codes.ts";

/** A finding and the mailbox, user or quota root that it concerns; none for the server itself. */
export interface LocatedFinding {
  /** Internal name. */
  readonly mailbox?: string;
  readonly userid?: string;
  readonly finding: Finding;
}

/** A finding that concerns one mailbox. */
export function ofMailbox(mailbox: string, code: string, facts: FindingFacts): LocatedFinding {
  return { mailbox, finding: finding(code, facts) };
}

/** A finding that concerns one user. */
export function ofUser(userid: string, code: string, facts: FindingFacts): LocatedFinding {
  return { userid, finding: finding(code, facts) };
}

/** A finding that concerns the server. */
export function ofServer(code: string, facts: FindingFacts): LocatedFinding {
  return { finding: finding(code, facts) };
}
