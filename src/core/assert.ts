/** A broken promise inside Bobbin: never the fault of input. Ends the run with exit code 70. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** States what must hold here whatever the input was; always on. */
export function assert(condition: unknown, text: string): asserts condition {
  if (!condition) throw new BugError(text);
}

/** Ends a switch over a union: the compiler proves that no variant is left. */
export function unreachable(value: never): never {
  throw new BugError(`unreachable value: ${String(value)}`);
}
