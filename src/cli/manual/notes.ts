/** The form of what the manual says of a command, and what several commands share of it. */
import type { VariableName } from "./environment.ts";
import type { ExitName } from "./exit_codes.ts";

export interface Example {
  /** A command line, as it is typed. */
  readonly line: string;
  /** What it does: a sentence without a final period. */
  readonly does: string;
}

export interface CommandNotes {
  readonly examples: readonly Example[];
  /** What an exit code means for this command; "" is its meaning everywhere. */
  readonly exits: Readonly<Partial<Record<ExitName, string>>>;
  readonly environment: readonly VariableName[];
  /** Other commands and topics. */
  readonly seeAlso: readonly string[];
}

/** Where passwords come from. */
export const PASSWORD: readonly VariableName[] = ["BOBBIN_PASSWORD", "CREDENTIALS_DIRECTORY"];

/** With which a command can end that opens places, also over the network. */
export const OF_PLACES = {
  ...{ badData: "", notFound: "", unreachable: "", busy: "", protocol: "" },
  ...{ refused: "", config: "" },
} as const;
