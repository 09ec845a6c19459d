import { describe, expect, test } from "bun:test";
import { limitedLogs, makeLog, sinkThatMayFail } from "../../src/core/log.ts";

describe("log", () => {
  test("lines cannot be forged, and facts stand behind the words", () => {
    const lines: string[] = [];
    const options = {
      sink: (line: string) => lines.push(line),
      level: "info",
      now: () => 0,
    } as const;
    const log = makeLog({ ...options, form: "text" }).with({ peer: "::1" });
    log.write("warning", "Refused\nx error forged", { user: 'a"b\r\n', n: 5n, none: undefined });
    log.write("debug", "not wanted");
    log.write("info", "y".repeat(3000));
    makeLog({ ...options, form: "journal" }).write("error", "Broken", { why: "a b" });
    expect(lines).toEqual([
      "1970-01-01T00:00:00.000Z warning Refused\\u{a}x error forged " +
        'peer=::1 user="a\\"b\\\\u{d}\\\\u{a}" n=5',
      `1970-01-01T00:00:00.000Z info ${"y".repeat(2000)}… (3000) peer=::1`,
      '<3>Broken why="a b"',
    ]);
  });

  test("a line that cannot be written stops nobody, and is counted in the next that can", () => {
    const lines: string[] = [];
    let isFull = true;
    const sink = sinkThatMayFail((line) => {
      if (isFull) throw Object.assign(new Error("full"), { code: "ENOSPC" });
      return lines.push(line) > 0;
    });
    sink("a");
    sink("b");
    isFull = false;
    sink("c");
    sink("d");
    expect(lines).toEqual(["c linesLostBefore=2", "d"]);
  });

  test("an origin may write a thousand lines, then ten a second, and says what is missing", () => {
    const lines: string[] = [];
    let nowMs = 0;
    const log = makeLog({
      sink: (line) => lines.push(line),
      form: "journal",
      level: "info",
      now: () => 0,
    });
    const limit = limitedLogs(() => nowMs);
    for (let count = 0; count < 3000; count++) limit(log, "a").with({ peer: 1 }).write("info", "x");
    expect(lines).toHaveLength(1000);
    limit(log, "b").write("info", "y");
    expect(lines).toHaveLength(1001);
    nowMs = 1000;
    for (let count = 0; count < 100; count++) limit(log, "a").write("info", "z");
    expect(lines.slice(1001, 1003)).toEqual(["<6>z linesUnwritten=2000", "<6>z"]);
    expect(lines).toHaveLength(1011);
  });
});
