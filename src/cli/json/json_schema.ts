/** The JSON Schema (2020-12) of the lines of `--json`, for `bobbin generate json-schema`. */
import { z } from "zod";
import { LINES } from "./lines.ts";
import { summary } from "./summaries.ts";

/** Any line. */
export const anyLine = z.union([...LINES, summary]).meta({ title: "A line of `bobbin --json`" });

/** The schema of a line as text. */
export function jsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(anyLine), undefined, 2)}\n`;
}
