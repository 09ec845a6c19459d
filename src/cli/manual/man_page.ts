/** Prints the whole manual as one page for man(1), in the macros of man(7). */
import { type Command, Help } from "commander";
import { pathOf } from "../command.ts";
import { RELEASE_DATE, VERSION } from "../version.ts";
import { allCommands, commandSections, type Section, TOPICS } from "./sections.ts";

/** The page as roff, in ASCII. */
export function manPage(program: Command): string {
  const [, ...commands] = allCommands(program);
  return [
    `.TH BOBBIN 1 "${RELEASE_DATE}" "bobbin ${VERSION}" "User Commands"`,
    ".SH NAME",
    `bobbin \\- ${roff(lowerFirst(program.description()))}`,
    ".SH SYNOPSIS",
    ".B bobbin",
    "[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]",
    ".SH DESCRIPTION",
    ...paragraphs(DESCRIPTION).slice(1),
    ".SH COMMANDS",
    ...commands.flatMap(commandPart),
    ".SH GLOBAL OPTIONS",
    ...optionRows(program),
    ...Object.values(TOPICS).flatMap((sections) => sections.flatMap((one) => section(one, "SH"))),
    ".SH SEE ALSO",
    ".BR imapd.conf (5),",
    ".BR sync_client (8),",
    ".BR systemd.service (5)",
    "",
  ].join("\n");
}

const DESCRIPTION = [
  "Bobbin is one executable for people who run mail servers. It checks, copies, compares, " +
    "backs up, restores and serves the mail of Cyrus, with no Cyrus or Perl beside it.",
  "Most commands work on a PLACE, which holds users' mail: a Cyrus server or spool on this " +
    "machine, Bobbin's own store, a sync server over the network, a backup, or a dump.",
];

function commandPart(command: Command): string[] {
  const isGroup = command.registeredArguments.length === 0 && command.commands.length > 0;
  return [
    `.SS ${roff(pathOf(command))}`,
    `.B bobbin ${roff(pathOf(command))}`,
    roff(isGroup ? "COMMAND" : command.usage()),
    ...paragraphs((command.description() || `${command.summary()}.`).split("\n\n")),
    ...command.registeredArguments.flatMap((one) => row(one.name(), one.description)),
    ...optionRows(command),
    ...commandSections(command)
      .filter(({ title }) => title !== "See also")
      .flatMap((one) => section(one, "command")),
  ];
}

function optionRows(command: Command): string[] {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .filter(({ long }) => long !== "--help" || command.parent === null)
    .flatMap((option) => row(option.flags, help.optionDescription(option)));
}

function section({ title, paragraphs: texts = [], rows = [] }: Section, level: "SH" | "command") {
  return [
    ...(level === "SH" ? [`.SH ${roff(title.toUpperCase())}`] : [".PP", `${roff(title)}:`]),
    ...paragraphs(texts).slice(level === "SH" ? 1 : 0),
    ...rows.flatMap(([term, text]) => row(term, text)),
  ];
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text) => [".PP", ...textLines(text)]);
}

function row(term: string, text: string): string[] {
  return [".TP", `.B ${roff(term)}`, ...textLines(text)];
}

/** Lines of text in the width that is usual in sources of man pages. */
function textLines(text: string): string[] {
  return new Help().boxWrap(text.replace(/\s+/g, " "), 72).split("\n").map(roff);
}

/** `text` with nothing in it that roff would take for its own. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("…", "...")
    .replace(/[^\x20-\x7e]/g, (char) => `\\[u${hex(char)}]`)
    .replaceAll('"', "\\(dq")
    .replace(/^['.]/, "\\&$&");
}

function hex(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}
