/** Gathers what one look at one mailbox finds, so that a million bad records do not make a million lines. */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { Finding } from "../finding.ts";
import { type FindingFacts, finding } from "../finding_codes.ts";

export class Collector {
  readonly #findings: Finding[] = [];
  readonly #perCode = new Map<string, number>();
  readonly #tallies = new Map<string, { count: number; facts: FindingFacts }>();

  /** Notes one finding. Past the limit for its code it is only counted. */
  add(code: string, facts: FindingFacts = {}): void {
    const count = (this.#perCode.get(code) ?? 0) + 1;
    this.#perCode.set(code, count);
    if (count <= DEFAULT_LIMITS.findingsPerCode) this.#findings.push(finding(code, facts));
  }

  /**
   * Notes one more case of something that many messages share and that is worth one line in all. The
   * first case gives the line its uid and path; cases with different `text` are counted apart.
   */
  tally(code: string, facts: FindingFacts & { readonly text: string }): void {
    const key = `${code} ${facts.text}`;
    const tally = this.#tallies.get(key);
    if (tally === undefined) this.#tallies.set(key, { count: 1, facts });
    else tally.count += 1;
  }

  /** Notes findings that were made elsewhere. */
  take(findings: readonly Finding[]): void {
    for (const { code, ...facts } of findings) this.add(code, facts);
  }

  /** Everything noted, with a line for what the limit left out. */
  findings(): readonly Finding[] {
    const all = [...this.#findings];
    for (const [code, count] of this.#perCode) {
      const left = count - DEFAULT_LIMITS.findingsPerCode;
      if (left > 0) all.push(finding(code, { text: `${left} more of the same`, found: count }));
    }
    for (const [key, { count, facts }] of this.#tallies) {
      all.push(finding(key.slice(0, 4), { ...facts, field: "messages", found: count }));
    }
    return all;
  }
}
