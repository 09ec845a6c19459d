/**
 * The records of mailboxes.db among themselves (rows DB04, DB05, DB09, DB10).
 *
 * Since 3.6 each mailbox has an N and an I record that say the same. Tombstones have an N record
 * that names the uniqueid of what the mailbox became. When Cyrus purges a deleted mailbox it leaves
 * the I record behind, with the name below DELETED that is no more: legal, and seen on every server
 * that expires.
 */
import type { MailboxEntry } from "../../formats/cyrus/mailbox_entry.ts";
import type { MailboxesDb, ReverseAcl } from "../../formats/cyrus/mailboxes_db.ts";
import { isValidName, useridOf } from "../../model/names.ts";
import { type FactsOf, type Finding, finding } from "../finding.ts";
import { ownerLookup, type RecordIndex } from "./mailbox_directory.ts";

export interface MailboxRecordsInput {
  readonly mailboxes: MailboxesDb;
  /** False where mailboxes.db is damaged: then what is missing from it proves nothing. */
  readonly complete: boolean;
  readonly deletedprefix: string;
  /** Who needs no reverse ACL rows. */
  readonly admins: readonly string[];
  readonly records: RecordIndex;
}

/** Compares the records of mailboxes.db with each other. */
export function checkMailboxRecords(input: MailboxRecordsInput): Finding[] {
  const { mailboxes, records } = input;
  const context: Context = { ...input, ...records, findings: [] };
  checkDuplicates(context);
  checkNames(context);
  if (mailboxes.generation === "keyed") {
    checkNameRecords(context);
    checkUniqueidRecords(context);
    checkJmapRecords(context);
  }
  if (mailboxes.reverseAclsKept && input.complete) checkReverseAcls(context);
  return context.findings;
}

function contradiction(mailbox: string, facts: FactsOf<"DB04">): Finding {
  return finding("DB04", { mailbox }, facts);
}

interface Context extends MailboxRecordsInput, RecordIndex {
  readonly findings: Finding[];
}

function isDeletedName({ deletedprefix }: Context, name: string): boolean {
  return name.slice(name.indexOf("!") + 1).startsWith(`${deletedprefix}.`);
}

/** DB05: of two live names with one uniqueid its I record's is right, else the older one. */
function checkDuplicates({ mailboxes, byUniqueid, findings }: Context): void {
  const owners = new Map<string, MailboxEntry>();
  for (const entry of mailboxes.names) {
    const { uniqueid } = entry;
    if (entry.type.deleted || uniqueid === undefined || uniqueid === "") continue;
    const other = owners.get(uniqueid);
    if (other === undefined) {
      owners.set(uniqueid, entry);
      continue;
    }
    const rightful = byUniqueid.get(uniqueid)?.name;
    const isRight = entry.name === rightful || entry.uidvalidity < other.uidvalidity;
    const [owner, copy] = isRight && other.name !== rightful ? [entry, other] : [other, entry];
    owners.set(uniqueid, owner);
    const facts = { uniqueid, original: owner.name };
    findings.push(finding("DB05", { mailbox: copy.name }, facts));
  }
}

function checkNames(context: Context): void {
  const { mailboxes, byName, findings, complete } = context;
  for (const { name, type } of mailboxes.names) {
    if (type.deleted) continue;
    if (SUSPICIOUS.test(name) && !isValidName(name)) {
      findings.push(finding("DB10", { mailbox: name }, { name }));
    }
    // Before 3.6 the parent of a mailbox did not need to exist, and no upgrade makes one.
    if (mailboxes.generation !== "keyed" || !complete || isDeletedName(context, name)) continue;
    const parent = parentOf(name);
    const entry = parent === undefined ? undefined : byName.get(parent);
    if (parent === undefined || (entry !== undefined && !entry.type.deleted)) continue;
    findings.push(finding("DB10", { mailbox: name }, { missingParent: parent }));
  }
}

/**
 * Every name that `isValidName` refuses matches this, and few others do: a cheap test comes first.
 */
const SUSPICIOUS = /[^ -~]|[!/*%?]|^\.|\.\.|\.$|^$|.{490}/;

/** The mailbox above, or undefined for an INBOX and for a name at the top. */
function parentOf(name: string): string | undefined {
  const start = name.indexOf("!") + 1;
  const end = name.lastIndexOf(".");
  if (end <= start) return undefined;
  const parent = name.slice(0, end);
  return parent.slice(start) === "user" ? undefined : parent;
}

function checkNameRecords({ mailboxes, byName, byUniqueid, findings, complete }: Context): void {
  for (const entry of mailboxes.names) {
    const { name, type, uniqueid } = entry;
    if (type.deleted) continue;
    if (uniqueid === undefined || uniqueid === "") {
      if (type.intermediate || type.reserved || type.remote) continue;
      findings.push(contradiction(name, { what: "no_uniqueid", field: "I" }));
      continue;
    }
    const twin = byUniqueid.get(uniqueid);
    if (twin === undefined) {
      if (complete)
        findings.push(contradiction(name, { what: "no_i_record", field: "I", expected: uniqueid }));
    } else if (twin.name === name) compareTwins(findings, entry, { twin });
    else if (!isSharing(byName.get(twin.name), uniqueid)) {
      findings.push(
        contradiction(name, { what: "other_name", field: "N", expected: name, found: twin.name }),
      );
    }
  }
}

/** Two live names with one uniqueid are DB05 already. */
function isSharing(other: MailboxEntry | undefined, uniqueid: string): boolean {
  return other !== undefined && !other.type.deleted && other.uniqueid === uniqueid;
}

function compareTwins(
  findings: Finding[],
  entry: MailboxEntry,
  { twin }: { readonly twin: MailboxEntry },
): void {
  // Nearly all twins are equal, and then type and ACL are the same objects.
  const same =
    entry.type === twin.type &&
    entry.acl === twin.acl &&
    entry.partition === twin.partition &&
    entry.server === twin.server &&
    entry.jmapid === twin.jmapid &&
    entry.uidvalidity === twin.uidvalidity &&
    entry.createdmodseq === twin.createdmodseq &&
    entry.foldermodseq === twin.foldermodseq;
  if (same) return;
  const fields: readonly (readonly [string, string, string])[] = [
    ["T", entry.type.text, twin.type.text],
    ["P", entry.partition ?? "", twin.partition ?? ""],
    ["S", entry.server ?? "", twin.server ?? ""],
    ["J", entry.jmapid ?? "", twin.jmapid ?? ""],
    ["V", `${entry.uidvalidity}`, `${twin.uidvalidity}`],
    ["C", `${entry.createdmodseq}`, `${twin.createdmodseq}`],
    ["F", `${entry.foldermodseq}`, `${twin.foldermodseq}`],
    ["A", aclAsStored(entry), aclAsStored(twin)],
  ];
  for (const [field, expected, found] of fields) {
    if (expected === found) continue;
    findings.push(contradiction(entry.name, { what: "differs", field, expected, found }));
  }
}

function aclAsStored({ acl }: MailboxEntry): string {
  return acl.map(({ identifier, rights }) => `${identifier} ${rights}`).join(", ");
}

function checkUniqueidRecords(context: Context): void {
  const { mailboxes, byName, findings, complete } = context;
  for (const { name, type, uniqueid = "" } of mailboxes.uniqueids) {
    if (type.deleted) continue;
    const entry = byName.get(name);
    if (entry === undefined) {
      if (!complete || isDeletedName(context, name)) continue;
      findings.push(contradiction(name, { what: "no_n_record", field: "I", found: uniqueid }));
    } else if (entry.uniqueid !== uniqueid) {
      const values = { expected: entry.uniqueid ?? "", found: uniqueid };
      findings.push(contradiction(name, { what: "other_uniqueid", field: "I", ...values }));
    } else if (entry.type.deleted) {
      findings.push(contradiction(name, { what: "tombstone", field: "T", found: uniqueid }));
    }
  }
}

/**
 * J records exist since 3.13, one for each JMAP id of a user. Several mailboxes may have the same,
 * as by default the counter behind it stands still: then the record is of the one written last, and
 * goes with it.
 */
function checkJmapRecords(context: Context): void {
  const { mailboxes, byName, findings, complete } = context;
  const seen = new Set<string>();
  for (const { userid, entry } of mailboxes.jmapids) {
    const { name, jmapid = "", uniqueid } = entry;
    seen.add(`${userid} ${jmapid}`);
    const other = byName.get(name);
    if (other === undefined && (!complete || isDeletedName(context, name))) continue;
    const isRight = other?.uniqueid === uniqueid && other?.jmapid === jmapid;
    if (isRight && (useridOf(name) ?? "") === userid) continue;
    findings.push(
      contradiction(name, { what: "jmap_differs", field: "J", found: `${userid} ${jmapid}` }),
    );
  }
  if (!complete || seen.size === 0) return;
  for (const { name, type, jmapid } of mailboxes.names) {
    const isSeen = seen.has(`${useridOf(name) ?? ""} ${jmapid}`);
    if (type.deleted || jmapid === undefined || isSeen) continue;
    findings.push(contradiction(name, { what: "no_j_record", field: "J", expected: jmapid }));
  }
}

/**
 * DB09: one row for everybody an ACL lets see a mailbox, but its owner and the administrators.
 * Until 3.4 that took the right r, since 3.6 l is enough.
 */
function checkReverseAcls({ mailboxes, admins, findings }: Context): void {
  const needed = mailboxes.generation === "keyed" ? /[lr]/ : /r/;
  const missing = new Map<string, ReverseAcl>();
  const ownerOf = ownerLookup();
  for (const { name, type, acl } of mailboxes.names) {
    if (type.deleted) continue;
    const userid = ownerOf(name);
    const owner = userid === undefined ? "shared" : "user";
    for (const { identifier, rights } of acl) {
      if (!needed.test(rights) || identifier === userid || admins.includes(identifier)) continue;
      missing.set(`${owner} ${identifier} ${name}`, { owner, identifier, name });
    }
  }
  for (const { owner, identifier, name } of mailboxes.reverseAcls) {
    if (missing.delete(`${owner} ${identifier} ${name}`)) continue;
    findings.push(finding("DB09", { mailbox: name }, { what: "surplus", identifier }));
  }
  for (const { name, identifier } of missing.values()) {
    findings.push(finding("DB09", { mailbox: name }, { what: "missing", identifier }));
  }
}
