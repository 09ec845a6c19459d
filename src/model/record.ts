/**
 * One message of a mailbox as replication sees it: the RECORD of sync-protocol.md 4.4. Facts for
 * which the protocol has no key travel as *virtual annotations*. Here they are fields, and
 * `annotations` holds only those that somebody has set.
 */
import { latin1, utf8 } from "../core/bytes.ts";
import type { Annotation } from "./annotation.ts";
import type { Guid } from "./guid.ts";

export interface MailRecord {
  readonly uid: number;
  readonly modseq: bigint;
  /** Unix seconds of the last change. */
  readonly lastUpdated: number;
  /** System flags first, then keywords in the order of the mailbox; never `\Expunged`. */
  readonly flags: readonly string[];
  /** The message is expunged; its record is kept for those who do not know it yet. */
  readonly expunged: boolean;
  /** The message is expunged and its file removed. The index says so; the protocol does not. */
  readonly unlinked?: boolean;
  /** Unix seconds. */
  readonly internaldate: number;
  /** Nanoseconds to be added to `internaldate`; 0 if there are none. */
  readonly internaldateNsec: number;
  /** The size of the message in bytes. */
  readonly size: number;
  readonly guid: Guid;
  /** The thread id; 0 if there is none. */
  readonly cid: bigint;
  /** The thread id before the thread was split; 0 if it was not. */
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
 * The orders in which servers print virtual annotations: 3.2 to 3.12, to whom the first two are
 * ordinary annotations, and master. No reader depends on the order, but the same order is needed to
 * print the same bytes again.
 */
export const VIRTUAL_ORDERS = {
  "3.2": ["basethrid", "internaldate.nsec", "thrid", "savedate", "createdmodseq"],
  master: ["internaldate.nsec", "basethrid", "createdmodseq", "savedate", "thrid"],
} as const;

export type VirtualOrder = keyof typeof VIRTUAL_ORDERS;

type VirtualName = (typeof VIRTUAL_ORDERS)[VirtualOrder][number];

/** For each virtual annotation its entry, the text of its value, and how that is parsed. */
const VIRTUAL: Readonly<Record<VirtualName, VirtualKind>> = {
  thrid: hexField("cid"),
  basethrid: hexField("basecid"),
  savedate: numberField("savedate", 2 ** 32),
  createdmodseq: {
    text: (fields) => (fields.createdmodseq === 0n ? "" : fields.createdmodseq.toString()),
    parse: (text) => {
      const value = /^[1-9]\d{0,19}$/.test(text) ? BigInt(text) : 0n;
      return value === 0n || value >= 1n << 64n ? undefined : { createdmodseq: value };
    },
  },
  "internaldate.nsec": numberField("internaldateNsec", 1e9),
};

interface VirtualKind {
  /** The text of the value; empty for zero, which is not sent. */
  readonly text: (fields: VirtualFields) => string;
  /** Undefined for text that Cyrus would not print, which stays an annotation. */
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

function numberField(field: "savedate" | "internaldateNsec", limit: number): VirtualKind {
  return {
    text: (fields) => (fields[field] === 0 ? "" : fields[field].toString()),
    parse: (text) => {
      const value = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
      return value === 0 || value >= limit ? undefined : { [field]: value };
    },
  };
}

/** The virtual annotations of a record, in the given order. */
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

/** The real annotations and then the virtual ones: what is sent, and what the checksum covers. */
export function allAnnotations(record: MailRecord, order: VirtualOrder = "3.2"): Annotation[] {
  const virtual = virtualAnnotations(record, order);
  return record.annotations.length === 0 ? virtual : [...record.annotations, ...virtual];
}

/**
 * Turns virtual annotations from the protocol or from cyrus.annotations into fields. One that has a
 * modseq is a real annotation to its sender (3.12 keeps basethrid so) and stays an annotation.
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

/**
 * `record` with its virtual annotations as fields, those with a modseq too, for which a field has
 * no place; the sync checksum covers no modseq. `hasField` says which annotations have a field.
 */
export function withVirtualFields(
  record: MailRecord,
  hasField: (one: Annotation) => boolean = () => true,
): MailRecord {
  if (record.annotations.length === 0) return record;
  const folded = foldAnnotations(
    record.annotations.map((one) => (hasField(one) ? { ...one, modseq: 0n } : one)),
  );
  return {
    ...record,
    internaldateNsec: folded.internaldateNsec || record.internaldateNsec,
    cid: folded.cid || record.cid,
    basecid: folded.basecid || record.basecid,
    savedate: folded.savedate || record.savedate,
    createdmodseq: folded.createdmodseq || record.createdmodseq,
    annotations: folded.annotations,
  };
}

/**
 * True for an annotation by the name of a virtual one that cannot be one: it is private, or Cyrus
 * would not print its value. No mailbox gives such an annotation back.
 */
export function isFalseVirtual(annotation: Annotation): boolean {
  const isNamedSo = virtualNameOf(annotation) !== undefined;
  return isNamedSo && virtualFieldOf({ ...annotation, modseq: 0n }) === undefined;
}

function virtualFieldOf(annotation: Annotation): Partial<VirtualFields> | undefined {
  const { userid, modseq, value } = annotation;
  const isShared = userid === "" || userid === null;
  const name = isShared && modseq === 0n ? virtualNameOf(annotation) : undefined;
  return name === undefined ? undefined : VIRTUAL[name].parse(latin1(value));
}

function virtualNameOf({ entry }: Annotation): VirtualName | undefined {
  const name = entry.startsWith(PREFIX) ? entry.slice(PREFIX.length) : "";
  return Object.hasOwn(VIRTUAL, name) ? (name as VirtualName) : undefined; // its own key
}
