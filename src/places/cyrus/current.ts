/**
 * Something costly to read that others change meanwhile: a walk over a spool, the list of all
 * mailboxes of a server. It is read again when it is asked for, but never for more than a twentieth
 * of the time.
 */

export interface Current<Value> {
  /** The value, at most some twenty times as old as it took to read it. */
  get(): Promise<Value>;
  /** The value as of now. */
  fresh(): Promise<Value>;
}

export interface CurrentOptions<Value> {
  /** Says that a value is what would be read again, whatever its age; never, if not given. */
  readonly isStill?: (value: Value) => boolean;
  /** A clock in milliseconds; the machine's if not given. */
  readonly now?: () => number;
}

/**
 * Reading may take this share of the time, and values are no older than its inverse times their
 * cost.
 */
const SHARE = 1 / 20;
/** What takes less than this is read each time. */
const CHEAP_MS = 20;

/** The value that `read` gives, read again when it may be outdated. */
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
