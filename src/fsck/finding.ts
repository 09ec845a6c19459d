/** What a check has to say: damage is data, never an exception. */

/** From «worth knowing» to «mail or identity at risk» (spool-format section 10). */
export const SEVERITIES = ["info", "warning", "error", "critical"] as const;

export type Severity = (typeof SEVERITIES)[number];

/** A value as found or expected; bigint for 64-bit fields. */
export type FindingValue = string | number | bigint;

export interface Finding {
  /** A code of the catalogue, such as `IX03`. */
  readonly code: string;
  readonly severity: Severity;
  /** One sentence without a final period. */
  readonly text: string;
  readonly uid?: number;
  /** The file or folder concerned. */
  readonly path?: string;
  /** The field concerned, as Cyrus spells it. */
  readonly field?: string;
  readonly expected?: FindingValue;
  readonly found?: FindingValue;
  /** The other party of a conflict: a mailbox, a path. */
  readonly other?: string;
}

/** True when `severity` is at least `floor`. */
export function atLeast(severity: Severity, floor: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(floor);
}

/** Two findings are the same observation when a second look says exactly the same again. */
export function sameObservation(left: Finding, right: Finding): boolean {
  return (
    left.code === right.code &&
    left.uid === right.uid &&
    left.path === right.path &&
    left.field === right.field &&
    left.expected === right.expected &&
    left.found === right.found
  );
}
