/**
 * One rule for what seems wrong in a place that others may be writing to (spool-format 8, protocol
 * B): it is damage when it was seen again while the place stood still, or a third time while it did
 * not. A writer may be between two of its writes at the first look; it is not there any more, at
 * the same place, at the second and third.
 */
import { lookUntilSame } from "../places/stable.ts";
import { type Finding, isDamage, sameObservation } from "./finding.ts";

/** What one look has found. */
export interface Sight {
  readonly findings: readonly Finding[];
  /** True while the files are still what they were at the look. */
  readonly stands: () => boolean;
}

export interface SureSight<One extends Sight> {
  /** The last look. */
  readonly sight: One;
  /** The remarks of the last look, and what was seen often enough. */
  readonly findings: readonly Finding[];
  /** The place changed under every look, and not all that seemed wrong could be confirmed. */
  readonly unstable: boolean;
}

const SIGHTINGS_STANDING = 2;
const SIGHTINGS_MOVING = 3;

/** One look, with how often each of its findings has been seen by then. */
interface Sighted<One> {
  readonly sight: One;
  readonly suspicion: readonly { readonly finding: Finding; readonly sightings: number }[];
}

/** Looks until nothing is wrong, or until what is wrong has been seen often enough. */
export async function lookUntilSure<One extends Sight>(
  lookOnce: () => One | Promise<One>,
): Promise<SureSight<One>> {
  const seenOften = ({ suspicion }: Sighted<One>, times: number) =>
    suspicion.filter(({ sightings }) => sightings >= times);
  const lookAgain = async (before: Sighted<One> | undefined) => {
    const sight = await lookOnce();
    const suspicion = sight.findings.filter(isDamage).map((finding) => {
      const seen = before?.suspicion.find((other) => sameObservation(other.finding, finding));
      return { finding, sightings: (seen?.sightings ?? 0) + 1 };
    });
    const value = { sight, suspicion };
    const isProven = seenOften(value, SIGHTINGS_MOVING).length === suspicion.length;
    const trust = isProven ? "proven" : "suspect";
    return { value, trust, stands: sight.stands } as const;
  };
  const { value, isSure } = await lookUntilSame(lookAgain, {
    isSame: (_, now) => seenOften(now, SIGHTINGS_STANDING).length === now.suspicion.length,
  });
  const { sight } = value;
  const times = isSure || sight.stands() ? SIGHTINGS_STANDING : SIGHTINGS_MOVING;
  const seen = seenOften(value, times).map(({ finding }) => finding);
  const remarks = sight.findings.filter((one) => !isDamage(one));
  return { sight, findings: [...remarks, ...seen], unstable: !isSure };
}
