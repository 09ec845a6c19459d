/** Jobs that show what a pool must stand: results, errors of each kind, threads that die. */
import { threadId } from "node:worker_threads";
import { assert } from "../../../src/core/assert.ts";
import { hexOf, utf8 } from "../../../src/core/bytes.ts";
import { AppError } from "../../../src/core/errors.ts";
import { type EngineChoice, engineOf } from "../../../src/hash/engines.ts";

export const TEST_JOBS = {
  double: (request: number) => request * 2,
  thread: async (milliseconds: number) => {
    await Bun.sleep(milliseconds);
    return threadId;
  },
  hash: async (request: { readonly text: string; readonly engine: EngineChoice }) => {
    const out = new Uint8Array(20);
    (await engineOf(request.engine)).sha1(utf8(request.text), out);
    return hexOf(out);
  },
  refuse: (user: string): number => {
    throw new AppError("busy", `User ${user} is in use`, {
      context: { user, modseq: 7n },
      hint: "Try again",
    });
  },
  bug: (value: number): number => {
    assert(value > 0, "planted bug");
    return value;
  },
  typeError: (): number => (undefined as unknown as { deep: { value: number } }).deep.value,
  die: async (): Promise<number> => {
    setTimeout(() => {
      throw new Error("thrown outside of any job");
    }, 5);
    await Bun.sleep(60_000);
    return 0;
  },
};
