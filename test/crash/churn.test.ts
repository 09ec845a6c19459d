/**
 * Writers that are killed at random moments, two at a time on one user: nothing acknowledged is
 * ever lost.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { newStore } from "../support/new_store.ts";
import { fill } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";

const { BOBBIN_TEST_SIZE } = process.env;
const ROUNDS = BOBBIN_TEST_SIZE === "long" ? 100 : 3;
const WRITER = join(import.meta.dir, "churn.ts");
const MAILBOXES = ["user.fred", "user.fred.Two"];

/** A running writer and what it has said. */
class Writer {
  readonly begun: Promise<void>;
  readonly #process;
  readonly #done: Promise<void>;
  #said = "";

  constructor(root: string, name: string) {
    this.#process = Bun.spawn([process.execPath, "run", WRITER, root, name], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.begun = promise;
    this.#done = this.#listen(resolve);
  }

  async #listen(begun: () => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#process.stdout) {
      this.#said += decoder.decode(bytes);
      if (this.#said.includes("\n")) begun();
    }
    begun();
  }

  /** Kills it; the last UID that it acknowledged. */
  async kill(): Promise<number> {
    this.#process.kill(9);
    await this.#done;
    expect(await this.#process.stderr.text()).toBe("");
    const acks = this.#said.match(/ack (\d+)(?=\n)/g) ?? [];
    return Number(acks.at(-1)?.slice(4) ?? 0);
  }
}

test("kill -9 of two writers at random moments loses nothing they acknowledged", async () => {
  const { root, store } = newStore();
  for (const name of MAILBOXES) fill(store, name, 1);
  store.close();
  let total = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const writers = MAILBOXES.map((name) => new Writer(root, name));
    await Promise.all(writers.map((writer) => writer.begun));
    // The moments differ by round and by machine; what must hold does not depend on them.
    await Bun.sleep((round * 37) % 150);
    const found = await Promise.all(writers.map((writer) => writer.kill()));
    const contents = verifyStore(root);
    for (const [at, name] of MAILBOXES.entries()) {
      const count = contents[name]?.split("\n").length ?? 0;
      const acknowledged = found[at] ?? 0;
      expect(count).toBeGreaterThanOrEqual(acknowledged);
      if (acknowledged > 0) expect(count).toBeLessThanOrEqual(acknowledged + 1);
      total += acknowledged > 0 ? 1 : 0;
    }
  }
  expect(total).toBeGreaterThan(0);
}, 1_800_000);
