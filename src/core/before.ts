/** Waiting for something no longer than until a signal comes. */

/** What `work` gives, or a throw of the signal's reason as soon as that comes; what is given later goes to `late`. */
export async function before<Value>(
  work: Promise<Value>,
  signal: AbortSignal | undefined,
  late?: (value: Value) => void,
): Promise<Value> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } catch (error) {
    // Whoever waited is told of the signal; how the work itself ends is of no interest any more.
    work.then(late, () => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
