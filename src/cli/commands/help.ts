/** `bobbin help [COMMAND|TOPIC|CODE]`: the manual in parts. */
import type { Command } from "commander";
import { AppError } from "../../core/errors.ts";
import type { Code } from "../../fsck/codes.ts";
import { type Handler, pathOf, type Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type Output, refuseJson } from "../output.ts";
import { similarName } from "../similar_names.ts";
import { helpColumns } from "../text.ts";

export const registerHelp: Register = (program, handle) => {
  program
    .command("help")
    .summary("explain commands, options, findings and exit codes")
    .description(
      "Prints the manual of a command (store init), of a finding's code (MS04), or of a topic: " +
        "places, codes, exit, json, environment.",
    )
    .argument("[topic...]", "a command, a code, or a topic")
    .action(handle(helpOn(program)));
};

const helpOn =
  (program: Command): Handler =>
  async (args, _options, { output }) => {
    refuseJson(output, "help");
    await printHelp((args[0] ?? []) as readonly string[], { program, output });
    return { exit: EXIT.ok };
  };

async function printHelp(
  words: readonly string[],
  { program, output }: { readonly program: Command; readonly output: Output },
): Promise<void> {
  const { CODE_HELP } = await import("../manual/code_help.ts");
  const { helpText } = await import("../manual/help_text.ts");
  const { TOPICS, allCommands, codeSections } = await import("../manual/sections.ts");
  const commands = allCommands(program);
  const wanted = words.join(" ");
  const command = commands.find((one) => pathOf(one) === wanted);
  if (command !== undefined) return command.outputHelp();
  const code = wanted.toUpperCase();
  const sections = Object.hasOwn(CODE_HELP, code)
    ? codeSections(code as Code)
    : TOPICS[wanted.toLowerCase()];
  if (sections !== undefined) {
    output.bytes(Buffer.from(helpText(sections, helpColumns(process.stdout))));
    return;
  }
  const names = [...commands.map(pathOf), ...Object.keys(TOPICS), ...Object.keys(CODE_HELP)];
  const near = similarName(wanted, names);
  throw new AppError("usage", `There is no help on ${wanted}`, {
    hint:
      near === undefined
        ? `Topics: ${Object.keys(TOPICS).join(", ")}; \`bobbin help\` lists the commands`
        : `Is ${near} meant?`,
  });
}
