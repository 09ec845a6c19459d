import { describe, expect, test } from "bun:test";
import { fromLatin1, latin1 } from "../../../src/core/bytes.ts";
import { expectAnswer, expectCommand } from "../../../src/formats/sync/expectations.ts";
import { maskSecrets } from "../../../src/formats/sync/masking.ts";
import { parseTelemetry } from "../../../src/formats/sync/telemetry.ts";

describe("parseTelemetry()", () => {
  test("tells who said what and when, and knows what is no log", () => {
    const log =
      "---------- admin Sun Nov 22 22:13:46 2026\n\n" +
      "<1795385626<GET USER anne\n>1795385627>* LSUB (user.\xe9)\nOK success\n<1795385628<EXIT\n";
    const pieces = parseTelemetry(fromLatin1(log)) ?? [];
    expect(pieces.map(({ side, time, bytes }) => [side, time, latin1(bytes)])).toEqual([
      ["client", 1795385626, "GET USER anne\n"],
      ["server", 1795385627, "* LSUB (user.\xe9)\nOK success\n"],
      ["client", 1795385628, "EXIT\n"],
    ]);
    expect(parseTelemetry(fromLatin1("root:x:0:0:<1<"))).toBeUndefined();
  });
});

describe("maskSecrets()", () => {
  test("leaves nothing of what one signs in with", () => {
    expect(maskSecrets("AUTHENTICATE PLAIN AGFkbWluAHM=")).toBe("AUTHENTICATE PLAIN …");
    expect(maskSecrets("A01 authenticate plain AGFkbWluAHM=")).toBe("A01 authenticate plain …");
    expect(maskSecrets("a1 LOGIN admin hunter2")).toBe("a1 LOGIN admin …");
    expect(maskSecrets("GET USER LOGIN")).toBe("GET USER LOGIN");
  });
});

describe("expectCommand() and expectAnswer()", () => {
  test("expectCommand() finds the dlist behind verbs of both flavours", () => {
    expect(
      [[], ["S1"], ["GET"], ["S1", "SYNCAPPLY"], ["NOOP"], ["S1", "NOOP"]].map(expectCommand),
    ).toEqual(["word", "word", "line", "line", "text", "text"]);
    expect([[], ["*"], ["*", "MAILBOX"], ["*", "OK"], ["OK"], ["S0"]].map(expectAnswer)).toEqual([
      ...(["word", "word", "value", "text", "text", "text"] as const),
    ]);
  });
});
