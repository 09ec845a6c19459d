/** A shell on a terminal, in which Tab completes the command lines of `bobbin`. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinPath } from "./cli.ts";
import { tempDir } from "./temp_dir.ts";
import { until } from "./until.ts";

export type Shell = "bash" | "zsh" | "zsh, sourced" | "fish";

interface ShellFiles {
  /** Where an administrator puts what `bobbin generate completion` prints. */
  readonly completion: string;
  /** Other files, with their text. */
  readonly others?: Readonly<Record<string, string>>;
  readonly argv: readonly ["bash" | "zsh" | "fish", ...string[]];
}

const PROMPT = "READY> ";

const SHELLS: Readonly<Record<Shell, ShellFiles>> = {
  bash: {
    completion: "bobbin.bash",
    others: { bashrc: `PS1='${PROMPT}'; bind 'set bell-style none'; . ./bobbin.bash\n` },
    argv: ["bash", "--noprofile", "--rcfile", "bashrc", "-i"],
  },
  zsh: {
    completion: "functions/_bobbin",
    others: {
      ".zshrc": `PS1='${PROMPT}'; fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u\n`,
    },
    argv: ["zsh", "-d", "-i"],
  },
  "zsh, sourced": {
    completion: "bobbin.zsh",
    others: { ".zshrc": `PS1='${PROMPT}'; autoload -Uz compinit; compinit -u; . ~/bobbin.zsh\n` },
    argv: ["zsh", "-d", "-i"],
  },
  fish: {
    completion: ".config/fish/completions/bobbin.fish",
    others: {
      ".config/fish/config.fish": `
function fish_prompt; echo -n '${PROMPT}'; end
set -g fish_greeting
`,
    },
    argv: ["fish", "-i"],
  },
};

/** The program of a shell, which `bobbin generate completion` knows by this name. */
export const programOf = (shell: Shell) => SHELLS[shell].argv[0];

export interface TabShell {
  /** Types a line in which `\t` is the Tab key, and Enter; gives the arguments that bobbin got. */
  run(line: string): Promise<readonly string[]>;
  /** Types the start of a line and Tab until `text` is shown; then the line is given up. */
  shows(line: string, text: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts a shell whose `bobbin` completes as the built one and else tells its arguments. */
export async function tabShell(shell: Shell): Promise<TabShell> {
  const { completion, others = {}, argv } = SHELLS[shell];
  const home = tempDir(argv[0]);
  const put = (path: string, text: string): void => {
    mkdirSync(join(home, path, ".."), { recursive: true });
    writeFileSync(join(home, path), text);
  };
  put(completion, (await bobbin(["generate", "completion", argv[0]])).stdout);
  for (const [path, text] of Object.entries(others)) put(path, text);
  put(
    "bin/bobbin",
    `#!/bin/sh
if [ "$1" = generate ]; then exec '${bobbinPath()}' "$@"; fi
for word; do printf '<%s>' "$word"; done
echo 'END'
`,
  );
  chmodSync(join(home, "bin/bobbin"), 0o755);
  let shown = "";
  const child = Bun.spawn([...argv], {
    cwd: home,
    env: {
      ...{ HOME: home, TERM: "xterm", LC_ALL: "C.UTF-8", ZDOTDIR: home },
      ...{ PATH: `${home}/bin:${process.env["PATH"]}`, TMPDIR: process.env["TMPDIR"] ?? "/tmp" },
    },
    terminal: {
      ...{ cols: 200, rows: 50 },
      data: (_, data) => {
        shown += Buffer.from(data).toString();
      },
    },
  });
  const type = (keys: string): void => {
    shown = "";
    child.terminal?.write(keys);
  };
  const seen = (what: string, pattern: RegExp) =>
    until(`${what} in ${JSON.stringify(shown)}`, () => pattern.exec(shown) ?? undefined);
  await seen("the prompt", /READY> /);
  return {
    run: async (line) => {
      type(`${line}\r`);
      const [, words = ""] = await seen(line, /((?:<[^<>\r\n]*>)+)END/);
      await seen("the prompt", /END.*READY> /s);
      return [...words.matchAll(/<([^<>]*)>/g)].map(([, word]) => word ?? "");
    },
    shows: async (line, text) => {
      type(`${line}\t\t`);
      await until(`${text} after ${line}`, () => shown.includes(text) || undefined);
      type("\x15\r"); // the line is removed
      await seen("the prompt", /READY> /);
    },
    close: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
