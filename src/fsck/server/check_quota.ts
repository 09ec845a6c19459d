/**
 * Quota roots against the mailboxes they count (rows QU01, QU02). A mailbox counts for the root
 * that its cyrus.header names; Cyrus sets it when a mailbox or a root is made.
 */
import { pushAll } from "../../core/lists.ts";
import { QUOTA_RESOURCES, type QuotaResource, type QuotaRoot } from "../../formats/cyrus/quota.ts";
import type { MailboxFacts } from "../../places/cyrus/mailbox/mailbox_facts.ts";
import type { ImapdConf } from "../../places/cyrus/server/imapd_conf.ts";
import type { QuotaReading } from "../../places/cyrus/server/quota_roots.ts";
import { type Finding, finding } from "../finding.ts";
import type { ListedMailbox } from "./mailbox_directory.ts";

export interface QuotaInput {
  readonly roots: readonly QuotaReading[];
  readonly listed: readonly ListedMailbox[];
  /** False where mailboxes.db is damaged: then sums and owners of roots are not known. */
  readonly complete: boolean;
  readonly conf: Pick<ImapdConf, "quotaUseConversations">;
}

/** Compares use and sums, and the roots in headers with those that exist. */
export function checkQuota(input: QuotaInput): Finding[] {
  const findings: Finding[] = [];
  const roots = new Map(input.roots.map((reading) => [reading.root, reading]));
  for (const { root, path, fault } of input.roots) {
    if (fault === undefined) continue;
    findings.push(finding("QU01", { path }, { what: "root", root, fault }));
  }
  const sums = new Map<string, Sum>();
  const counted = new Set<MailboxFacts>();
  for (const mailbox of input.listed) {
    const { facts } = mailbox;
    // Two entries may name one folder by mistake, which is then DB05.
    if (facts === undefined || !counted.has(facts)) addMailbox(sums, mailbox, { roots });
    if (facts !== undefined) counted.add(facts);
    const wrong = checkRootOf(mailbox, roots);
    if (wrong !== undefined) findings.push(wrong);
  }
  if (!input.complete || input.roots.length === 0) return findings;
  const names = namesAndParents(input.listed);
  for (const { root, path, quota } of input.roots) {
    const sum = sums.get(root);
    if (quota !== undefined && !quota.scanning && sum?.incomplete !== true) {
      pushAll(findings, compareSum({ root, path }, quota, { sum: sum ?? newSum(), input }));
    }
    if (sum !== undefined || names.has(root)) continue;
    findings.push(finding("QU02", { path }, { what: "no_mailbox", root }));
  }
  return findings;
}

interface Sum {
  readonly used: Record<QuotaResource, bigint>;
  /** A mailbox could not be read, or is too old to know its part of a resource. */
  incomplete: boolean;
  annotationsUnknown: boolean;
}

function newSum(): Sum {
  return { used: { S: 0n, M: 0n, AS: 0n, NF: 0n }, incomplete: false, annotationsUnknown: false };
}

function sumOf(sums: Map<string, Sum>, root: string): Sum {
  const sum = sums.get(root) ?? newSum();
  sums.set(root, sum);
  return sum;
}

function addMailbox(
  sums: Map<string, Sum>,
  { entry, facts }: ListedMailbox,
  { roots }: { readonly roots: ReadonlyMap<string, QuotaReading> },
): void {
  const root =
    facts?.header === undefined ? nearestRoot(entry.name, roots) : facts.header.quotaroot;
  if (root === undefined || root === null || root === "") return;
  const sum = sumOf(sums, root);
  if (facts?.header === undefined || facts.index === undefined) {
    sum.incomplete = true;
    return;
  }
  const { quotaMailboxUsed, exists, quotaAnnotUsed, minorVersion } = facts.index;
  sum.used.S += quotaMailboxUsed;
  sum.used.M += BigInt(exists);
  sum.used.AS += quotaAnnotUsed;
  sum.used.NF += 1n;
  // Versions below 13 have no field for the bytes of annotations.
  if (minorVersion < 13) sum.annotationsUnknown = true;
}

function compareSum(
  { root, path }: { readonly root: string; readonly path: string },
  quota: QuotaRoot,
  { sum, input }: { readonly sum: Sum; readonly input: QuotaInput },
): Finding[] {
  const findings: Finding[] = [];
  for (const resource of QUOTA_RESOURCES) {
    if (!quota.listed.has(resource)) continue;
    if (resource === "AS" && sum.annotationsUnknown) continue;
    // With quota_use_conversations these are counted per conversation, not per mailbox.
    if (input.conf.quotaUseConversations && (resource === "S" || resource === "M")) continue;
    const found = quota.resources[resource].used;
    const expected = sum.used[resource];
    if (found === expected) continue;
    findings.push(finding("QU01", { path }, { what: "sum", root, resource, expected, found }));
  }
  return findings;
}

/** QU02: the root that the header names must exist, and be the nearest one above the mailbox. */
function checkRootOf(
  { entry, facts }: ListedMailbox,
  roots: ReadonlyMap<string, QuotaReading>,
): Finding | undefined {
  if (facts?.header === undefined) return undefined;
  const found = facts.header.quotaroot ?? "";
  const expected = nearestRoot(entry.name, roots) ?? "";
  if (found === expected) return undefined;
  const what = roots.has(found) ? "not_nearest" : found === "" ? "none" : "no_such";
  const at = { mailbox: entry.name, path: `${facts.path}/cyrus.header` };
  return finding("QU02", at, { what, expected, found });
}

/** The mailbox itself or the nearest above it that is a quota root; at last its domain. */
function nearestRoot(name: string, roots: ReadonlyMap<string, QuotaReading>): string | undefined {
  const start = name.indexOf("!") + 1;
  for (let end = name.length; end > start; end = name.lastIndexOf(".", end - 1)) {
    const root = name.slice(0, end);
    if (roots.has(root)) return root;
  }
  const domain = name.slice(0, start);
  return domain !== "" && roots.has(domain) ? domain : undefined;
}

/** Names of all mailboxes, of everything above them, and of their domains. */
function namesAndParents(listed: readonly ListedMailbox[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { entry } of listed) {
    const start = entry.name.indexOf("!") + 1;
    let name = entry.name;
    while (name.length > start && !names.has(name)) {
      names.add(name);
      name = name.slice(0, Math.max(start, name.lastIndexOf(".")));
    }
    names.add(entry.name.slice(0, start));
  }
  return names;
}
