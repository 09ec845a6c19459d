/**
 * Two mailboxes record by record: one walk over two sources that ascend by UID, holding one batch
 * of each. A field that the two places do not both hold is not compared, and two expunged records
 * of one UID do not differ.
 */
import { AppError } from "../../core/errors.ts";
import { sameAnnotations } from "../../model/annotation.ts";
import { sameFlags } from "../../model/flags.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import { type MailRecord, withVirtualFields } from "../../model/record.ts";
import type { Holds } from "../../places/place.ts";

export type RecordDifference =
  | { readonly kind: "onlySource"; readonly source: MailRecord }
  | { readonly kind: "onlyTarget"; readonly target: MailRecord }
  /** One UID, two messages. */
  | { readonly kind: "guid"; readonly source: MailRecord; readonly target: MailRecord }
  /** The same message, deleted in one of the two. */
  | { readonly kind: "expunged"; readonly source: MailRecord; readonly target: MailRecord }
  /** The same living message, told differently. */
  | {
      readonly kind: "fields";
      readonly source: MailRecord;
      readonly target: MailRecord;
      readonly fields: readonly string[];
    };

/** The UIDs in which the two differ. Throws AppError (bad_data) where UIDs do not ascend. */
export async function* compareRecords(
  source: RecordSource,
  target: RecordSource,
  holds: Holds,
): AsyncGenerator<RecordDifference, void> {
  const left = cursorOf(source);
  const right = cursorOf(target);
  for (;;) {
    const ours = left.current() ?? (await left.fill());
    const theirs = right.current() ?? (await right.fill());
    if (ours === undefined && theirs === undefined) return;
    const order = (ours?.uid ?? Infinity) - (theirs?.uid ?? Infinity);
    if (ours !== undefined && order <= 0) left.step();
    if (theirs !== undefined && order >= 0) right.step();
    const difference = differenceOf(
      order <= 0 ? ours : undefined,
      order >= 0 ? theirs : undefined,
      holds,
    );
    if (difference !== undefined) yield difference;
  }
}

function differenceOf(
  source: MailRecord | undefined,
  target: MailRecord | undefined,
  holds: Holds,
): RecordDifference | undefined {
  if (source === undefined)
    return target === undefined ? undefined : { kind: "onlyTarget", target };
  if (target === undefined) return { kind: "onlySource", source };
  if (source.expunged && target.expunged) return undefined;
  if (source.guid !== target.guid) return { kind: "guid", source, target };
  if (source.expunged !== target.expunged) return { kind: "expunged", source, target };
  const fields = differingRecordFields(source, target, holds);
  return fields.length === 0 ? undefined : { kind: "fields", source, target, fields };
}

/** False for a difference between expunged records only: no client sees it, no sum counts it. */
export function isLiving(difference: RecordDifference): boolean {
  if (difference.kind === "onlySource") return !difference.source.expunged;
  if (difference.kind === "onlyTarget") return !difference.target.expunged;
  return true;
}

/** The UID in which the two differ. */
export function uidOf(difference: RecordDifference): number {
  return difference.kind === "onlyTarget" ? difference.target.uid : difference.source.uid;
}

/** In words for a person, to whom the source is A and the target B. */
export function textOf(difference: RecordDifference): string {
  switch (difference.kind) {
    case "onlySource":
      return "only at A";
    case "onlyTarget":
      return "only at B";
    case "guid":
      return `${difference.source.guid} and ${difference.target.guid}`;
    case "expunged":
      return `deleted at ${difference.source.expunged ? "A" : "B"} only`;
    case "fields":
      return difference.fields.join(", ");
  }
}

interface ComparedField {
  readonly name: keyof MailRecord;
  /** The places that keep it. */
  readonly held: (holds: Holds) => boolean;
  /** 0 at the source means that it does not know: a place may fill it in. */
  readonly zeroIsUnknown?: boolean;
}

const FIELDS: readonly ComparedField[] = [
  { name: "modseq", held: (holds) => holds.modseqs },
  { name: "lastUpdated", held: (holds) => holds.lastUpdated },
  { name: "internaldate", held: (holds) => holds.internaldates },
  { name: "internaldateNsec", held: (holds) => holds.internaldateNsec, zeroIsUnknown: true },
  { name: "cid", held: (holds) => holds.threadIds, zeroIsUnknown: true },
  { name: "basecid", held: (holds) => holds.threadIds, zeroIsUnknown: true },
  { name: "savedate", held: (holds) => holds.savedates, zeroIsUnknown: true },
  { name: "createdmodseq", held: (holds) => holds.createdmodseqs, zeroIsUnknown: true },
];

/**
 * The names of the fields in which two records of one message differ. What an old version keeps as
 * an annotation is a field in a newer one, and the same to both.
 */
export function differingRecordFields(
  atSource: MailRecord,
  atTarget: MailRecord,
  holds: Holds,
): (keyof MailRecord)[] {
  const [source, target] = [withVirtualFields(atSource), withVirtualFields(atTarget)];
  const names: (keyof MailRecord)[] = [];
  for (const { name, held, zeroIsUnknown } of FIELDS) {
    if (source[name] === target[name] || !held(holds)) continue;
    if (zeroIsUnknown === true && !source[name]) continue;
    names.push(name);
  }
  if (!sameFlags(comparedFlags(source, holds), comparedFlags(target, holds))) names.push("flags");
  if (holds.annotations && !sameAnnotations(source.annotations, target.annotations)) {
    names.push("annotations");
  }
  return names;
}

/** Without keywords where one of the places has none. */
function comparedFlags({ flags }: MailRecord, holds: Holds): readonly string[] {
  return holds.keywords > 0 ? flags : flags.filter((flag) => flag.startsWith("\\"));
}

interface Cursor {
  /** The record to look at, if the batch at hand has one. */
  current(): MailRecord | undefined;
  step(): void;
  /** The first record of the next batch that has any; undefined at the end. */
  fill(): Promise<MailRecord | undefined>;
}

function cursorOf(source: RecordSource): Cursor {
  const batches = iterate(source);
  let batch: readonly MailRecord[] = [];
  let at = 0;
  let previous = 0;
  const check = (record: MailRecord | undefined): MailRecord | undefined => {
    if (record !== undefined && record.uid <= previous) {
      throw new AppError("bad_data", `Cannot compare: UID ${record.uid} after ${previous}`);
    }
    return record;
  };
  return {
    current: () => check(batch[at]),
    step: () => {
      previous = batch[at]?.uid ?? previous;
      at += 1;
    },
    fill: async () => {
      while (at >= batch.length) {
        const next = await batches.next();
        if (next.done === true) return undefined;
        batch = next.value;
        at = 0;
      }
      return check(batch[at]);
    },
  };
}

async function* iterate(source: RecordSource): AsyncGenerator<readonly MailRecord[], void> {
  yield* source.batches();
}
