/**
 * Gathers what one look at one mailbox finds, so that a million bad records do not make a million
 * lines.
 */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { Code } from "../codes.ts";
import { type FactsArgument, type Finding, finding, type Place } from "../finding.ts";

export class Collector {
  readonly #findings: Finding[] = [];
  readonly #perCode = new Map<Code, number>();
  readonly #tallies = new Map<string, { count: number; readonly first: Finding }>();

  /** Notes one finding. Past the limit for its code it is only counted. */
  add<C extends Code>(code: C, at: Place, ...facts: FactsArgument<C>): void {
    this.note(finding(code, at, ...facts));
  }

  /** Notes a finding that was made elsewhere. */
  note(one: Finding): void {
    const count = (this.#perCode.get(one.code) ?? 0) + 1;
    this.#perCode.set(one.code, count);
    if (count <= DEFAULT_LIMITS.findingsPerCode) this.#findings.push(one);
  }

  /**
   * Notes one more case of something that many messages share and that is worth one line in all.
   * The first case gives the line its place; cases with other facts are counted apart.
   */
  tally<C extends Code>(code: C, at: Place, ...facts: FactsArgument<C>): void {
    const key = `${code} ${Object.values(facts[0] ?? {}).join(" ")}`;
    const tally = this.#tallies.get(key);
    if (tally === undefined) {
      this.#tallies.set(key, { count: 1, first: finding(code, at, ...facts) });
    } else tally.count += 1;
  }

  /** Everything noted, with a line for what the limit left out. */
  findings(): readonly Finding[] {
    const all = [...this.#findings];
    for (const [code, count] of this.#perCode) {
      if (count > DEFAULT_LIMITS.findingsPerCode) all.push({ code, at: {}, count });
    }
    for (const { count, first } of this.#tallies.values()) all.push({ ...first, count });
    return all;
  }
}
