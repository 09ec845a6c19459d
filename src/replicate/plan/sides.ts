/** The two sides of a run: A is read, or written too where both are; B is written. */
export type Side = "a" | "b";

/** One of each side. */
export interface Both<Value> {
  readonly a: Value;
  readonly b: Value;
}

export const SIDES = ["a", "b"] as const;

export const OTHER_SIDE = { a: "b", b: "a" } as const;

/** As a person calls it. */
export function nameOf(side: Side): "A" | "B" {
  return side === "a" ? "A" : "B";
}
