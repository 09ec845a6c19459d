/** Help, man page and tables agree with the tree of commands, whatever is added to it. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Glob } from "bun";
import type { Command } from "commander";
import { pathOf } from "../../../src/cli/command.ts";
import { EXIT } from "../../../src/cli/exit.ts";
import { CODE_HELP } from "../../../src/cli/manual/code_help.ts";
import { NOTES } from "../../../src/cli/manual/command_notes.ts";
import { VARIABLES } from "../../../src/cli/manual/environment.ts";
import { EXIT_MEANINGS } from "../../../src/cli/manual/exit_codes.ts";
import { helpText } from "../../../src/cli/manual/help_text.ts";
import { PLACE_KINDS } from "../../../src/cli/manual/place_kinds.ts";
import {
  allCommands,
  codeSections,
  type Section,
  TOPICS,
} from "../../../src/cli/manual/sections.ts";
import { openWritablePlace } from "../../../src/cli/open_place.ts";
import { processOutput } from "../../../src/cli/output.ts";
import { programOf } from "../../../src/cli/run_command.ts";
import { CODES, type Code } from "../../../src/fsck/codes.ts";
import { parseSyncAddress } from "../../../src/places/sync_address.ts";
import { bobbin } from "../../support/cli.ts";
import { has } from "../../support/needs.ts";
import { tempDir } from "../../support/temp_dir.ts";

const QUIET = processOutput({ json: false, loudness: "errors", progress: false });

const program = programOf(() => async () => undefined, QUIET);
const [, ...commands] = allCommands(program);
const paths = commands.map(pathOf);

/** A command line as the words of its `bobbin`, without what a shell takes for itself. */
function wordsOf(line: string): readonly string[] {
  const [ours = ""] = line.split(/ [|>] /).filter((part) => part.startsWith("bobbin "));
  const words = ours.match(/'[^']*'|\S+/g) ?? [];
  return words.slice(1).map((word) => word.replace(/^'(.*)'$/, "$1"));
}

/** The command that a line of words runs; commander refuses wrong options and values. */
async function commandOf(words: readonly string[]): Promise<string> {
  let ran: Command | undefined;
  const tree = programOf(
    () =>
      async (...args) => {
        ran = args.at(-1);
      },
    QUIET,
  );
  await tree.parseAsync(words, { from: "user" });
  return ran === undefined ? "" : pathOf(ran);
}

describe("the table of commands", () => {
  test("has notes on every command and on no other, with two or three examples each", () => {
    expect(Object.keys(NOTES).toSorted()).toEqual(paths.toSorted());
    for (const [path, { examples }] of Object.entries(NOTES)) {
      expect([path, examples.length >= 2 && examples.length <= 3]).toEqual([path, true]);
    }
  });

  test("has examples that are command lines of theirs or of a command beside them", async () => {
    for (const [path, { examples }] of Object.entries(NOTES)) {
      const ran: string[] = [];
      for (const { line } of examples) ran.push(await commandOf(wordsOf(line)));
      expect(ran.filter((one) => !paths.includes(one))).toEqual([]);
      expect(ran.some((one) => one.startsWith(path))).toBe(true);
    }
  });

  test("names commands and topics to see also that are there", () => {
    const known = [...paths, ...Object.keys(TOPICS)];
    const named = Object.values(NOTES).flatMap(({ seeAlso }) => seeAlso);
    expect(named.filter((one) => !known.includes(one))).toEqual([]);
  });
});

describe("the tables of the manual", () => {
  test("explain every finding of the catalogue, in sentences", () => {
    expect(Object.keys(CODE_HELP)).toEqual(Object.keys(CODES));
    const texts = Object.values(CODE_HELP).flatMap(({ means, advice }) => [means, advice]);
    expect(texts.filter((text) => !/^[A-Za-z`].*\.$/.test(text))).toEqual([]);
  });

  test("explain every exit code", () => {
    expect(Object.keys(EXIT_MEANINGS)).toEqual(Object.keys(EXIT));
  });

  test("name what Bobbin reads of the environment, all of it and nothing else", () => {
    const sources = [...new Glob("src/**/*.ts").scanSync()].filter((path) => !/manual/.test(path));
    const text = sources.map((path) => readFileSync(path, "utf8")).join("\n");
    const read = [...text.matchAll(/process\.env\["(\w+)"\]/g)].map(([, name]) => name ?? "");
    expect(read.filter((name) => !(name in VARIABLES))).toEqual([]);
    const unread = Object.keys(VARIABLES).filter((name) => !new RegExp(`\\b${name}\\b`).test(text));
    expect(unread).toEqual([]);
  });

  test("name the places with the ports that they have, and what can be written", async () => {
    for (const { kind, examples, port, written } of PLACE_KINDS) {
      const [first = "", second = first] = examples;
      if (kind === "sync")
        expect([first, parseSyncAddress(first).port]).toEqual([first, port ?? 0]);
      if (kind === "sync") expect(parseSyncAddress(second).port).toBe(port ?? 0);
      if (written !== undefined) continue;
      const place = openWritablePlace(`${kind}:${tempDir("kind")}`, {
        ...{ output: QUIET, workerUrl: new URL(import.meta.url), internalNames: false },
      });
      await expect(place).rejects.toThrow(`a ${kind} place is only read`);
    }
  });
});

describe("bobbin help", () => {
  test("is what --help prints, with every option, in 80 columns", async () => {
    for (const command of commands) {
      const words = pathOf(command).split(" ");
      const help = await bobbin(["help", ...words]);
      const option = await bobbin([...words, "--help"]);
      expect({ words, ...help, peakBytes: 0 }).toEqual({ words, ...option, peakBytes: 0 });
      expect(help.exit).toBe(0);
      for (const { flags } of command.options) expect(help.stdout).toContain(flags);
      for (const { line } of NOTES[pathOf(command)]?.examples ?? []) {
        expect(help.stdout.replaceAll(/ \\\n +/g, " ")).toContain(`  ${line}\n`);
      }
      expect(help.stdout.split("\n").filter((one) => Bun.stringWidth(one) > 80)).toEqual([]);
    }
  }, 120_000);

  test("explains topics and codes in 80 columns", () => {
    const codes = Object.keys(CODES).map((code) => codeSections(code as Code));
    const texts = [...Object.values(TOPICS), ...codes].map((one: readonly Section[]) => {
      return helpText(one, 80);
    });
    const lines = texts.flatMap((text) => text.split("\n"));
    expect(lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
  });

  test("takes a code in any case, and offers the nearest word for one that is none", async () => {
    const code = await bobbin(["help", "ms04"]);
    expect(code.stdout).toContain(CODE_HELP.MS04.means.slice(0, 40));
    const wrong = await bobbin(["help", "replicte"]);
    expect(wrong).toMatchObject({ exit: 64, stdout: "" });
    expect(wrong.stderr).toContain("Is replicate meant?");
    expect((await bobbin(["help", "nothing-like-it"])).stderr).toContain("Topics: places, codes");
  });

  test("refuses --json, as a script could not read it", async () => {
    const { exit, stdout } = await bobbin(["--json", "help", "exit"]);
    expect(exit).toBe(64);
    expect(stdout).toContain('"type":"error"');
  });

  test("-V is --version", async () => {
    expect((await bobbin(["-V"])).stdout).toBe((await bobbin(["--version"])).stdout);
    expect((await bobbin(["ls", "-V"])).stdout).toBe((await bobbin(["--version"])).stdout);
  });
});

describe("bobbin generate man", () => {
  test("has every command, option, code and variable", async () => {
    const { stdout, exit } = await bobbin(["generate", "man"]);
    expect(exit).toBe(0);
    // The date is that of the version, so that the page is the same whenever it is built.
    const { version, releaseDate } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(new Date(releaseDate).toISOString().slice(0, 10)).toBe(releaseDate);
    expect(stdout).toStartWith(`.TH BOBBIN 1 "${releaseDate}" "bobbin ${version}"`);
    const plain = stdout.replaceAll("\\-", "-").replaceAll("\\(dq", '"');
    const options = commands.flatMap((command) => command.options.map(({ flags }) => flags));
    for (const flags of options) expect(plain).toContain(`.B ${flags}\n`);
    for (const path of paths) expect(plain).toContain(`.SS ${path}\n`);
    for (const term of [...Object.keys(CODES), ...Object.keys(VARIABLES)]) {
      expect(plain).toContain(`.TP\n.B ${term}\n`);
    }
    expect(plain).toMatch(/^[\x20-\x7e\n]*$/);
  });

  test.skipIf(!has("man"))("is read by man without a warning", async () => {
    const page = `${tempDir("man")}/bobbin.1`;
    await Bun.write(page, (await bobbin(["generate", "man"])).stdout);
    const env = { ...process.env, MANWIDTH: "80", LC_ALL: "C.UTF-8" };
    const man = Bun.spawnSync(["man", "-l", "--warnings", page], { env });
    expect(man.stderr.toString()).toBe("");
    expect(man.stdout.toString()).toContain("bobbin store reconstruct");
  });

  test.skipIf(!has("mandoc"))("has nothing that mandoc finds", async () => {
    const page = `${tempDir("man")}/bobbin.1`;
    await Bun.write(page, (await bobbin(["generate", "man"])).stdout);
    const lint = Bun.spawnSync(["mandoc", "-T", "lint", "-W", "warning", page]);
    expect(lint.stdout.toString()).toBe("");
  });
});
