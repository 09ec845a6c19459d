/** Lists of any length. */

/** Appends `more`. `list.push(...more)` fails with a RangeError at some hundred thousand. */
export function pushAll<Item>(list: Item[], more: Iterable<Item>): void {
  for (const one of more) list.push(one);
}

/** The same values for whoever waits for each. */
export async function* asAsync<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}
