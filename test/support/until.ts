/**
 * Waiting for what another process, thread or socket does: a condition and a deadline, no pauses.
 */

interface UntilOptions {
  readonly withinMs?: number;
  readonly everyMs?: number;
}

/**
 * What `check` gives as soon as that is not false and not undefined. Throws, with `what` was waited
 * for, when it is not so in time: 30 seconds, which only a failure ever takes.
 */
export async function until<T>(
  what: string,
  check: () => T | false | undefined | Promise<T | false | undefined>,
  { withinMs = 30_000, everyMs = 2 }: UntilOptions = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await check();
    if (found !== false && found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await Bun.sleep(everyMs);
  }
}
