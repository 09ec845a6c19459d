import { describe, expect, test } from "bun:test";
import { isKeyword, orderFlags, sameFlags, systemFlagOf } from "../../src/model/flags.ts";

describe("flags", () => {
  test("orderFlags() puts system flags first, each once, and drops unknown ones", () => {
    const flags = ["$Label1", "\\seen", "\\ANSWERED", "\\Nonsense", "$label1", "\\Seen", "Old"];
    expect(orderFlags(flags)).toEqual(["\\Answered", "\\Seen", "$Label1", "Old"]);
  });

  test("sameFlags() minds neither order nor case", () => {
    expect(sameFlags(["\\Seen", "$A"], ["$a", "\\seen"])).toBe(true);
    expect(sameFlags(["\\Seen"], ["\\Seen", "$A"])).toBe(false);
    expect(sameFlags(["\\Seen", "$B"], ["\\Seen", "$A"])).toBe(false);
  });

  test("systemFlagOf() and isKeyword() tell flags from keywords", () => {
    expect(systemFlagOf("\\draft")).toBe("\\Draft");
    expect(systemFlagOf("Draft")).toBeUndefined();
    expect(["$Label1", "Junk", "a:b", "a]", "NIL"].every(isKeyword)).toBe(true);
    expect(["", "\\Seen", "a b", "a(b", "a*", "a{b", "a\tb", "ü", 'a"', "a%"].some(isKeyword)).toBe(
      false,
    );
  });
});
