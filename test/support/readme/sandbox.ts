/** A machine of its own (`boot` says what it has), in which the commands of the README are run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { bobbinPath } from "../cli.ts";
import { until } from "../until.ts";

const BOOT = join(import.meta.dir, "boot");
const LAB = join(import.meta.dir, "..", "cyrus-lab", "lab");
const DAMAGED = join(import.meta.dir, "..", "..", "fixtures", "cyrus-spools", "damaged.tar.gz");

const APART = ["--mount", "--pid", "--net", "--uts", "--cgroup", "--ipc"];
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Sandbox {
  /**
   * Runs a script of bash on a terminal, as root, in the folder /root/bobbin; the first command
   * that fails ends it. `answer` gives what is typed after a prompt.
   */
  start(script: string, answer?: (prompt: string) => string): Typed;
  /** The same to its end. Throws with all that was shown if it fails. */
  run(script: string, answer?: (prompt: string) => string): Promise<string>;
  close(): Promise<void>;
}

/** A script that is running. */
export interface Typed {
  /** What was shown so far, as text. */
  shown(): string;
  /** Types this. */
  type(text: string): void;
  readonly exited: Promise<number>;
}

/** Boots the machine, which takes about ten seconds. */
export async function bootSandbox(): Promise<Sandbox> {
  const command = [BOOT, bobbinPath(), LAB, DAMAGED];
  const child = Bun.spawn(["unshare", ...APART, "--fork", "--kill-child=KILL", ...command], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const first = await firstProcess(child.pid).catch(async (cause) => {
    await close();
    throw new Error(`the sandbox did not boot: ${(await said).join("")}`, { cause });
  });
  const into = ["nsenter", `--target=${first}`, ...APART];
  const start: Sandbox["start"] = (script, answer) => {
    return typed([...into, "bash", "-ec", `cd /root/bobbin\n${script}`], answer);
  };
  const run: Sandbox["run"] = async (script, answer) => {
    const running = start(script, answer);
    const exit = await running.exited;
    if (exit === 0) return running.shown();
    throw new Error(`exit code ${exit} of\n${script}\n${running.shown()}`);
  };
  await run("for i in $(seq 100); do systemctl is-active -q cyrus-imapd && break; sleep 0.1; done");
  return { start, run, close };
}

/** The first process of the sandbox, once it is systemd. */
function firstProcess(pid: number): Promise<string> {
  return until(
    "systemd in the sandbox",
    () => {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
      if (children === "") return undefined;
      const name = readFileSync(`/proc/${children}/comm`, "latin1").trim();
      return name === "systemd" ? children : undefined;
    },
    { withinMs: 100_000 },
  );
}

function typed(command: readonly string[], answer?: (prompt: string) => string): Typed {
  let shown = "";
  let unanswered = "";
  const child = Bun.spawn([...command], {
    env: { HOME: "/root", PATH, TERM: "xterm", LC_ALL: "C.UTF-8" },
    terminal: {
      cols: 200,
      data: (terminal, data) => {
        const text = Buffer.from(data).toString();
        shown += text;
        unanswered += text;
        const [prompt] = /[^\n]*(password|again)[^\n]*: ?$/i.exec(unanswered) ?? [];
        if (prompt === undefined || answer === undefined) return;
        unanswered = "";
        terminal.write(`${answer(prompt)}\r`);
      },
    },
  });
  return {
    shown: () => stripVTControlCharacters(shown).replaceAll("\r", ""),
    type: (text) => void child.terminal?.write(text),
    exited: child.exited,
  };
}
