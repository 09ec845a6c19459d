/** Awaiting work until an AbortSignal fires. */

/** What `work` gives, or the signal's reason as a throw; a result after that goes to `late`. */
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
    // The caller has been told of the signal; how the work itself ends does not matter any more.
    work.then(late, () => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
