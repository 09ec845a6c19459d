/** Prints sections of the manual for a terminal, in 80 columns. */
import type { Command } from "commander";
import { helpColumns, wrap } from "../text.ts";
import { allCommands, commandSections, type Section, TOPICS } from "./sections.ts";

/** The longest term that has its text beside it. */
const TERM_COLUMNS = 21;
const INDENT = "  ";

/** The text of sections, with a blank line between them. */
export function helpText(sections: readonly Section[], columns: number): string {
  return sections.map((section) => sectionText(section, columns)).join("\n");
}

function sectionText({ title, paragraphs = [], rows = [], areExamples }: Section, columns: number) {
  const width = columns - INDENT.length;
  const isStacked = rows.some(([term]) => term.length > TERM_COLUMNS);
  const longest = rows.reduce((most, [term]) => Math.max(most, term.length), 0);
  const blocks = [
    ...paragraphs.map((text) => indented(wrap(text, width), INDENT)),
    ...rows.map(([term, text]) => {
      if (isStacked) {
        const lines = areExamples ? shellLines(term, width) : wrap(term, width);
        const below = indented(wrap(text, width - 4), `${INDENT}    `);
        return `${indented(lines, INDENT)}${below}`;
      }
      const [first = "", ...more] = wrap(text, width - longest - 2);
      const under = indented(more, " ".repeat(INDENT.length + longest + 2));
      return `${INDENT}${term.padEnd(longest)}  ${first}\n${under}`;
    }),
  ];
  return `${title}:\n${blocks.join("")}`;
}

/** A command line in lines that a shell takes as one. */
function shellLines(line: string, width: number): string[] {
  const lines = wrap(line, width - 6);
  return lines.map((part, at) => {
    return `${at === 0 ? "" : "    "}${part}${at === lines.length - 1 ? "" : " \\"}`;
  });
}

function indented(lines: readonly string[], indent: string): string {
  return lines.map((line) => `${indent}${line}\n`).join("");
}

/** Adds to the help of each command what the manual has of it. */
export function addManual(program: Command): void {
  const columns = helpColumns(process.stdout);
  program.addHelpText("after", `\n${helpText([topicsSection()], columns)}`);
  for (const command of allCommands(program)) {
    if (command.description() === "") command.description(`${capital(command.summary())}.`);
    const sections = commandSections(command);
    if (sections.length > 0) command.addHelpText("after", `\n${helpText(sections, columns)}`);
  }
}

/** What `bobbin help` takes beside the name of a command. */
function topicsSection(): Section {
  return {
    title: "More help",
    paragraphs: [`bobbin help COMMAND, a code like MS04, or ${Object.keys(TOPICS).join(", ")}`],
  };
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
