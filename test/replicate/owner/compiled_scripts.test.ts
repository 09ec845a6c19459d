import { describe, expect, test } from "bun:test";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { bytecodeVersion } from "../../../src/formats/sieve/bytecode.ts";
import type { SieveFile, UserState } from "../../../src/model/mailbox.ts";
import { ok, refused } from "../../../src/model/outcome.ts";
import { ALL_HELD, type Place } from "../../../src/places/place.ts";
import { compiledScripts } from "../../../src/replicate/owner/compiled_scripts.ts";
import { planMeta } from "../../../src/replicate/plan/plan_meta.ts";
import { nameOfStep } from "../../../src/replicate/plan/steps.ts";
import { NOBODY } from "../../support/plan_model.ts";

const OWNER = { kind: "user", userid: "ann" } as const;

function bytecode(version: number): Uint8Array {
  return concat([utf8("CyrSBytecode"), Uint8Array.of(0, 0, 0, version), utf8("code")]);
}

function file(filename: string, change: Partial<SieveFile> = {}): SieveFile {
  return { filename, lastUpdate: 5, isActive: false, ...change };
}

function sourceOf(files: Readonly<Record<string, Uint8Array>>): Place {
  const sieveScript: Place["sieveScript"] = async (_, filename) => {
    const found = files[filename];
    return found === undefined ? refused("nonexistent", `no ${filename}`) : ok(found);
  };
  return { sieveScript } as Place; // all that is asked of it
}

/** What is planned from `ours` to a 2.5 that has `theirs`, and what is left out. */
async function planTo25(
  ours: readonly SieveFile[],
  theirs: readonly SieveFile[],
  files: Readonly<Record<string, Uint8Array>>,
) {
  const target: UserState = { ...NOBODY, sieve: theirs };
  const options = { owner: OWNER, source: sourceOf(files), target: { bytecode: { newest: 9 } } };
  const compiled = await compiledScripts(
    { ...NOBODY, sieve: ours },
    { ...options, theirs: target },
  );
  const plan = planMeta({
    ...{ owner: OWNER, userid: "ann", mode: "mirror", source: compiled.ours, target },
    ...{ holds: ALL_HELD, takesBytecode: true },
  });
  return {
    steps: plan.steps.map((step) => [
      step.kind === "apply" ? step.command.kind : step.kind,
      nameOfStep(step),
    ]),
    left: compiled.left.map(({ filename, refusal }) => [filename, refusal.reason]),
  };
}

describe("compiledScripts()", () => {
  test("sends the bytecode after its script, and makes it active last", async () => {
    const ours = [file("a.script"), file("a.bc", { isActive: true }), file("b.script")];
    const files = { "a.bc": bytecode(9), "b.bc": bytecode(4) };
    expect(await planTo25(ours, [], files)).toEqual({
      steps: [
        ["sieve", "a.script"],
        ["sieve", "b.script"],
        ["sieve", "a.bc"],
        ["sieve", "b.bc"],
        ["activateSieve", "a.bc"],
      ],
      left: [],
    });
  });

  test("leaves out what would not run, and deletes none of it at the target", async () => {
    const ours = [file("a.script", { lastUpdate: 9 }), file("n.script")];
    const theirs = [file("a.script"), file("a.bc", { isActive: true }), file("old.script")];
    const files = { "n.bc": bytecode(17) };
    expect(await planTo25(ours, theirs, files)).toEqual({
      steps: [
        ["unsieve", "old.script"],
        ["unactivateSieve", "unactivateSieve"],
      ],
      left: [
        ["a.script", "notSupported"],
        ["n.script", "notSupported"],
      ],
    });
  });

  test("leaves a script alone that the target has and runs, whoever has compiled it", async () => {
    const ours = [file("a.script"), file("a.bc", { isActive: true })];
    const theirs = [file("a.script"), file("a.bc", { isActive: true })];
    expect(await planTo25(ours, theirs, {})).toEqual({ steps: [], left: [] });
    // Bytecode that is older than its script is that of another.
    const stale = [file("a.script"), file("a.bc", { lastUpdate: 1, isActive: true })];
    expect((await planTo25(ours, stale, {})).left).toEqual([["a.script", "notSupported"]]);
  });

  test("changes nothing for a target that compiles by itself", async () => {
    const ours = { ...NOBODY, sieve: [file("a.script")] };
    const options = { owner: OWNER, source: sourceOf({}), target: {}, theirs: NOBODY };
    expect(await compiledScripts(ours, options)).toEqual({ ours, left: [] });
  });
});

describe("bytecodeVersion()", () => {
  test("reads the version of bytecode and of nothing else", () => {
    expect(bytecodeVersion(bytecode(30))).toBe(30);
    for (const none of ["", "CyrSBytecode", "keep;", "CyrSBytecodX\0\0\0\x09"]) {
      expect(bytecodeVersion(utf8(none))).toBeUndefined();
    }
  });
});
