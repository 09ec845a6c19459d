/** Choices that look random and are the same in every run, from a seed. */
import { randomOf } from "./spool/random.ts";

export interface Dice {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number;
  chance(share: number): boolean;
  pick<Value>(values: readonly Value[]): Value;
  /** None to `most` values. */
  some<Value>(most: number, make: () => Value): Value[];
  shuffled<Value>(values: readonly Value[]): Value[];
}

export function diceOf(seed: number): Dice {
  const { next, below } = randomOf(seed);
  return {
    below,
    chance: (share) => next() < share,
    pick: <Value>(values: readonly Value[]) => values[below(values.length)] as Value,
    some: (most, make) => Array.from({ length: below(most + 1) }, make),
    shuffled: (values) => {
      const left = [...values];
      return values.map(() => left.splice(below(left.length), 1)[0] as (typeof left)[number]);
    },
  };
}
