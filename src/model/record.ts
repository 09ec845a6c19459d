/**
 * One message of a mailbox as replication sees it: the RECORD of sync-protocol.md 4.4. Facts for which the
 * wire has no key of their own travel as *virtual annotations*; here they are fields, and the
 * annotations are only those that somebody has set.
 */
import { latin1, utf8 } from "../core/bytes.ts";
import type { Annotation } from "./annotation.ts";
import type { Guid } from "./guid.ts";

export interface MailRecord {
  readonly uid: number;
  readonly modseq: bigint;
  /** Unix seconds of the last change. */
  readonly lastUpdated: number;
  /** `\Seen` and its like first, then keywords as they stand in the mailbox; without `\Expunged`. */
  readonly flags: readonly string[];
  /** A tombstone: the message is deleted, its record is kept for those who have yet to learn of it. */
  readonly expunged: boolean;
  /** A tombstone whose file is gone too. Known only where the index is at hand; never on the wire. */
  readonly unlinked?: boolean;
  /** Unix seconds. */
  readonly internaldate: number;
  /** Nanoseconds beside `internaldate`; 0 = none. */
  readonly internaldateNsec: number;
  /** Bytes of the message. */
  readonly size: number;
  readonly guid: Guid;
  /** Thread id; 0 = none. */
  readonly cid: bigint;
  /** Thread id before a split; 0 = none. */
  readonly basecid: bigint;
  /** Unix seconds at which the message came into this mailbox; 0 = not known. */
  readonly savedate: number;
  /** Modseq at which the message came into this mailbox; 0 = not known. */
  readonly createdmodseq: bigint;
  readonly annotations: readonly Annotation[];
}

/** The fields of a record that are virtual annotations on the wire. */
export type VirtualFields = Pick<
  MailRecord,
  "cid" | "basecid" | "savedate" | "createdmodseq" | "internaldateNsec"
>;

const PREFIX = "/vendor/cmu/cyrus-imapd/";

export const NO_VIRTUAL_FIELDS: VirtualFields = {
  cid: 0n,
  basecid: 0n,
  savedate: 0,
  createdmodseq: 0n,
  internaldateNsec: 0,
};

/**
 * The orders in which servers print virtual annotations: 3.2 to 3.12, to whom the first two are ordinary
 * ones, and master. Readers do not care, but only one order gives the same bytes again.
 */
export const VIRTUAL_ORDERS = {
  "3.2": ["basethrid", "internaldate.nsec", "thrid", "savedate", "createdmodseq"],
  master: ["internaldate.nsec", "basethrid", "createdmodseq", "savedate", "thrid"],
} as const;

export type VirtualOrder = keyof typeof VIRTUAL_ORDERS;

type VirtualName = (typeof VIRTUAL_ORDERS)[VirtualOrder][number];

/** Entry and field of each virtual annotation, its text, and the text read back. */
const VIRTUAL: Readonly<Record<VirtualName, VirtualKind>> = {
  thrid: hexField("cid"),
  basethrid: hexField("basecid"),
  savedate: secondsField("savedate"),
  createdmodseq: {
    text: (fields) => (fields.createdmodseq === 0n ? "" : fields.createdmodseq.toString()),
    parse: (text) => (/^[1-9]\d{0,19}$/.test(text) ? { createdmodseq: BigInt(text) } : undefined),
  },
  "internaldate.nsec": secondsField("internaldateNsec"),
};

interface VirtualKind {
  /** Empty for zero: such values are not sent. */
  readonly text: (fields: VirtualFields) => string;
  /** Undefined when `text` is not what Cyrus would print: then it stays an annotation like any other. */
  readonly parse: (text: string) => Partial<VirtualFields> | undefined;
}

function hexField(field: "cid" | "basecid"): VirtualKind {
  return {
    text: (fields) => (fields[field] === 0n ? "" : fields[field].toString(16).padStart(16, "0")),
    parse: (text) => {
      const value = /^[0-9a-f]{16}$/.test(text) ? BigInt(`0x${text}`) : 0n;
      return value === 0n ? undefined : { [field]: value };
    },
  };
}

function secondsField(field: "savedate" | "internaldateNsec"): VirtualKind {
  return {
    text: (fields) => (fields[field] === 0 ? "" : fields[field].toString()),
    parse: (text) => (/^[1-9]\d{0,14}$/.test(text) ? { [field]: Number(text) } : undefined),
  };
}

/** The virtual annotations of a record, in the order of a version. */
export function virtualAnnotations(
  record: VirtualFields,
  order: VirtualOrder = "3.2",
): Annotation[] {
  const found: Annotation[] = [];
  for (const name of VIRTUAL_ORDERS[order]) {
    const text = VIRTUAL[name].text(record);
    if (text === "") continue;
    found.push({ entry: PREFIX + name, userid: "", modseq: 0n, value: utf8(text) });
  }
  return found;
}

/** Real annotations, then the virtual ones: what goes on the wire and what the checksum counts. */
export function allAnnotations(record: MailRecord, order: VirtualOrder = "3.2"): Annotation[] {
  const virtual = virtualAnnotations(record, order);
  return record.annotations.length === 0 ? virtual : [...record.annotations, ...virtual];
}

/**
 * Takes virtual annotations out of what the wire or cyrus.annotations gave. One with a modseq of its
 * own is a real annotation to whoever sent it (3.12 keeps basethrid so) and stays among those.
 */
export function foldAnnotations(
  annotations: readonly Annotation[],
): VirtualFields & { readonly annotations: readonly Annotation[] } {
  if (annotations.length === 0) return { ...NO_VIRTUAL_FIELDS, annotations };
  const fields = { ...NO_VIRTUAL_FIELDS, annotations: [] as Annotation[] };
  for (const annotation of annotations) {
    const found = virtualFieldOf(annotation);
    if (found === undefined) fields.annotations.push(annotation);
    else Object.assign(fields, found);
  }
  return fields;
}

function virtualFieldOf(annotation: Annotation): Partial<VirtualFields> | undefined {
  const { entry, userid, modseq, value } = annotation;
  const isShared = userid === "" || userid === null;
  if (!isShared || modseq !== 0n || !entry.startsWith(PREFIX)) return undefined;
  const name = entry.slice(PREFIX.length);
  return isVirtualName(name) ? VIRTUAL[name].parse(latin1(value)) : undefined;
}

function isVirtualName(name: string): name is VirtualName {
  return Object.hasOwn(VIRTUAL, name);
}
