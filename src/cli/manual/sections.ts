/**
 * The manual as data: sections of paragraphs and of rows. `help_text.ts` prints them for a
 * terminal, `man_page.ts` for man(1).
 */

import type { Command } from "commander";
import { CODES, type Code } from "../../fsck/codes.ts";
import { pathOf } from "../command.ts";
import { EXIT } from "../exit.ts";
import { CODE_HELP } from "./code_help.ts";
import { NOTES } from "./command_notes.ts";
import { FILES, RUNTIME_VARIABLES, SIGNALS, VARIABLES } from "./environment.ts";
import { ALWAYS, EXIT_MEANINGS, type ExitName, SIGNAL_EXITS } from "./exit_codes.ts";
import { JSON_LINES, JSON_NOTES } from "./json_lines.ts";
import type { CommandNotes } from "./notes.ts";
import { PLACE_KINDS, PLACE_NOTES } from "./place_kinds.ts";

export interface Section {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  /** A term, and what it is. Terms of examples are command lines. */
  readonly rows?: readonly (readonly [string, string])[];
  readonly areExamples?: boolean;
}

/** What `bobbin help TOPIC` tells beside commands and codes. */
export const TOPICS: Readonly<Record<string, readonly Section[]>> = {
  places: [
    {
      title: "Places",
      rows: PLACE_KINDS.map(({ examples, port, is, written }) => [
        examples.join(", "),
        `${sentence(is)}${port === undefined ? "" : ` Port ${port}.`} ` +
          `Written: ${written ?? "never"}.`,
      ]),
    },
    { title: "How to name them", paragraphs: PLACE_NOTES },
  ],
  codes: [
    {
      title: "Findings",
      paragraphs: [
        "`bobbin help CODE` says what one means and what to do.",
        "critical: mail or its identity is at risk. error: derived data is wrong. warning: it " +
          "should be put right. info: worth knowing, and leaves the exit code 0. --min-severity " +
          "sets what counts.",
      ],
      rows: Object.entries(CODES).map(([code, { severity, title }]) => [
        code,
        `${severity}: ${title}`,
      ]),
    },
  ],
  exit: [
    {
      title: "Exit codes",
      paragraphs: [
        "Of several the first of 70, 74, 77, 2, 1, 3, 0 is given. An error on stderr never goes " +
          "with 0.",
      ],
      rows: [
        ...exitNames().map((name) => meaningRow(EXIT[name], EXIT_MEANINGS[name])),
        ...Object.entries(SIGNAL_EXITS).map(([code, row]) => meaningRow(Number(code), row)),
      ],
    },
  ],
  json: [{ title: "JSON lines", paragraphs: JSON_NOTES, rows: Object.entries(JSON_LINES) }],
  environment: [
    { title: "Environment", rows: Object.entries({ ...VARIABLES, ...RUNTIME_VARIABLES }) },
    { title: "Files", rows: FILES.map(({ path, is }) => [path, is]) },
    { title: "Signals", rows: Object.entries(SIGNALS) },
  ],
};

/** The sections of a finding's code. */
export function codeSections(code: Code): readonly Section[] {
  const { title, severity } = CODES[code];
  const { means, advice } = CODE_HELP[code];
  return [
    {
      title: code,
      rows: [
        ["Finding", title],
        ["Severity", severity],
        ["Meaning", means],
        ["What to do", advice],
      ],
    },
  ];
}

/** What the manual adds to the options of a command; nothing for the program itself. */
export function commandSections(command: Command): readonly Section[] {
  const notes = NOTES[pathOf(command)];
  if (notes === undefined) return [];
  const { examples, environment, seeAlso } = notes;
  const sections: Section[] = [
    {
      title: "Examples",
      areExamples: true,
      rows: examples.map(({ line, does }) => [line, sentence(does)]),
    },
    { title: "Exit codes", rows: exitRows(notes) },
    { title: "Environment", rows: environment.map((name) => [name, VARIABLES[name]]) },
    {
      title: "See also",
      paragraphs:
        seeAlso.length === 0 ? [] : [seeAlso.map((one) => `bobbin help ${one}`).join(", ")],
    },
  ];
  return sections.filter(({ rows = [], paragraphs = [] }) => rows.length + paragraphs.length > 0);
}

/** A command and all below it, in the order of the help. */
export function allCommands(command: Command): readonly Command[] {
  return [command, ...command.createHelp().visibleCommands(command).flatMap(allCommands)];
}

function exitRows({ exits }: CommandNotes): readonly (readonly [string, string])[] {
  return exitNames()
    .filter((name) => name in exits || ALWAYS.includes(name))
    .map((name) => [String(EXIT[name]), exits[name] || EXIT_MEANINGS[name].means]);
}

function exitNames(): readonly ExitName[] {
  return Object.keys(EXIT) as ExitName[]; // it has no other keys
}

function meaningRow(
  code: number,
  { means, advice }: { readonly means: string; readonly advice: string },
): readonly [string, string] {
  return [String(code), `${sentence(means)} ${advice}`.trim()];
}

/** `text` with a capital letter and a full stop. */
function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
