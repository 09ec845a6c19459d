/**
 * Something costly to read that others change meanwhile: a walk over a spool, the list of all mailboxes of
 * a server. It is read again when it is asked for, but never for more than a twentieth of the time.
 */

export interface Current<Value> {
  /** The value, at most some twenty times as old as it took to read it. */
  get(): Promise<Value>;
  /** The value as of now. */
  fresh(): Promise<Value>;
}

/** Reading may take this share of the time, and values are no older than its inverse times their cost. */
const SHARE = 1 / 20;
/** What takes less than this is read each time. */
const CHEAP_MS = 20;

/** Reads with `read`. Where `isStill` says that a value is what would be read again, it is kept. */
export function currentOf<Value>(
  read: () => Value | Promise<Value>,
  isStill: (value: Value) => boolean = () => false,
): Current<Value> {
  let last: { readonly value: Value; readonly costMs: number; readonly atMs: number } | undefined;
  let reading: Promise<Value> | undefined;
  const fresh = () => {
    reading ??= (async () => {
      const started = performance.now();
      try {
        const value = await read();
        const atMs = performance.now();
        last = { value, costMs: atMs - started, atMs };
        return value;
      } finally {
        reading = undefined;
      }
    })();
    return reading;
  };
  return {
    fresh,
    get: async () => {
      if (last !== undefined) {
        const isYoung = performance.now() - last.atMs < last.costMs / SHARE;
        if ((isYoung && last.costMs > CHEAP_MS) || isStill(last.value)) return last.value;
      }
      return fresh();
    },
  };
}
