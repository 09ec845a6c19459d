/** Memory that is free again before it is needed, where much garbage comes in little time. */

/**
 * Gives a function that is told how much garbage has come, in a unit of the caller's, and collects
 * it each time when it is `most`. Left alone the heap grows to twice what lives in it, and the
 * collector sees little of what lies outside of it. A collection takes about 50 ms.
 */
export function collectEvery(most: number): (more: number) => void {
  let come = 0;
  return (more) => {
    come += more;
    if (come < most) return;
    come = 0;
    Bun.gc(true);
  };
}
