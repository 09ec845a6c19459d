/** Numbers of things, for people to read. */

/** `1234567` as `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString("en-US");
}

/** `1` as `1 message`, `2` as `2 messages`. */
export function plural(count: number, singular: string, many = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : many}`;
}
