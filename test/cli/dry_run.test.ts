/**
 * The dry run is the run: in each mode and for each outcome the same plan, counts and exit code,
 * and what was done is not to be done again.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { tempDir } from "../support/temp_dir.ts";
import { treeState } from "../support/tree_state.ts";

const SPOOL = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const CUT = spoolWithCutIndex();

const MODES = [
  ...[[], ["--mirror"], ["--mirror", "--allow-delete", "100"]],
  ...[["--two-way"], ["--two-way", "--allow-delete", "100"]],
];

/** What two stores hold, and what is to be brought. */
interface Situation {
  readonly name: string;
  /** Commands that make A and B of empty stores; STORE is theirs. A path is A itself. */
  readonly a: string | readonly string[];
  readonly b: readonly string[];
  readonly args: string;
  /** Exit codes, mode by mode; a mode without one is not allowed here. */
  readonly exits: readonly number[];
}

const bring = (what: string) => `replicate ${what} --from ${SPOOL} --to STORE`;
const drop = (name: string) => `store delete STORE ${name} --tree`;

const SITUATIONS: readonly Situation[] = [
  {
    name: "the same at both",
    ...{ a: [bring("bob")], b: [bring("bob")], args: "--all", exits: [0, 0, 0, 0, 0] },
  },
  {
    name: "nothing at B",
    ...{ a: [bring("bob")], b: [], args: "--all", exits: [0, 0, 0, 0, 0] },
  },
  {
    name: "a folder that only B has",
    ...{ a: [bring("ann"), drop("user/ann/Sent")], b: [bring("ann")] },
    ...{ args: "ann", exits: [1, 0, 0, 0, 0] },
  },
  {
    name: "a tree that only B has",
    ...{ a: [bring("ann"), drop("user/ann/Archive"), drop("user/ann/Sent")], b: [bring("ann")] },
    ...{ args: "ann", exits: [1, 77, 0, 0, 0] },
  },
  {
    name: "users that only B has",
    ...{ a: [bring("bob")], b: [bring("bob ann")], args: "--all", exits: [1, 77, 0, 0, 0] },
  },
  {
    name: "a user whom neither has",
    ...{ a: [bring("bob")], b: [bring("ann")], args: "nobody", exits: [66, 66, 66, 66, 66] },
  },
  {
    name: "a user, and one whom neither has",
    ...{ a: [bring("bob")], b: [], args: "bob nobody", exits: [2, 2, 2, 2, 2] },
  },
  {
    name: "a user under a new name",
    ...{ a: [bring("bob")], b: [bring("ann")], args: "bob --as zoe", exits: [0, 0, 0] },
  },
  {
    name: "a user under his copy's name",
    ...{ a: [bring("bob")], b: [bring("bob --as zoe")], args: "bob --as zoe", exits: [0, 0, 0] },
  },
  {
    name: "a user under somebody else's name",
    ...{ a: [bring("bob")], b: [bring("ann")], args: "bob --as ann", exits: [77, 77, 77] },
  },
  {
    name: "a mailbox that cannot be read",
    ...{ a: CUT, b: [], args: "--all", exits: [2, 2, 2] },
  },
];

/** The same spool, one cyrus.index of which ends within its header. */
function spoolWithCutIndex(): string {
  const copy = join(tempDir("cut"), "spool");
  cpSync(SPOOL, copy, { recursive: true });
  const indexes = readdirSync(copy, { recursive: true, encoding: "utf8" });
  const [first = ""] = indexes.filter((path) => path.endsWith("cyrus.index")).sort();
  truncateSync(join(copy, first), 60);
  return copy;
}

/** What a run must have in common with its dry run. */
function countsOf(objects: readonly Readonly<Record<string, unknown>>[]): unknown {
  const facts = ({
    users,
    failedUsers,
    braked,
    leftUsers,
    bugs,
    exit,
  }: Record<string, unknown>) => ({
    ...{ users, failedUsers, braked, leftUsers, bugs, exit },
  });
  const counts = ({
    type,
    user,
    toplevel,
    differences,
    failures,
    left,
    failed,
  }: Record<string, unknown>) => ({
    ...{ type, user: String(user ?? toplevel ?? ""), differences, failures, left, failed },
  });
  const told = objects.filter(({ type }) => type === "user" || type === "summary");
  // Two users at a time end in any order.
  const byUser = told.map(counts).sort((left, right) => (left.user < right.user ? -1 : 1));
  return [facts(objects.at(-1) ?? {}), ...byUser];
}

function stepsOf(objects: readonly Readonly<Record<string, unknown>>[]): string[] {
  const steps = objects.filter(({ type, step }) => type === "step" && step !== "decide");
  return steps.map(({ user, at, step, name, internalname }) =>
    [user, at, step, name ?? internalname].join(" "),
  );
}

describe("replicate --dry-run", () => {
  let empty = "";

  beforeAll(async () => {
    empty = join(tempDir("empty"), "store");
    expect((await bobbin(["store", "init", empty])).exit).toBe(0);
  });

  async function make(commands: readonly string[]): Promise<string> {
    const store = join(tempDir("made"), "store");
    cpSync(empty, store, { recursive: true });
    for (const command of commands) {
      const { exit, stderr } = await bobbin(command.replace("STORE", store).split(" "));
      expect([command, exit, stderr]).toEqual([command, 0, expect.anything()]);
    }
    return store;
  }

  for (const { name, a, b, args, exits } of SITUATIONS) {
    test(`${name}: ends as the run in every mode, and so does --check`, async () => {
      const made = { a: typeof a === "string" ? a : await make(a), b: await make(b) };
      for (const [at, expected] of exits.entries()) {
        const root = tempDir("ends");
        const ends = { a: typeof a === "string" ? a : join(root, "a"), b: join(root, "b") };
        if (ends.a !== made.a) cpSync(made.a, ends.a, { recursive: true });
        cpSync(made.b, ends.b, { recursive: true });
        const mode = MODES[at] ?? [];
        const command = ["replicate", ...args.split(" "), "--from", ends.a, "--to", ends.b];
        const run = async (...more: readonly string[]) => {
          const { exit, stdout } = await bobbin([...command, ...mode, "--json", ...more]);
          return { exit, objects: jsonLines(stdout) };
        };
        const what = [name, ...mode].join(" ");
        const before = [treeState(ends.a), treeState(ends.b)];
        const [dry, check] = [await run("-n"), await run("--check")];
        expect([treeState(ends.a), treeState(ends.b)]).toEqual(before);
        const done = await run();
        expect([what, dry.exit, done.exit]).toEqual([what, expected, expected]);
        expect([what, countsOf(dry.objects)]).toEqual([what, countsOf(done.objects)]);
        const [planned, summary] = [dry.objects.at(-1) ?? {}, done.objects.at(-1) ?? {}];
        const steps = stepsOf(dry.objects);
        expect([what, planned["steps"]]).toEqual([what, steps.length]);
        if (summary["left"] === 0) expect(stepsOf(done.objects).sort()).toEqual(steps.sort());
        expect(stepsOf(done.objects).length).toBe(Number(summary["steps"]));
        const remain = steps.length > 0 && expected === 0;
        expect([what, check.exit]).toEqual([what, remain ? 1 : expected]);
        if (expected > 2) continue;
        const again = await run();
        expect([what, stepsOf(again.objects), again.exit]).toEqual([what, [], expected]);
      }
    }, 120_000);
  }
});
