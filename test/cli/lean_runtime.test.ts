/**
 * With which settings of the runtime a command runs, and that nothing is lost on the way to them.
 */
import { describe, expect, test } from "bun:test";
import { leanEnvironment } from "../../src/cli/lean_runtime.ts";
import { bobbin, bobbinPath } from "../support/cli.ts";

const COMPILED = new URL("file:///$bunfs/root/worker.js");
const SETTING = "BUN_JSC_useFTLJIT";

describe("leanEnvironment()", () => {
  test("is for commands that carry mail, once, and adds to what is there", () => {
    const program = {
      argv: ["replicate", "ann"],
      moduleUrl: COMPILED,
      env: { HOME: "/", NO: undefined },
    };
    expect(leanEnvironment(program)).toEqual({ HOME: "/", [SETTING]: "0" });
    expect(leanEnvironment({ ...program, argv: ["fsck", "replicate"] })).toBeUndefined();
    expect(leanEnvironment({ ...program, argv: [] })).toBeUndefined();
    expect(leanEnvironment({ ...program, env: { [SETTING]: "1" } })).toBeUndefined();
    expect(leanEnvironment({ ...program, env: { LISTEN_FDS: "1" } })).toBeUndefined();
    expect(
      leanEnvironment({ ...program, moduleUrl: new URL("file:///src/main.ts") }),
    ).toBeUndefined();
  });
});

describe("bobbin replicate", () => {
  test("takes arguments, standard input and exit code through", async () => {
    const strange = ["", "a b", "--", "ünï", "$HOME", "'\""];
    const again = await bobbin(["replicate", ...strange]);
    const once = await bobbin(["replicate", ...strange], { env: { [SETTING]: "0" } });
    expect([again.exit, again.stdout, again.stderr]).toEqual([once.exit, once.stdout, once.stderr]);
    expect(again.exit).toBe(64);
    const piped = Bun.spawn(
      [bobbinPath(), "replicate", "x", "--from", "dump:-", "--to", "store:/nowhere"],
      {
        ...{ stdin: new Blob(["no dump"]), stdout: "pipe", stderr: "pipe" },
      },
    );
    expect(await new Response(piped.stderr).text()).not.toBe("");
    expect(await piped.exited).not.toBe(0);
  });
});
