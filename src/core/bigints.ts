/** The larger of two 64-bit numbers, for which `Math.max` has no place. */
export function larger(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}
