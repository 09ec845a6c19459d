/** Lists of any length. */

/**
 * Appends all of `more` to `list`. `list.push(...more)` passes each as an argument, and fails with
 * a RangeError at some hundred thousand of them.
 */
export function pushAll<Item>(list: Item[], more: Iterable<Item>): void {
  for (const one of more) list.push(one);
}
