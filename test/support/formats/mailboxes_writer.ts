/** Writing records of mailboxes.db in the form since Cyrus 3.6 (spool-format 7.1). */
import { fromLatin1 } from "../../../src/core/bytes.ts";
import type { DatabaseEntry } from "../../../src/formats/cyrus/databases/database_contents.ts";
import { dbNameOfInternal } from "../../../src/formats/cyrus/mailbox_dbname.ts";
import type { FormerName, MailboxEntry } from "../../../src/formats/cyrus/mailbox_entry.ts";
import type { JmapRecord, ReverseAcl } from "../../../src/formats/cyrus/mailboxes_db.ts";
import { printValue } from "../../../src/formats/dlist/print.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  NIL,
} from "../../../src/formats/dlist/value.ts";

/** The N record of a mailbox or tombstone. */
export function printNameRecord(entry: MailboxEntry): DatabaseEntry {
  const value = entryValue(entry, { without: "N" });
  return record(`N${dbNameOfInternal(entry.name)}`, value);
}

/** The I record of a mailbox, with its former names; the entry must have a uniqueid. */
export function printUniqueidRecord(
  entry: MailboxEntry & { readonly uniqueid: string },
): DatabaseEntry {
  return record(`I${entry.uniqueid}`, entryValue(entry, { without: "I" }));
}

/** The J record of a mailbox, as 3.13 keeps it; the entry must have a JMAP id. */
export function printJmapRecord({ userid, entry }: JmapRecord): DatabaseEntry {
  return record(`J${userid}\x1e${entry.jmapid ?? ""}`, entryValue(entry, { without: "J" }));
}

/** One reverse ACL row. */
export function printReverseAcl({ owner, identifier, name }: ReverseAcl): DatabaseEntry {
  const letter = owner === "user" ? "U" : "S";
  return record(`A${letter}\x1e${identifier}\x1e${dbNameOfInternal(name)}`, undefined);
}

/** The row that says that reverse ACLs are kept. */
export function printReverseAclsKept(): DatabaseEntry {
  return record("AS\x1e", undefined);
}

function record(key: string, value: DlistKvlist | undefined): DatabaseEntry {
  const bytes = value === undefined ? new Uint8Array() : printValue(value, { from: "server" });
  return { key: fromLatin1(key), value: bytes };
}

/** The fields in Cyrus' order; what the key says is left out, and only I records have a history. */
function entryValue(entry: MailboxEntry, key: { readonly without: "N" | "I" | "J" }): DlistKvlist {
  const { without } = key;
  const { uniqueid, jmapid, acl } = entry;
  return dlistKvlist([
    ["T", dlistLatin1(entry.type.text)],
    ["N", without === "N" ? undefined : dlistLatin1(dbNameOfInternal(entry.name))],
    ["I", without === "I" ? undefined : uniqueid === undefined ? NIL : dlistLatin1(uniqueid)],
    ["J", without === "J" ? undefined : optional(jmapid)],
    ["P", optional(entry.partition)],
    ["S", optional(entry.server)],
    ...stateFields(entry),
    ["M", dlistNumber(entry.mtime)],
    ["A", acl.length === 0 && entry.type.deleted ? undefined : aclValue(entry)],
    ["H", without === "I" ? dlistList(entry.history.map(formerValue)) : undefined],
  ]);
}

type Pairs = (readonly [name: string, value: DlistValue | undefined])[];

function stateFields(
  state: Pick<FormerName, "uidvalidity" | "createdmodseq" | "foldermodseq">,
): Pairs {
  const { uidvalidity, createdmodseq, foldermodseq } = state;
  return [
    ["V", uidvalidity === 0 ? undefined : dlistNumber(uidvalidity)],
    ["C", createdmodseq === 0n ? undefined : dlistNumber(createdmodseq)],
    ["F", foldermodseq === 0n ? undefined : dlistNumber(foldermodseq)],
  ];
}

function formerValue(former: FormerName): DlistKvlist {
  return dlistKvlist([
    ["N", dlistLatin1(dbNameOfInternal(former.name))],
    ["M", former.mtime === 0 ? undefined : dlistNumber(former.mtime)],
    ...stateFields(former),
    ["T", dlistLatin1(former.type.text)],
    ["P", optional(former.partition)],
  ]);
}

function aclValue({ acl }: MailboxEntry): DlistKvlist {
  return dlistKvlist(acl.map(({ identifier, rights }) => [identifier, dlistLatin1(rights)]));
}

function optional(text: string | undefined): DlistValue | undefined {
  return text === undefined ? undefined : dlistLatin1(text);
}
