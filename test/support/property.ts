/** Properties with a fixed seed: few runs by default, many in the long run of the tests. */
import fc from "fast-check";

const { BOBBIN_TEST_SIZE } = process.env;
const numRuns = BOBBIN_TEST_SIZE === "long" ? 5000 : 100;

/**
 * Checks `check` on values of `arbitraries`; its own failures and exceptions name the smallest
 * values.
 */
export function property<Values extends [unknown, ...unknown[]]>(
  ...parts: [
    ...arbitraries: { [Index in keyof Values]: fc.Arbitrary<Values[Index]> },
    check: (...values: Values) => void,
  ]
): void {
  const check = parts.pop() as (...values: Values) => void;
  const arbitraries = parts as unknown as { [Index in keyof Values]: fc.Arbitrary<Values[Index]> };
  fc.assert(fc.property(...arbitraries, check), { seed: 20260101, numRuns });
}

/** The same for a check that has to wait. */
export async function asyncProperty<Values extends [unknown, ...unknown[]]>(
  ...parts: [
    ...arbitraries: { [Index in keyof Values]: fc.Arbitrary<Values[Index]> },
    check: (...values: Values) => Promise<void>,
  ]
): Promise<void> {
  const check = parts.pop() as (...values: Values) => Promise<void>;
  const arbitraries = parts as unknown as { [Index in keyof Values]: fc.Arbitrary<Values[Index]> };
  await fc.assert(fc.asyncProperty(...arbitraries, check), { seed: 20260101, numRuns });
}
