/** The words of fsck: what many mailboxes have in common is told once, and what may be done. */
import { describe, expect, test } from "bun:test";
import { printFindings, printTotals } from "../../../src/cli/commands/fsck_report.ts";
import { type Loudness, processOutput } from "../../../src/cli/output.ts";
import { finding } from "../../../src/fsck/finding.ts";

const twice = finding("MS13", { mailbox: "user.u1", uid: 7 }, {});
const reported = Array.from({ length: 12 }, (_, at) =>
  finding(
    "IX09",
    { mailbox: `user.u${at}`, path: `/spool/user/u${at}/cyrus.index` },
    { field: "exists", expected: at, found: at + 1, inCommit: false },
  ),
);

function told(loudness: Loudness): string[] {
  const lines: string[] = [];
  const take = (text: string) => void lines.push(text);
  const options = { json: false, loudness, progress: false };
  const output = { ...processOutput(options), line: take, total: take };
  printFindings([...reported, twice], output, { minSeverity: "warning", internalNames: false });
  printTotals(
    [...reported, twice],
    {
      ...{ mailboxes: 12, messages: 0, messagesRead: 0, messagesLeft: 0, bytesRead: 0 },
      ...{ elapsedMs: 1, unstable: 0, unreadable: 0 },
    },
    { output, minSeverity: "warning" },
  );
  return lines;
}

describe("fsck", () => {
  test("tells what more than ten mailboxes have in common once", () => {
    const lines = told("usual");
    expect(lines.slice(0, 4)).toEqual([
      "12 alike",
      "  error  IX09  exists is 1, its records say 0",
      "  in user/u0, user/u1, user/u2, user/u3, user/u4 … (-v tells each)",
      "",
    ]);
  });

  test("tells each with -v, and where it lies", () => {
    const lines = told("more");
    expect(lines.filter((line) => line.includes("IX09  "))).toHaveLength(13);
    expect(lines).toContain("user/u7 (/spool/user/u7)");
  });

  test("tells what may be done, once for all codes of which it is true", () => {
    const lines = told("usual");
    expect(lines.filter((line) => line.startsWith("IX09: "))).toHaveLength(1);
    expect(lines.slice(-2)).toEqual([
      "`--min-severity info` shows each finding (MS13)",
      "`bobbin help IX09` tells what it means",
    ]);
  });
});
