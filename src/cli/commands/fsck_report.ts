/**
 * The words and objects of `bobbin fsck`: findings by mailbox, worst first, and the sums at the
 * end.
 */
import { dirname } from "node:path";
import { formatCount, plural } from "../../core/counts.ts";
import { escapeText } from "../../core/escape.ts";
import { CODES, type Code } from "../../fsck/codes.ts";
import { type Finding, severityOf, type ToldFinding, tell } from "../../fsck/finding.ts";
import { atLeast, SEVERITIES, type Severity } from "../../fsck/severity.ts";
import { useridOf } from "../../model/names.ts";
import type { Line } from "../json/lines.ts";
import { displayName, nameFacts, textOfName, userFacts } from "../mailbox_names.ts";
import { CODE_HELP } from "../manual/code_help.ts";
import type { Output } from "../output.ts";
import { columns } from "../table.ts";
import { formatBytes, formatDuration, wrap } from "../text.ts";

export interface ReportOptions {
  readonly minSeverity: Severity;
  readonly internalNames: boolean;
}

export interface ReportTotals {
  readonly mailboxes: number;
  readonly messages: number;
  readonly messagesRead: number;
  /** Records whose message was not opened, unlinked ones aside. */
  readonly messagesLeft: number;
  readonly bytesRead: number;
  readonly elapsedMs: number;
  readonly unstable: number;
  /** Findings of what could not be looked at. */
  readonly unreadable: number;
}

/** The object of `--json` for one finding. */
export function findingObject(finding: Finding): Extract<Line, { type: "finding" }> {
  const { mailbox, userid, ...told } = tell(finding);
  const user = userid ?? (mailbox === undefined ? undefined : useridOf(mailbox));
  return {
    type: "finding",
    code: told.code,
    severity: told.severity,
    text: told.text,
    ...(user !== undefined && userFacts(user)),
    ...(mailbox !== undefined && nameFacts(mailbox)),
    uid: told.uid,
    path: told.path,
    field: told.field,
    expected: told.expected,
    found: told.found,
    other: told.other,
    repair: told.repair,
  };
}

/** Prints findings for people: by mailbox, the worst mailbox first, the worst finding first. */
export function printFindings(
  reported: readonly Finding[],
  output: Output,
  options: ReportOptions,
): void {
  const told = reported.map(tell).filter((one) => atLeast(one.severity, options.minSeverity));
  const alike = output.loudness === "more" ? [] : alikeIn(told, options);
  const grouped = new Set(alike.flatMap(({ findings }) => findings));
  const single = told.filter((one) => !grouped.has(one));
  const groups = Map.groupBy(single, (one) => ownerOf(one, options));
  const worstFirst = [...groups].sort(
    ([leftTitle, left], [rightTitle, right]) =>
      weight(right) - weight(left) || (leftTitle < rightTitle ? -1 : 1),
  );
  const { width } = output;
  for (const [title, findings] of worstFirst) {
    const folders = new Set(findings.flatMap(({ path }) => (path ? [dirname(path)] : [])));
    const [folder] = folders;
    const where = folders.size === 1 ? ` (${folder})` : "";
    output.line(`${bold(escapeText(title), output)}${escapeText(where)}`);
    const rows = findings
      .toSorted((left, right) => rank(right) - rank(left) || (left.uid ?? 0) - (right.uid ?? 0))
      .map((one) => rowOf(one, output, { withPath: folders.size > 1 }));
    for (const line of columns(rows, { width, wrapsLast: true })) output.line(line);
  }
  for (const { findings, titles } of alike) {
    const [first] = findings;
    if (first === undefined) continue;
    const names = titles.slice(0, ALIKE_NAMES).join(", ");
    output.line(bold(`${formatCount(titles.length)} alike`, output));
    const [severity, code, , text] = rowOf(first, output, { withPath: false });
    output.line(`${severity}  ${code}  ${text}`);
    output.line(`  in ${escapeText(names)} … (-v tells each)`);
  }
  if (told.length > 0) output.line("");
}

/** So many mailboxes or users with the same finding are told as one. */
const ALIKE = 10;
const ALIKE_NAMES = 5;

interface AlikeFindings {
  readonly findings: readonly ToldFinding[];
  /** Of whom: mailboxes or users. */
  readonly titles: readonly string[];
}

/** What is found of many mailboxes or users in the same words; a message stands for itself. */
function alikeIn(told: readonly ToldFinding[], options: ReportOptions): readonly AlikeFindings[] {
  const ofMailboxes = told.filter(({ uid }) => uid === undefined);
  const kinds = Map.groupBy(ofMailboxes, ({ code, severity, text }) =>
    [code, severity, text.replace(/\d+/g, "#")].join(" "),
  );
  return [...kinds.values()]
    .map((findings) => {
      return { findings, titles: [...new Set(findings.map((one) => ownerOf(one, options)))] };
    })
    .filter(({ titles }) => titles.length > ALIKE);
}

/** Prints the sums: what was checked, how fast, and how often each code was found. */
export function printTotals(
  reported: readonly Finding[],
  totals: ReportTotals,
  { output, minSeverity }: Pick<ReportOptions, "minSeverity"> & { readonly output: Output },
): void {
  const seconds = totals.elapsedMs / 1000;
  const rate = seconds > 0 ? formatBytes(Math.round(totals.bytesRead / seconds)) : "";
  const read =
    totals.messagesRead === 0
      ? "no message opened"
      : `${formatBytes(totals.bytesRead)} read, ${rate}/s`;
  const parts = [
    plural(totals.mailboxes, "mailbox", "mailboxes"),
    plural(totals.messages, "message"),
    ...(totals.messagesLeft > 0 && totals.messagesRead > 0
      ? [`${formatCount(totals.messagesLeft)} of them not opened`]
      : []),
    `${read}, ${formatDuration(totals.elapsedMs)}`,
  ];
  output.total(parts.join(", "));
  const counts = countByCode(reported);
  const rows = counts.map(({ code, severity, count }) => [
    `  ${code}`,
    paint(severity, output),
    formatCount(count),
    CODES[code].title,
  ]);
  const { width } = output;
  for (const line of columns(rows, { width, wrapsLast: true })) output.total(line);
  const worth = counts.filter(({ severity }) => atLeast(severity, "warning"));
  const advice = Map.groupBy(worth, ({ code }) => CODE_HELP[code].advice);
  for (const [text, codes] of advice) {
    const told = `${[...new Set(codes.map(({ code }) => code))].join(", ")}: ${text}`;
    for (const line of width === undefined ? [told] : wrap(told, width)) output.total(line);
  }
  const hidden = counts.filter(({ severity }) => !atLeast(severity, minSeverity));
  if (hidden.length > 0) {
    const codes = hidden.map(({ code }) => code).join(", ");
    const lowest = hidden.at(-1)?.severity;
    output.total(`\`--min-severity ${lowest}\` shows each finding (${codes})`);
  }
  if (worth.length > 0) output.total(`\`bobbin help ${worth[0]?.code}\` tells what it means`);
  if (counts.length === 0) output.total("nothing wrong");
  if (totals.unreadable > 0) {
    const things = plural(totals.unreadable, "thing");
    output.line(`${things} could not be looked at, and may be sound or not: see the findings`);
  }
  if (totals.unstable > 0) {
    const text = plural(totals.unstable, "mailbox", "mailboxes");
    output.line(`${text} changed under every look and could not be judged: run fsck again`);
  }
}

/** How often each code was found, the worst first. */
export function countByCode(
  reported: readonly Finding[],
): { readonly code: Code; readonly severity: Severity; readonly count: number }[] {
  const counts = new Map<string, { code: Code; severity: Severity; count: number }>();
  for (const one of reported) {
    const { code } = one;
    const severity = severityOf(one);
    const key = `${code} ${severity}`;
    const before = counts.get(key)?.count ?? 0;
    counts.set(key, { code, severity, count: before + 1 });
  }
  return [...counts.values()].sort(
    (left, right) =>
      SEVERITIES.indexOf(right.severity) - SEVERITIES.indexOf(left.severity) ||
      (left.code < right.code ? -1 : 1),
  );
}

function ownerOf({ mailbox, userid }: ToldFinding, { internalNames }: ReportOptions): string {
  if (mailbox !== undefined) return displayName(mailbox, { internal: internalNames });
  return userid === undefined ? "outside of any mailbox" : `user ${textOfName(userid)}`;
}

function rank(finding: ToldFinding): number {
  return SEVERITIES.indexOf(finding.severity);
}

/** A mailbox with one critical finding comes before one with a hundred errors. */
function weight(findings: readonly ToldFinding[]): number {
  const worst = findings.reduce((most, one) => Math.max(most, rank(one)), -1);
  return worst * 1e9 + findings.length;
}

/** Codes of which the mailbox alone does not tell what file or folder is meant. */
const OF_FOLDERS = /^(DB|PM|TM|ST|MS08|MS10)/;

function rowOf(
  finding: ToldFinding,
  output: Output,
  { withPath }: { readonly withPath: boolean },
): string[] {
  const { code, severity, uid, text, path, expected, found, other, field } = finding;
  const facts: string[] = [];
  if (field === "messages") facts.push(`${found}, first UID ${uid}`);
  else if (expected !== undefined) facts.push(`expected ${expected}, found ${found ?? "nothing"}`);
  else if (found !== undefined) facts.push(`found ${found}`);
  if (other !== undefined) facts.push(`other: ${other}`);
  const shown = new Set(["IX07", "IX08", "IX09", "IX10", "IX11", "IX12", "IX13"]);
  const tail = facts.length > 0 && !shown.has(code) ? ` (${facts.join("; ")})` : "";
  const where = uid === undefined || field === "messages" ? "" : `uid ${uid}`;
  const place = path !== undefined && (withPath || OF_FOLDERS.test(code)) ? `: ${path}` : "";
  return [`  ${paint(severity, output)}`, code, where, escapeText(text + tail + place)];
}

const COLOURS: Readonly<Record<Severity, string>> = {
  critical: "31;1",
  error: "31",
  warning: "33",
  info: "2",
};

function paint(severity: Severity, output: Output): string {
  return output.color ? `\u001b[${COLOURS[severity]}m${severity}\u001b[0m` : severity;
}

function bold(text: string, output: Output): string {
  return output.color ? `\u001b[1m${text}\u001b[0m` : text;
}
