/**
 * Numbers that look random and are the same in every run, from a seed: a xorshift register of 32
 * bits (Marsaglia, 2003).
 */

export interface Random {
  /** From 0 up to but not including 1. */
  next(): number;
  /** A whole number from 0 up to but not including `bound`. */
  below(bound: number): number;
  /** Log-normal: most values small, a few very large, as message sizes are. */
  logNormal(average: number, sigma: number): number;
  /** `digits` lower-case hex digits. */
  hex(digits: number): string;
}

export function randomOf(seed: number): Random {
  // The register must never be 0, where it would stay.
  let register = (seed ^ 0x5bd1_e995) | 0 || 1;
  const next = (): number => {
    register ^= register << 13;
    register ^= register >>> 17;
    register ^= register << 5;
    return (register >>> 0) / 2 ** 32;
  };
  // Seeds that are close to each other begin with like numbers.
  for (let passed = 0; passed < 20; passed++) next();
  return {
    next,
    below: (bound) => Math.floor(next() * bound),
    logNormal: (average, sigma) => {
      // Box and Muller; 1 - next() is never 0.
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      return average * Math.exp(sigma * normal - (sigma * sigma) / 2);
    },
    hex: (digits) => {
      let text = "";
      while (text.length < digits) text += Math.floor(next() * 16).toString(16);
      return text;
    },
  };
}
