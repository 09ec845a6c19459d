import { describe, expect, test } from "bun:test";
import { type Look, lookUntilSame } from "../../src/places/stable.ts";

const PAUSES_MS = [0, 0, 0];

/** Looks that find these values in turn; `!` = wrong, `~` = somebody writes during the look. */
async function looking(...finds: readonly string[]): Promise<string> {
  let looks = 0;
  const look = (before: string | undefined): Look<string> => {
    const found = finds[looks] ?? expect.unreachable("one look too many");
    looks += 1;
    const value = found.replaceAll(/[!~]/g, "");
    if (before !== undefined) expect(finds[looks - 2]).toStartWith(`${before}!`);
    return {
      value,
      trust: found.includes("!") ? "suspect" : "plausible",
      stands: () => !found.includes("~"),
    };
  };
  const isSame = (before: string, now: string) => before === now;
  const { value, isSure } = await lookUntilSame(look, { isSame, pausesMs: PAUSES_MS });
  return `${looks} ${value}${isSure ? "" : "?"}`;
}

describe("lookUntilSame()", () => {
  test("believes at once what is right, where nobody wrote", async () => {
    expect(await looking("a")).toBe("1 a");
    expect(await looking("a~", "b~", "c")).toBe("3 c");
  });

  test("believes a fault that the next look finds again, with no write in between", async () => {
    expect(await looking("a!", "a!")).toBe("2 a");
    expect(await looking("a!", "b!", "b!")).toBe("3 b");
    expect(await looking("a!", "a!~", "a!")).toBe("3 a");
    expect(await looking("a!", "b~", "a!", "a!")).toBe("4 a");
    expect(await looking("a!", "b")).toBe("2 b");
  });

  test("gives the last value as not sure where it never stands still", async () => {
    expect(await looking("a!", "b!", "c!", "d!")).toBe("4 d?");
    expect(await looking("a~", "b~", "c~", "d~")).toBe("4 d?");
    expect(await looking("a!~", "a!~", "a!~", "a!~")).toBe("4 a?");
  });

  test("asks for nothing more where the value itself proves that it is right", async () => {
    const stands = () => expect.unreachable("asked");
    const look = (): Look<number> => ({ value: 1, trust: "proven", stands });
    const found = await lookUntilSame(look, { isSame: () => false });
    expect(found).toEqual({ value: 1, isSure: true });
  });

  test("looks once more where files that had come to rest have changed all the same", async () => {
    const order: string[] = [];
    const look = (): Look<number> => ({
      value: order.push("look"),
      trust: "plausible",
      isSettled: true,
      stands: () => order.push("stands") > 2,
    });
    expect((await lookUntilSame(look, { isSame: () => false, pausesMs: [0] })).isSure).toBe(true);
    expect(order).toEqual(["look", "stands", "look", "stands"]);
  });
});
