/**
 * Keeps a value that is costly to read and that others change, such as the list of all mailboxes of
 * a server. The value is read again when it is asked for, but reading never takes more than a
 * twentieth of the time.
 */

export interface Current<Value> {
  /** The value, which is at most twenty times as old as reading it took. */
  get(): Promise<Value>;
  /** The value, read now. */
  fresh(): Promise<Value>;
}

export interface CurrentOptions<Value> {
  /** True for a value that reading again would only give once more. Never true if left out. */
  readonly isStill?: (value: Value) => boolean;
  /** A clock in milliseconds; the machine's if not given. */
  readonly now?: () => number;
}

/**
 * Reading takes at most this share of the time: a value is kept for as long as it took to read,
 * divided by this.
 */
const SHARE = 1 / 20;
/** A value that takes less time than this to read is read each time. */
const CHEAP_MS = 20;

/** Keeps the value that `read` gives, and reads it again when it may be outdated. */
export function currentOf<Value>(
  read: () => Value | Promise<Value>,
  { isStill = () => false, now = () => performance.now() }: CurrentOptions<Value> = {},
): Current<Value> {
  let last: { readonly value: Value; readonly costMs: number; readonly atMs: number } | undefined;
  let reading: Promise<Value> | undefined;
  const fresh = () => {
    reading ??= (async () => {
      const started = now();
      try {
        const value = await read();
        const atMs = now();
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
        const isYoung = now() - last.atMs < last.costMs / SHARE;
        if ((isYoung && last.costMs > CHEAP_MS) || isStill(last.value)) return last.value;
      }
      return fresh();
    },
  };
}
