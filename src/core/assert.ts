/** A bug in Bobbin, which no input can be the cause of. The run ends with exit code 70. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** Throws BugError unless `condition` holds. It is checked in every build. */
export function assert(condition: unknown, text: string): asserts condition {
  if (!condition) throw new BugError(text);
}

/** Ends a switch over a union; the compiler proves that every variant was handled before. */
export function unreachable(value: never): never {
  throw new BugError(`unreachable value: ${String(value)}`);
}
