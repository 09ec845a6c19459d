/**
 * The README is the manual: its tables are those of the commands, and each of its examples is run
 * as it stands there.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, CommanderError } from "commander";
import { pathOf } from "../../src/cli/command.ts";
import { VARIABLES } from "../../src/cli/manual/environment.ts";
import { allCommands } from "../../src/cli/manual/sections.ts";
import { processOutput } from "../../src/cli/output.ts";
import { programOf } from "../../src/cli/run_command.ts";
import { CODES } from "../../src/fsck/codes.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";
import { type Block, blocksOf, headsOf, spansOf, tableOf } from "../support/readme/blocks.ts";
import { exampleScripts, OF_SERVER, SERVERS, STAGE } from "../support/readme/manual_examples.ts";
import { bootSandbox, type Sandbox, type Typed } from "../support/readme/sandbox.ts";
import { MANUAL_TABLES } from "../support/readme/tables.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dir, "..", "..");
const README = readFileSync(join(root, "README.md"), "utf8");
const blocks = blocksOf(README);

const QUIET = processOutput({ json: false, loudness: "errors", progress: false });
const program = programOf(() => async () => undefined, QUIET);
const commands = allCommands(program);

/** Global and of every command. */
const EVERYWHERE = new Set(["--json", "--quiet", "-v", "--verbose", "--no-progress", "--internal"]);

function optionsOf(command: Command): readonly string[] {
  return command.options.flatMap(({ short, long }) => [short, long]).filter(isText);
}

function isText(value: string | undefined): value is string {
  return value !== undefined;
}

/** The command lines of a script, as words, without what a shell takes for itself. */
function commandLines(script: string): readonly (readonly string[])[] {
  return script
    .replaceAll("\\\n", " ")
    .split(/\n|;|\||&&/)
    .map((line) => /^(?:.* -- |.*\/bin\/)?bobbin ([^>]*)/.exec(line.trim())?.[1])
    .filter(isText)
    .map((words) => words.match(/'[^']*'|\S+/g) ?? [])
    .map((words) => words.map((word) => word.replace(/^'(.*)'$/, "$1")));
}

const NOT_SHOWN = { writeOut: () => undefined, writeErr: () => undefined };

async function commandOf(words: readonly string[]): Promise<Command> {
  let ran: Command | undefined;
  const tree = programOf(
    () =>
      async (...args) => {
        ran = args.at(-1);
      },
    QUIET,
  );
  for (const command of allCommands(tree)) command.configureOutput(NOT_SHOWN);
  await tree.parseAsync(words, { from: "user" });
  return ran ?? tree;
}

describe("the README", () => {
  test("begins with the two commands, which are there", () => {
    const [first = ""] = blocksOf(README)[0]?.before.split("\nBoth ") ?? [];
    const typed = [...first.matchAll(/^ {4}npm (\w+) /gm)].map(([, name]) => name);
    expect(typed).toEqual(["start", "test"]);
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const name of [...README.matchAll(/`npm run ([\w:]+)/g)].map(([, one]) => one ?? "")) {
      expect(scripts).toHaveProperty([name]);
    }
  });

  test("has no block but what is typed, what is shown for it, and two drawings", () => {
    const count = (language: string) => blocks.filter((one) => one.language === language).length;
    expect([count(""), count("cyrus.conf")]).toEqual([2, 1]);
    expect(blocks.length).toBe(count("sh") + count("text") + 3);
    for (const [at, { language, line, before }] of blocks.entries()) {
      if (language !== "text") continue;
      const shown = { line, before: before.trim(), after: blocks[at - 1]?.language };
      expect(shown).toEqual({ line, before: "", after: "sh" });
    }
  });

  test("has the tables of the manual", () => {
    for (const [head, rows] of Object.entries(MANUAL_TABLES)) {
      expect({ head, rows: tableOf(README, head) }).toEqual({ head, rows });
    }
  });

  test("lists the commands of the first level in the order of the help, and no other", () => {
    const listed = tableOf(README, "| command | what it does |").map((row) => {
      return /`bobbin (\w+)/.exec(row)?.[1] ?? "";
    });
    const known = program.commands.map((command) => command.name());
    expect(listed).toEqual(known);
  });

  test("names every option of every command, and none that a command does not have", () => {
    const known = new Set([...commands.flatMap(optionsOf), "--help", "-h"]);
    const spans = spansOf(README).flatMap(
      (span) => span.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g) ?? [],
    );
    const named = new Set(spans.filter((option) => option.startsWith("--")));
    const foreign = new Set(["--test", "--cold"]);
    expect([...named].filter((one) => !known.has(one) && !foreign.has(one))).toEqual([]);
    const text = spansOf(README).join(" ");
    const inBlocks = blocks.map((block) => block.text).join(" ");
    const missing = [...known].filter((one) => !`${text} ${inBlocks}`.includes(one));
    expect(missing).toEqual([]);
  });

  test("has in the table of a command just its options", () => {
    const shared = new Set(
      tableOf(README, "| option for servers | meaning |")
        .flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/--[\w-]+/g)])
        .map(([option]) => option),
    );
    expect(shared.size).toBeGreaterThan(5);
    const heads = headsOf(README, /^option of `bobbin [\w ]+`$/);
    expect(heads.length).toBeGreaterThan(4);
    for (const head of heads) {
      const path = /`bobbin ([\w ]+)`/.exec(head)?.[1] ?? "";
      const command = commands.find((one) => pathOf(one) === path);
      const listed = tableOf(README, head).flatMap((row) => {
        return spansOf(row.split(" | ")[0] ?? "").flatMap((span) => span.match(/--?[\w-]+/g) ?? []);
      });
      const own = command === undefined ? [] : optionsOf(command);
      const isShared = (one: string) => shared.has(one) && own.includes("--ca");
      const expected = own.filter((one) => !isShared(one) && !EVERYWHERE.has(one));
      const written = listed.filter((one) => !isShared(one));
      expect({ path, written: written.toSorted() }).toEqual({ path, written: expected.toSorted() });
    }
  });

  test("has commands that can be typed, in blocks and in sentences", async () => {
    const scripts = blocks.filter(({ language }) => language === "sh").map(({ text }) => text);
    const spans = spansOf(README).filter((span) => /^bobbin [a-z]/.test(span));
    const lines = [...scripts, ...spans].flatMap(commandLines);
    expect(lines.length).toBeGreaterThan(50);
    const names = new Set<string>();
    for (const words of lines) {
      try {
        names.add(pathOf(await commandOf(words)));
      } catch (error) {
        // In a sentence a command stands for itself, without its arguments.
        const code = error instanceof CommanderError ? error.code : "";
        if (!/^commander\.(version|help|missing)/.test(code))
          throw new Error(words.join(" "), { cause: error });
      }
    }
    const untold = program.commands.map(pathOf).filter((path) => {
      return ![...names].some((name) => name === path || name.startsWith(`${path} `));
    });
    expect(untold).toEqual([]);
  });

  test("says of the damaged mailboxes what fsck says", async () => {
    const spool = join(readOnlyFixture("cyrus-spools/damaged"), "spool");
    const { stdout } = await bobbin(["--json", "fsck", "--min-severity", "info", spool]);
    const found = new Map<string, Set<string>>();
    for (const { type, mailbox, code, uid } of jsonLines(stdout)) {
      if (type !== "finding") continue;
      const at = uid === undefined ? `${code}` : `${code} at UID ${uid}`;
      const name = String(mailbox).replace(/^user.dan./, "");
      found.set(name, (found.get(name) ?? new Set()).add(at));
    }
    const rows = tableOf(README, "| mailbox | `bobbin fsck` | `reconstruct -n -G` | `mbexamine` |");
    expect(rows.length).toBe(35);
    // Whose cyrus.header cannot be read, of those the folder alone is known.
    const isKnown = (name: string) => !/^41-|^42-/.test(name);
    for (const row of rows) {
      const [, name = "", codes = ""] = row.split("|").map((cell) => cell.trim());
      if (!isKnown(name)) continue;
      const told = [...(found.get(name) ?? ["nothing"])].toSorted().join(", ");
      expect({ name, codes }).toEqual({ name, codes: told });
    }
  }, 60_000);

  test("names variables and codes that there are", () => {
    const variables = [...README.matchAll(/`(BOBBIN_\w+)`/g)].map(([, name]) => name ?? "");
    expect(variables.filter((name) => !(name in VARIABLES) && name !== "BOBBIN_SHARED")).toEqual(
      [],
    );
    const codes = [...README.matchAll(/\b[A-Z]{2}\d\d\b/g)].map(([code]) => code);
    expect(codes.filter((code) => !(code in CODES))).toEqual([]);
    const letters = tableOf(README, "| letters | where |").flatMap((row) => {
      return (row.split("|")[1] ?? "").trim().split(", ");
    });
    const known = new Set(Object.keys(CODES).map((code) => code.slice(0, 2)));
    expect(letters.toSorted()).toEqual([...known].toSorted());
  });

  test("points to headings that there are", () => {
    const anchors = [...README.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => {
      return title
        .toLowerCase()
        .replace(/[^\w -]/g, "")
        .replaceAll(" ", "-");
    });
    const links = [...README.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor ?? "");
    expect(links.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
  });
});

/** The password that the README gives to the account `repl`, and that of the lab's accounts. */
const REPL_PASSWORD = /sync_password: (\S+)/.exec(README)?.[1] ?? "";
const LAB_PASSWORD = "labpass";

function answer(prompt: string): string {
  return prompt.includes("admin") ? LAB_PASSWORD : REPL_PASSWORD;
}

/** The server that a block starts stays in its terminal until the README says to press Ctrl-C. */
async function startServer(sandbox: Sandbox, text: string): Promise<Typed> {
  const server = sandbox.start(text, answer);
  const ended = server.exited.then((exit) => {
    throw new Error(`exit code ${exit} of\n${text}\n${server.shown()}`);
  });
  ended.catch(() => undefined); // it ends at Ctrl-C, when nobody waits for it any more
  await Promise.race([ended, until("serve", () => server.shown().includes("Serving"))]);
  return server;
}

async function interrupt(server: Typed, sandbox: Sandbox): Promise<void> {
  server.type("\x03");
  await server.exited;
  const isOver = () => sandbox.run("! pgrep -x bobbin");
  await until("the server has ended", () =>
    isOver().then(
      () => true,
      () => false,
    ),
  );
}

/** `…` stands for any text. */
function expectShown(shown: string, { text, line }: Block): void {
  const parts = text.split("…").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  if (new RegExp(parts.join("[^]*")).test(shown)) return;
  throw new Error(`line ${line} promises\n${text}\nand this was shown:\n${shown}`);
}

/** What cron does by the lines of its files that a script writes, without a terminal. */
function cronLines(text: string): readonly string[] {
  return [...text.matchAll(/^(?:[\d*]+ ){5}(\w+) (.*)$/gm)].map(([, user, command]) => {
    return `set -o pipefail; runuser -u ${user} -- sh -ec '${command}' 2>&1 </dev/null | cat`;
  });
}

/** Message -> what somebody has done wrong who sees it. */
const TROUBLES: Readonly<Record<string, string>> = {
  "Cannot sign in": "bobbin ls sync://repl@replica.example.com ann",
  "does not match certificate's altnames": "bobbin ls sync://repl@192.0.2.7 ann",
  "self signed certificate": `
    rm -f /etc/ssl/certs/*.0
    bobbin ls sync://repl@replica.example.com ann`,
  "bailing out!": `
    BOBBIN_PASSWORD=other bobbin passwd --users-file /etc/bobbin/users --allow ann other
    systemctl restart bobbin
    sed -i 's/^sync_authname:.*/sync_authname: other/; s/^sync_password:.*/sync_password: other/' \
        /etc/imapd.conf
    cyrus sync_client -v -u bob`,
  "the account may not touch": "grep 'Refused' /run/serve.log",
  "Can not connect to server": `
    sed -i 's/^sync_password:.*/sync_password: wrong/' /etc/imapd.conf
    timeout 3 cyrus sync_client -v -u ann || true
    grep -q 'Sign-in refused.*account=other' /run/serve.log || exit 1`,
  "nothing listens there": `
    systemctl stop bobbin
    bobbin ls sync://repl@replica.example.com ann`,
};

const needs = ["a systemd of its own", "a Cyrus server", "ip", "openssl"] as const;

describe.skipIf(!needs.every(has))("its examples", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await bootSandbox();
  }, 120_000);
  afterAll(() => sandbox.close());

  test("do what they say, from the first to the last, on a machine of their own", async () => {
    let server: Typed | undefined;
    let shown = "";
    for (const block of blocks) {
      const { language, text, before } = block;
      if (server !== undefined && before.includes("press Ctrl-C")) {
        await interrupt(server, sandbox);
        server = undefined;
      }
      if (language === "text") expectShown(shown, block);
      if (language === "cyrus.conf") {
        await sandbox.run(`sed -i '/^START/r /dev/stdin' /etc/cyrus.conf <<'END'\n${text}\nEND`);
      }
      if (language !== "sh") continue;
      if (text.includes("bobbin serve")) {
        server = await startServer(sandbox, text);
        continue;
      }
      shown = await sandbox.run(text, answer);
      for (const line of cronLines(text)) expect(await sandbox.run(line)).toBe("");
      if (text.includes("restart cyrus-imapd")) await expectFollowed(sandbox);
    }
  }, 300_000);

  test("and those of bobbin help do too, after them", async () => {
    await sandbox.run(STAGE);
    const shell = "set -o pipefail; export PAGER=cat; less() { cat; }\n";
    for (const script of exampleScripts()) await sandbox.run(shell + script, answer);
    await sandbox.run("systemctl stop bobbin cyrus-imapd");
    for (const [at, line] of SERVERS.entries()) {
      const server = await startServer(sandbox, line);
      const talks = at === 0 ? OF_SERVER : [];
      for (const talk of talks) {
        const typed = `export BOBBIN_PASSWORD=${REPL_PASSWORD}; (${talk}) <<<'GET USER ann'`;
        const shown = await sandbox.run(typed);
        expect([talk, shown]).toEqual([talk, expect.stringContaining("MBOXNAME user.ann")]);
      }
      await interrupt(server, sandbox);
    }
    await sandbox.run("systemctl start cyrus-imapd bobbin");
  }, 300_000);

  test("and the messages that it explains are those that are shown", async () => {
    const rows = tableOf(README, "| message | of | what to do |");
    const messages = rows.map((row) => spansOf(row)[0] ?? "");
    expect(messages.toSorted()).toEqual(Object.keys(TROUBLES).toSorted());
    for (const [message, script] of Object.entries(TROUBLES)) {
      expect(await sandbox.run(`${script} || true`, () => "wrong")).toContain(message);
    }
  }, 120_000);
});

/** What comes to ann at Cyrus now is soon at the replica. */
async function expectFollowed(sandbox: Sandbox): Promise<void> {
  await until("Cyrus", () => sandbox.run("/run/lab/lab env /var/lab/mail").then(() => true));
  await sandbox.run("/run/lab/lab fill /var/lab/mail ann 3 --plain --avg-kb 2");
  const diff = "bobbin diff /etc/imapd.conf store:/srv/bobbin ann";
  await until("the replica", async () => {
    const shown = await sandbox.run(`${diff} || test $? = 1`);
    return shown.includes("0 differences");
  });
}
