/** `bobbin generate man|completion|json-schema|systemd`: what goes beside the executable. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { AppError } from "../../core/errors.ts";
import type { Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { refuseJson } from "../output.ts";

export const registerGenerate: Register = (program, handle) => {
  const generate = program
    .command("generate")
    .summary("print the man page, completions, the JSON schema, a unit for systemd")
    .description("Prints files that you can install beside the executable.");
  generate
    .command("man")
    .summary("print the manual as one page, for man(1)")
    .action(handle(man(program)));
  generate
    .command("completion")
    .summary("print a script for your shell, so that Tab completes commands and names")
    .addArgument(generate.createArgument("<shell>").choices(["bash", "zsh", "fish"]))
    .action(handle(completion));
  generate
    .command("json-schema")
    .summary("print the JSON Schema of the lines of --json")
    .action(handle(schema));
  generate
    .command("systemd")
    .summary("print a unit for `bobbin serve`, with as few rights as possible")
    .option("--store <folder>", "the store that it serves", "/var/lib/bobbin")
    .option("--user <user>", "the user as whom it runs", "bobbin")
    .option("--listen <address:port>", "where it listens", ":2005")
    .action(handle(systemd));
  generate
    .command("complete", { hidden: true })
    .summary("what may come next on a command line: completion scripts ask for it")
    .argument("<words...>", "the command line; before the last word stands a colon")
    .action(handle(candidates(program)));
};

/** Prints what `make` gives. */
function printing(make: (...given: Parameters<Handler>) => Promise<string>): Handler {
  return async (args, options, env) => {
    refuseJson(env.output, "this");
    env.output.bytes(Buffer.from(await make(args, options, env)));
    return { exit: EXIT.ok };
  };
}

const man = (program: Command): Handler =>
  printing(async () => (await import("../manual/man_page.ts")).manPage(program));

const completion = printing(async ([shell]) => {
  const { SHELL_SCRIPTS } = await import("../manual/shell_scripts.ts");
  return SHELL_SCRIPTS[shell as keyof typeof SHELL_SCRIPTS]; // commander knows its choices
});

const schema = printing(async () => (await import("../json/json_schema.ts")).jsonSchema());

const systemd = printing(async (_, options, { output }) => {
  const given = options as { readonly store: string; readonly user: string; listen: string };
  const store = resolve(given.store.replace(/^store:/, ""));
  const binary = process.execPath;
  if (/^\/(home|root|tmp)\//.test(binary)) {
    output.talk(`The service cannot see ${binary}: copy it to /usr/local/bin and generate again`);
  }
  if (/[\x00-\x1f]/.test(`${store}${given.user}${given.listen}`)) {
    throw new AppError("usage", "A unit cannot have control characters in a path or name");
  }
  const { systemdUnit } = await import("../manual/systemd_unit.ts");
  return systemdUnit({ ...given, binary, store });
});

const candidates = (program: Command): Handler =>
  printing(async ([given], _, env) => {
    const { complete } = await import("../manual/complete.ts");
    const words = given as readonly string[];
    const last = words.at(-1)?.slice(1) ?? "";
    const found = await complete([...words.slice(0, -1), last], { program, env });
    const lines = found.map(({ word, tells = "" }) => `${word}\t${tells.replace(/\s+/g, " ")}\n`);
    // A name with a control character cannot be shown, and a line end in it would be two names.
    return lines.filter((line) => !/[\x00-\x08\x0b-\x1f\x7f]|\n./.test(line)).join("");
  });
