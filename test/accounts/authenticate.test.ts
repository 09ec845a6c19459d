/** What a client can learn of names by SCRAM: nothing, by what it is told nor by when. */
import { describe, expect, test } from "bun:test";
import { signIn } from "../../src/accounts/authenticate.ts";
import { SignInGate } from "../../src/accounts/sign_in_gate.ts";
import { testAccounts } from "../support/serve.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const SAMPLES = 3000;

const gate = new SignInGate({ now: () => 0, sleep: () => Promise.resolve() });

/** The challenge that `name` gets, and the microseconds until it came. */
async function challenged(name: string): Promise<{ readonly text: string; readonly us: number }> {
  const accounts = await testAccounts();
  const begun = performance.now();
  let got = { text: "", us: 0 };
  await signIn("SCRAM-SHA-256", {
    accounts,
    gate,
    address: "10.0.0.1",
    initial: Buffer.from(`n,,n=${name},r=fyko+d2lbbFgONRv9qkxdawL`).toString("base64"),
    signal: new AbortController().signal,
    ask: (challenge) => {
      const us = (performance.now() - begun) * 1000;
      got = { text: Buffer.from(challenge, "base64").toString(), us };
      return Promise.resolve(undefined);
    },
  });
  return got;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

describe("SCRAM of a name", () => {
  test("that is no account gets a challenge of the same form and a lasting salt", async () => {
    const form = (text: string) => text.replace(/[A-Za-z0-9+/]/g, "x");
    const [known, unknown, again] = [
      (await challenged("admin")).text,
      (await challenged("admix")).text,
      (await challenged("admix")).text,
    ];
    expect(form(unknown)).toBe(form(known));
    const saltOf = (text: string) => /s=([^,]+)/.exec(text)?.[1];
    expect(saltOf(again)).toBe(saltOf(unknown));
    expect(saltOf(unknown)).not.toBe(saltOf(known));
  });

  if (isLong) {
    test(`takes as long for an account as for none, over ${SAMPLES} samples`, async () => {
      const times: Record<string, number[]> = { admin: [], admix: [] };
      for (let count = 0; count < 100; count++) await challenged("admin"); // until it is compiled
      for (let count = 0; count < SAMPLES; count++) {
        // In turns, so that whatever else the machine does weighs on both alike.
        for (const [name, list] of Object.entries(times)) list.push((await challenged(name)).us);
      }
      const [known, unknown] = [median(times["admin"] ?? []), median(times["admix"] ?? [])];
      // Three HMACs that only one of them computed were a third of the whole.
      expect(Math.abs(known - unknown) / known).toBeLessThan(0.1);
    });
  }
});
