/** How much a finding matters. */

/** From «worth knowing» to «mail or identity at risk» (spool-format section 10). */
export const SEVERITIES = ["info", "warning", "error", "critical"] as const;

export type Severity = (typeof SEVERITIES)[number];

/** True when `severity` is at least `floor`. */
export function atLeast(severity: Severity, floor: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(floor);
}
