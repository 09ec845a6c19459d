/** Holds each run of the binary to the exit codes that the manual names of its command. */
import { EXIT } from "../../src/cli/exit.ts";
import { NOTES } from "../../src/cli/manual/command_notes.ts";
import { ALWAYS, type ExitName } from "../../src/cli/manual/exit_codes.ts";

/** From here on it was a signal. */
const SIGNALS = 128;

/** Throws where `bobbin help COMMAND` does not name `exit`, with which these arguments ended. */
export function requireDeclared(exit: number, args: readonly string[]): void {
  const [first = "", second = ""] = args.filter((word) => !word.startsWith("-"));
  const path = `${first} ${second}` in NOTES ? `${first} ${second}` : first;
  const notes = NOTES[path];
  if (notes === undefined || exit >= SIGNALS) return;
  const names = [...ALWAYS, ...(Object.keys(notes.exits) as ExitName[])];
  if (names.some((name) => EXIT[name] === exit)) return;
  throw new Error(`${path} ended with ${exit}, which NOTES["${path}"].exits does not name`);
}
