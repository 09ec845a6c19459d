/** `RECORD %(UID n MODSEQ n LAST_UPDATED d FLAGS (…) …)` (sync-protocol.md 4.4). */
import { orderFlags } from "../../model/flags.ts";
import {
  allAnnotations,
  foldAnnotations,
  type MailRecord,
  type VirtualOrder,
} from "../../model/record.ts";
import { dateOf, guidOf, kvlistOf, lookUp, u32Of, u64Of, wordsOf } from "../dlist/access.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistFlag,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
} from "../dlist/value.ts";
import { parseAnnotations, printAnnotations } from "./annotation_list.ts";

const EXPUNGED = "\\Expunged";
const NO_FLAGS: readonly string[] = [];
/** Lists of flags that were read last: records of a mailbox share them. */
const knownFlags = new Map<string, readonly string[]>();
const KNOWN_FLAGS = 4096;

/** Parses a record from its kvlist. Throws FieldError, which names the key. */
export function parseRecord(value: DlistValue): MailRecord {
  const kvlist = kvlistOf(value, "RECORD");
  const flags = parseFlags(lookUp(kvlist, "FLAGS"), "FLAGS");
  const expunged = flags.includes(EXPUNGED);
  return {
    uid: u32Of(lookUp(kvlist, "UID"), "UID"),
    modseq: u64Of(lookUp(kvlist, "MODSEQ"), "MODSEQ"),
    lastUpdated: dateOf(lookUp(kvlist, "LAST_UPDATED"), "LAST_UPDATED"),
    flags: expunged ? flags.filter((flag) => flag !== EXPUNGED) : flags,
    expunged,
    internaldate: dateOf(lookUp(kvlist, "INTERNALDATE"), "INTERNALDATE"),
    size: u32Of(lookUp(kvlist, "SIZE"), "SIZE"),
    guid: guidOf(lookUp(kvlist, "GUID"), "GUID"),
    ...foldAnnotations(parseAnnotations(lookUp(kvlist, "ANNOTATIONS"))),
  };
}

/** The inverse of `parseRecord`; `order` is the order of the virtual annotations. */
export function printRecord(record: MailRecord, order: VirtualOrder = "3.2"): DlistKvlist {
  const flags = record.expunged ? orderFlags([...record.flags, EXPUNGED]) : record.flags;
  return dlistKvlist([
    ["UID", dlistNumber(record.uid)],
    ["MODSEQ", dlistNumber(record.modseq)],
    ["LAST_UPDATED", dlistNumber(record.lastUpdated)],
    ["FLAGS", printFlags(flags)],
    ["INTERNALDATE", dlistNumber(record.internaldate)],
    ["SIZE", dlistNumber(record.size)],
    ["GUID", dlistLatin1(record.guid)],
    ["ANNOTATIONS", printAnnotations(allAnnotations(record, order))],
  ]);
}

/** Parses flags into Cyrus' order and drops unknown system flags. Throws FieldError. */
export function parseFlags(value: DlistValue | undefined, key: string): readonly string[] {
  const words = wordsOf(value, key);
  if (words.length === 0) return NO_FLAGS;
  const text = words.join(" ");
  const known = knownFlags.get(text);
  if (known !== undefined) return known;
  if (knownFlags.size >= KNOWN_FLAGS) knownFlags.clear();
  const flags = orderFlags(words);
  knownFlags.set(text, flags);
  return flags;
}

/** System flags as they stand, keywords as any string: `NIL` must be quoted. */
export function printFlags(flags: readonly string[]): DlistValue {
  return dlistList(
    flags.map((flag) => (flag.startsWith("\\") ? dlistFlag(flag) : dlistLatin1(flag))),
  );
}
