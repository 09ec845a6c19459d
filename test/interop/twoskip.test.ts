import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { utf8 } from "../../src/core/bytes.ts";
import type { DatabaseEntry } from "../../src/formats/cyrus/databases/database_contents.ts";
import { readTwoskip } from "../../src/formats/cyrus/databases/twoskip.ts";
import { type FileWrite, TwoskipEdit } from "../../src/formats/cyrus/databases/twoskip_edit.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { type CyrusTools, cyrusTools } from "../support/cyrus_tools.ts";
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

describe("cyr_dbtool and TwoskipEdit", () => {
  const script = Array.from({ length: 400 }, (_, at) => `SET key${at} value${at}\n`).join("");

  /** A file that Cyrus has written record by record, and what Bobbin is to change in it. */
  function changed(tools: CyrusTools, name: string) {
    const path = tools.write(name, "");
    rmSync(path);
    const input = `BEGIN\n${script}COMMIT\n`;
    tools.run("cyr_dbtool", ["-n", path, "twoskip", "batch"], { input });
    const edit = new TwoskipEdit(readFileSync(path));
    for (let at = 0; at < 300; at++) edit.put({ key: utf8(`more${at}`), value: utf8(`${at}`) });
    edit.put({ key: utf8("key7"), value: utf8("changed") });
    expect(edit.remove(utf8("key8"))).toBe(true);
    expect(edit.remove(utf8("key9"))).toBe(true);
    return { path, writes: edit.writes() };
  }

  function write(path: string, writes: readonly FileWrite[]): void {
    const fd = openSync(path, "r+");
    for (const { bytes, offset } of writes) writeSync(fd, bytes, 0, bytes.length, offset);
    closeSync(fd);
  }

  test.skipIf(tools === undefined)("agree on a file that both have changed in turn", () => {
    if (tools === undefined) return;
    const { path, writes } = changed(tools, "edited.db");
    write(path, writes);
    expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "consistent"])).toContain("Yes");
    tools.run("cyr_dbtool", ["-n", path, "twoskip", "set", "more5", "again"]);
    tools.run("cyr_dbtool", ["-n", path, "twoskip", "delete", "key7"]);
    const contents = readTwoskip(readFileSync(path));
    expect({ ...contents, entries: [] }).toEqual({ entries: [], problems: [], unfinished: false });
    const texts = textsOf(contents);
    expect(texts).toMatchObject({ more5: "again", more299: "299", key10: "value10" });
    expect(Object.keys(texts)).toHaveLength(400 + 300 - 3);
    const lines = Object.entries(texts).map(([key, value]) => `${key}\t${value}\n`);
    expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "show"])).toBe(lines.join(""));
  });

  test.skipIf(tools === undefined)("agree that a change that was cut off never began", () => {
    if (tools === undefined) return;
    const { path, writes } = changed(tools, "cut.db");
    const before = textsOf(readTwoskip(readFileSync(path)));
    write(path, writes.slice(0, -1));
    expect(textsOf(readTwoskip(readFileSync(path)))).toEqual(before);
    const lines = Object.entries(before).map(([key, value]) => `${key}\t${value}\n`);
    expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "show"])).toBe(lines.join(""));
    expect(tools.run("cyr_dbtool", ["-n", path, "twoskip", "consistent"])).toContain("Yes");
  });
});
