/** The tables of the README that say what the manual says, made from the manual's own. */
import { EXIT } from "../../../src/cli/exit.ts";
import { FILES, SIGNALS, VARIABLES } from "../../../src/cli/manual/environment.ts";
import { EXIT_MEANINGS, type ExitName, SIGNAL_EXITS } from "../../../src/cli/manual/exit_codes.ts";
import { PLACE_KINDS } from "../../../src/cli/manual/place_kinds.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";

/** Head of a table -> its rows. */
export const MANUAL_TABLES: Readonly<Record<string, readonly string[]>> = {
  "| place | port | what it is | written |": PLACE_KINDS.map((kind) => {
    const { examples, port, is, written } = kind;
    return row([examples.map(code).join(", "), String(port ?? ""), is, written ?? "never"]);
  }),
  "| exit code | meaning | what to do |": [
    ...Object.entries(EXIT).map(([name, exit]) => {
      const { means, advice } = EXIT_MEANINGS[name as ExitName];
      return row([String(exit), means, advice]);
    }),
    ...Object.entries(SIGNAL_EXITS).map(([exit, { means, advice }]) => row([exit, means, advice])),
  ],
  "| variable | meaning |": Object.entries(VARIABLES).map(([name, is]) => row([code(name), is])),
  "| file | what it is |": FILES.map(({ path, is }) => row([code(path), is])),
  "| signal | what happens |": Object.entries(SIGNALS).map(([name, is]) => row([code(name), is])),
  "| limit | at most |": [
    row(["bytes of a message", number(DEFAULT_LIMITS.messageBytes)]),
    row(["messages of a mailbox", number(DEFAULT_LIMITS.indexRecords)]),
    row(["keywords of a mailbox", number(DEFAULT_LIMITS.userFlags)]),
    row(["levels of folders below a partition", number(DEFAULT_LIMITS.folderDepth)]),
    row(["connections of `serve`, from all addresses", number(DEFAULT_LIMITS.sessions)]),
    row(["connections of `serve`, from one address", number(DEFAULT_LIMITS.sessionsOfAddress)]),
    row(["findings of one code in one mailbox", number(DEFAULT_LIMITS.findingsPerCode)]),
  ],
};

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`.replaceAll("|  |", "| |");
}

function code(text: string): string {
  return `\`${text}\``;
}
