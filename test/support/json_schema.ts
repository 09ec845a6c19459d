/** Holds the objects of `--json` to their schema. */
import { anyLine } from "../../src/cli/json/json_schema.ts";
import { LINES } from "../../src/cli/json/lines.ts";

type JsonLine = Readonly<Record<string, unknown>>;

/** Throws for a line that the schema does not take, unknown fields included. */
export function holdToSchema(lines: readonly JsonLine[]): void {
  for (const line of lines) {
    const { success } = anyLine.safeParse(line);
    if (!success) throw new Error(`The schema has no such line: ${whyNot(line)}`);
  }
}

/** Throws where a run that ended with `exit` has not told just one summary, as its last line. */
export function requireSummary(lines: readonly JsonLine[], exit: number): void {
  const summaries = lines.filter(({ type }) => type === "summary");
  const last = lines.at(-1);
  if (summaries.length === 1 && last === summaries[0] && last?.["exit"] === exit) return;
  throw new Error(`Not just one summary, last, with exit ${exit}: ${JSON.stringify(last)}`);
}

function whyNot(line: JsonLine): string {
  const reasons = LINES.flatMap((schema) => {
    const { data, error } = schema.safeParse(line);
    const isOther = data !== undefined || error?.issues.some(({ path }) => path[0] === "type");
    return isOther ? [] : [error?.issues.map(({ message, path }) => `${path}: ${message}`)];
  });
  return `${JSON.stringify(line)} ${JSON.stringify(reasons)}`;
}
