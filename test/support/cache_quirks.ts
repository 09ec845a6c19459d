/** What Cyrus 3.6.1 wrote for odd messages (test/fixtures/cache). One character a byte. */
import { readFileSync } from "node:fs";
import { fixturePath } from "./fixtures.ts";

export interface Quirk {
  readonly name: string;
  readonly given: string;
  readonly text: string;
}

export function quirks(kind: "structure" | "envelope" | "search"): readonly Quirk[] {
  return JSON.parse(readFileSync(fixturePath("cache/quirks-3.6.json"), "utf8"))[kind];
}
