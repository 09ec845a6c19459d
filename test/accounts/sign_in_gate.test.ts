import { describe, expect, test } from "bun:test";
import { SignInGate } from "../../src/accounts/sign_in_gate.ts";

const from = (address: string, name = "fred") => ({ address, name });

describe("SignInGate", () => {
  function gate() {
    let now = 0;
    const waits: number[] = [];
    const made = new SignInGate({
      now: () => now,
      sleep: (ms) => {
        waits.push(ms);
        return Promise.resolve();
      },
    });
    const wait = (ms: number) => {
      now += ms;
    };
    return { gate: made, waits, wait };
  }
  const wrong = () => Promise.resolve(false);
  const right = () => Promise.resolve(true);

  test("makes an address wait twice as long after each failure, up to a bound", async () => {
    const { gate: one, waits, wait } = gate();
    for (let count = 0; count < 9; count++) await one.pass(from("10.0.0.1"), wrong);
    expect(waits).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    await one.pass(from("10.0.0.2"), wrong);
    expect(waits.at(-1)).toBe(0);
    expect(await one.pass(from("10.0.0.1"), right)).toBe(true);
    await one.pass(from("10.0.0.1"), wrong);
    expect(waits.at(-1)).toBe(0);
    wait(20 * 60_000);
    await one.pass(from("10.0.0.1"), wrong);
    await one.pass(from("10.0.0.1"), wrong);
    expect(waits.at(-1)).toBe(500);
  });

  test("lets two checks run at a time, 64 wait, and turns more away", async () => {
    const { gate: one } = gate();
    let running = 0;
    let most = 0;
    const finish: (() => void)[] = [];
    const slow = async () => {
      running++;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => finish.push(resolve));
      running--;
      return true;
    };
    const results = Array.from({ length: 70 }, (_, index) =>
      one.pass(from(`10.0.1.${index}`), slow),
    );
    for (let count = 0; count < 200; count++) {
      await Promise.resolve();
      if (count > 20) finish.shift()?.();
    }
    const answers = await Promise.all(results);
    expect(most).toBe(2);
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(4);
    expect(answers.filter((answer) => answer === true)).toHaveLength(66);
  });

  test("drops a guess that nobody waits for any more, before it has its turn", async () => {
    const { gate: one } = gate();
    const finish: (() => void)[] = [];
    let checks = 0;
    const slow = async () => {
      checks++;
      await new Promise<void>((resolve) => finish.push(resolve));
      return true;
    };
    const running = ["10.0.1.1", "10.0.1.2"].map((address) => one.pass(from(address), slow));
    const gone = new AbortController();
    const waiting = one.pass(from("10.0.1.3"), slow, gone.signal);
    const next = one.pass(from("10.0.1.4"), slow);
    while (finish.length < 2) await Promise.resolve();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    gone.abort();
    expect(await waiting).toBeUndefined();
    expect(await one.pass(from("10.0.1.5"), slow, gone.signal)).toBeUndefined();
    while (checks < 3) {
      finish.shift()?.();
      await Promise.resolve();
    }
    for (const end of finish) end();
    expect(await Promise.all([...running, next])).toEqual([true, true, true]);
    expect(checks).toBe(3);
  });

  test("guesses that an address sends all at once are checked one by one", async () => {
    let now = 0;
    const checked: number[] = [];
    const one = new SignInGate({
      now: () => now,
      sleep: async (ms) => {
        for (const until = now + ms; now < until; ) {
          await Promise.resolve();
          now += 1;
        }
      },
    });
    const guess = () => {
      checked.push(now);
      return Promise.resolve(false);
    };
    await Promise.all(Array.from({ length: 12 }, () => one.pass(from("10.0.0.1"), guess)));
    // Two run at a time; each failure doubles what all the others wait for.
    expect(checked).toHaveLength(12);
    expect(checked.filter((at) => at === 0).length).toBeLessThanOrEqual(2);
    expect(checked.at(-1)).toBeGreaterThan(60_000);
  });

  test("a success makes up for no failures of other names", async () => {
    const { gate: one, waits } = gate();
    for (let count = 0; count < 3; count++) {
      await one.pass(from("10.0.0.1", "victim"), wrong);
      await one.pass(from("10.0.0.1", "guesser"), right);
    }
    await one.pass(from("10.0.0.1", "victim"), wrong);
    expect(waits).toEqual([0, 500, 500, 0, 1000, 0, 2000]);
  });

  test("a name that has signed in from an address waits for its own failures alone", async () => {
    const { gate: one, waits } = gate();
    await one.pass(from("10.0.0.1", "known"), right);
    // More names than are told apart: what is counted of the known one stays its own.
    for (let count = 0; count < 80; count++) {
      await one.pass(from("10.0.0.1", `guess${count}`), wrong);
    }
    expect(waits.at(-1)).toBe(30_000);
    await one.pass(from("10.0.0.1", "known"), wrong);
    expect(waits.at(-1)).toBe(0);
    await one.pass(from("10.0.0.1", "known"), wrong);
    expect(waits.at(-1)).toBe(500);
  });

  test("strangers that fill the queue keep nobody out who has signed in before", async () => {
    const { gate: one } = gate();
    await one.pass(from("10.0.2.1"), right);
    const order: string[] = [];
    const finish: (() => void)[] = [];
    const slow = (who: string) => async () => {
      order.push(who);
      await new Promise<void>((resolve) => finish.push(resolve));
      return false;
    };
    const strangers = Array.from({ length: 90 }, (_, index) =>
      one.pass(from(`10.0.3.${index}`), slow("stranger")),
    );
    for (let count = 0; count < 20; count++) await Promise.resolve();
    const known = one.pass(from("10.0.2.1"), slow("known"));
    for (let count = 0; count < 400; count++) {
      await Promise.resolve();
      if (count > 20) finish.shift()?.();
    }
    const answers = await Promise.all(strangers);
    expect(await known).toBe(false);
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(24);
    expect(order.indexOf("known")).toBeLessThanOrEqual(3);
  });

  test("counts a /48 of IPv6 together, though more mildly than each of its /64", async () => {
    const { gate: one, waits } = gate();
    const guess = (index: number) => one.pass(from(`2001:db8:7:${index}::1`), wrong);
    for (let index = 1; index <= 8; index++) await guess(index);
    expect(waits).toEqual(Array(8).fill(0));
    await guess(9);
    await guess(10);
    await guess(11);
    expect(waits.slice(8)).toEqual([0, 500, 1000]);
    await one.pass(from("2001:db8:8:1::1"), wrong);
    expect(waits.at(-1)).toBe(0);
  });
});
