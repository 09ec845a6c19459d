import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { utf8 } from "../../src/core/bytes.ts";
import type { DatabaseEntry } from "../../src/formats/cyrus/databases/database_contents.ts";
import { readTwoskip } from "../../src/formats/cyrus/databases/twoskip.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { cyrusTools } from "../support/cyrus_tools.ts";
import { textsOf } from "../support/databases.ts";

const tools = cyrusTools();

function entriesUpTo(count: number): DatabaseEntry[] {
  return Array.from({ length: count }, (_, at) => ({
    key: utf8(`key${(at * 7919) % 10007}`),
    value: utf8(`${at}${"v".repeat(at % 300)}`),
  }));
}

describe("cyr_dbtool and writeTwoskip()", () => {
  for (const count of [0, 1, 2, 3, 100, 3000]) {
    test.skipIf(tools === undefined)(`agree on a file of ${count} records`, () => {
      if (tools === undefined) return;
      const entries = entriesUpTo(count);
      const path = tools.write(`w${count}.db`, writeTwoskip(entries));
      const lines = entries
        .map(({ key, value }) => `${Buffer.from(key)}\t${Buffer.from(value)}\n`)
        .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
      expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "consistent"])).toContain("Yes");
      expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "show"])).toBe(lines.join(""));
    });
  }

  test.skipIf(tools === undefined)("agree after Cyrus changed what Bobbin wrote", () => {
    if (tools === undefined) return;
    const path = tools.write("changed.db", writeTwoskip(entriesUpTo(50)));
    const script = "BEGIN\nSET new 1\nDELETE key0\nSET key7919 changed\nCOMMIT\n";
    tools.run("cyr_dbtool", ["-n", path, "twoskip", "batch"], { input: script });
    const contents = readTwoskip(readFileSync(path));
    expect(contents.problems).toEqual([]);
    const shown = tools.run("cyr_dbtool", ["-n", path, "twoskip", "show"]);
    const lines = Object.entries(textsOf(contents)).map(([key, value]) => `${key}\t${value}\n`);
    expect(lines.join("")).toBe(shown);
    expect(textsOf(contents)).toMatchObject({ new: "1", key7919: "changed" });
    expect(textsOf(contents)).not.toHaveProperty("key0");
  });
});
