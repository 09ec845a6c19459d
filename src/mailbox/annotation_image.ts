/**
 * cyrus.annotations of one mailbox: the annotations of each message, and what a transaction changes
 * in them (spool-format 7.2). Most messages have none.
 */
import { equalBytes, fromLatin1, latin1, viewOf } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import { bytesAt, type FileSource, sizeOf } from "../core/file_source.ts";
import {
  type MessageAnnotation,
  parseMessageAnnotation,
  printMessageAnnotation,
} from "../formats/cyrus/annotations_db.ts";
import { readDatabase, type UnsupportedFormat } from "../formats/cyrus/databases/database.ts";
import { TwoskipEdit } from "../formats/cyrus/databases/twoskip_edit.ts";
import { writeTwoskip } from "../formats/cyrus/databases/twoskip_writer.ts";
import type { FileStep } from "./file_step.ts";
import { damaged } from "./index_image.ts";

/** Annotations of messages by UID; a message without any is absent. */
export type MessageAnnotations = ReadonlyMap<number, readonly MessageAnnotation[]>;

/** One thing that is wrong in a cyrus.annotations. */
export interface AnnotationProblem {
  /** Byte of the file; undefined where an entry that is sound by itself cannot be parsed. */
  readonly offset: number | undefined;
  /** What is wrong, as the subject of a sentence: "record head CRC". */
  readonly what: string;
  /** The same with what was found and what should stand there. */
  readonly detail: string;
}

/** What a whole cyrus.annotations says, or that it is a database that is not read here. */
export type AnnotationsReading =
  | {
      readonly kind: "read";
      /** Without the tombstones of those that were removed. */
      readonly byUid: MessageAnnotations;
      readonly problems: readonly AnnotationProblem[];
    }
  | { readonly kind: "unsupported"; readonly format: UnsupportedFormat };

/**
 * Reads a whole file, an empty one as one without entries. Never throws: damage is in `problems`.
 */
export function readAnnotations(bytes: Uint8Array): AnnotationsReading {
  const contents = readDatabase(bytes, { expected: "twoskip" });
  if (contents.kind === "unsupported") return contents;
  const problems: AnnotationProblem[] = contents.problems.map(
    ({ offset, what, expected, found }) => {
      return { offset, what, detail: `${what}: ${found}, expected ${expected}` };
    },
  );
  const living: MessageAnnotation[] = [];
  for (const entry of contents.entries) {
    try {
      const annotation = parseMessageAnnotation(entry);
      if (!annotation.deleted) living.push(annotation);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const what = `annotation cannot be parsed: ${error.message}`;
      problems.push({ offset: undefined, what, detail: what });
    }
  }
  return { kind: "read", byUid: Map.groupBy(living, ({ uid }) => uid), problems };
}

/** Messages looked up one by one; who asks for more is given all of the file. */
const LOOKUPS_MAX = 500;
/** A file of fewer bytes is read whole at once. */
const SMALL_BYTES = 64 * 1024;

const NONE: readonly MessageAnnotation[] = [];

/** Gives the annotations of a message. */
export function annotationsIn(
  byUid: MessageAnnotations | undefined,
): (uid: number) => readonly MessageAnnotation[] {
  return (uid) => byUid?.get(uid) ?? NONE;
}

/**
 * Annotations are looked up in the file, and added in the form in which Cyrus appends to it, so
 * that a delivery costs the same in a mailbox of any size. The file is written anew where it is not
 * there or not sound enough for that, or where most of it may be what was replaced.
 */
export class AnnotationImage {
  readonly #source: FileSource | undefined;
  readonly #path: string;
  readonly #changed = new Map<number, readonly MessageAnnotation[]>();
  readonly #found = new Map<number, readonly MessageAnnotation[]>();
  #all: MessageAnnotations | undefined;
  #edit: TwoskipEdit | undefined;

  /** `source` is undefined where the mailbox has no such file; `path` names it in messages. */
  constructor(source: FileSource | undefined, path: string) {
    this.#source = source;
    this.#path = path;
    const isLarge = source !== undefined && sizeOf(source) > SMALL_BYTES;
    if (isLarge && !(source instanceof Uint8Array)) this.#edit = editOf(source);
  }

  /** The annotations of a message as they are to be. Damage is an AppError. */
  of(uid: number): readonly MessageAnnotation[] {
    return this.#changed.get(uid) ?? this.#stored(uid);
  }

  /** Makes the annotations of a message exactly these. */
  set(uid: number, annotations: readonly MessageAnnotation[]): void {
    if (!sameAnnotations(this.of(uid), annotations)) this.#changed.set(uid, annotations);
  }

  /** The annotations of a message in the file. */
  #stored(uid: number): readonly MessageAnnotation[] {
    if (this.#all === undefined && this.#edit !== undefined) {
      const known = this.#found.get(uid);
      if (known !== undefined) return known;
      const found = this.#found.size < LOOKUPS_MAX ? lookUp(this.#edit, uid) : undefined;
      if (found !== undefined) {
        this.#found.set(uid, found);
        return found;
      }
    }
    return this.#load().get(uid) ?? NONE;
  }

  #load(): MessageAnnotations {
    if (this.#all !== undefined) return this.#all;
    const reading = readAnnotations(this.#wholeFile());
    if (reading.kind === "unsupported") throw damaged(this.#path, `a ${reading.format} database`);
    const [problem] = reading.problems;
    if (problem !== undefined) throw damaged(this.#path, problem.detail);
    this.#all = reading.byUid;
    return reading.byUid;
  }

  #wholeFile(): Uint8Array {
    const source = this.#source ?? new Uint8Array();
    return bytesAt(source, { offset: 0, length: sizeOf(source) });
  }

  /** The changes as steps on the file at `path`. */
  steps(path: string): FileStep[] {
    if (this.#changed.size === 0) return [];
    return this.#append(path) ?? [{ kind: "replace", path, bytes: this.#print() }];
  }

  /** The whole file as it is to be; undefined where nothing of it changed. */
  print(): Uint8Array | undefined {
    return this.#changed.size === 0 ? undefined : this.#print();
  }

  /** Steps that change the file in place; undefined where it is to be written anew. */
  #append(path: string): FileStep[] | undefined {
    const edit = this.#source === undefined ? undefined : editOf(this.#source);
    if (edit === undefined) return undefined;
    try {
      const isPlain = [...this.#changed].every(([uid, annotations]) =>
        changeEntries(edit, this.#stored(uid), annotations),
      );
      if (!isPlain) return undefined;
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
    const { generation, currentSize: before } = edit.header;
    const writes = edit.writes();
    const fit = { generation: Number(generation), before, after: edit.sizeAfter };
    return writes.map((write) => ({ kind: "write", path, ...write, fit }));
  }

  #print(): Uint8Array {
    const all = new Map([...this.#load(), ...this.#changed]);
    const entries = [...all.values()].flat().map(printMessageAnnotation);
    // The header, read and found good by now, has the generation at byte 24.
    const before = this.#wholeFile();
    const generation = before.length === 0 ? 0n : viewOf(before).getBigUint64(24);
    return writeTwoskip(entries, { generation: generation + 1n });
  }
}

/** Undefined where the file is not in a state to be changed in place. */
function editOf(source: FileSource): TwoskipEdit | undefined {
  try {
    return new TwoskipEdit(source);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The annotations of one message; undefined where something on the way to them is odd. */
function lookUp(edit: TwoskipEdit, uid: number): readonly MessageAnnotation[] | undefined {
  try {
    const entries = [...edit.withPrefix(fromLatin1(`${uid}\0`))];
    return entries.map(parseMessageAnnotation).filter(({ deleted }) => !deleted);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/**
 * Puts those of `after` in the place of `before`; false where the file had better be written anew.
 */
function changeEntries(
  edit: TwoskipEdit,
  before: readonly MessageAnnotation[],
  after: readonly MessageAnnotation[],
): boolean {
  const left = new Map(before.map(printMessageAnnotation).map((one) => [latin1(one.key), one]));
  for (const one of after.map(printMessageAnnotation)) {
    const key = latin1(one.key);
    const old = left.get(key);
    left.delete(key);
    if (old !== undefined && equalBytes(old.value, one.value)) continue;
    if (old !== undefined && edit.isWasteful) return false;
    edit.put(one);
  }
  if (left.size > 0 && edit.isWasteful) return false;
  return [...left.values()].every(({ key }) => edit.remove(key));
}

/** True for the same entries in the same order, modseqs included. */
function sameAnnotations(
  left: readonly MessageAnnotation[],
  right: readonly MessageAnnotation[],
): boolean {
  return (
    left.length === right.length &&
    left.every((one, at) => {
      const other = right[at];
      return (
        one.entry === other?.entry &&
        one.userid === other.userid &&
        one.modseq === other.modseq &&
        equalBytes(one.value, other.value)
      );
    })
  );
}
