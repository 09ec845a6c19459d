/**
 * cyrus.annotations of one mailbox: the annotations of each message, and what a transaction changes
 * in them (spool-format 7.2). Most messages have none.
 */
import { equalBytes, viewOf } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import {
  type MessageAnnotation,
  parseMessageAnnotation,
  printMessageAnnotation,
} from "../formats/cyrus/annotations_db.ts";
import { readDatabase, type UnsupportedFormat } from "../formats/cyrus/databases/database.ts";
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

/** Reads a whole file, an empty one as one without entries. Never throws: damage is in `problems`. */
export function readAnnotations(bytes: Uint8Array): AnnotationsReading {
  const contents = readDatabase(bytes, { expected: "twoskip" });
  if (contents.kind === "unsupported") return contents;
  const problems: AnnotationProblem[] = contents.problems.map(
    ({ offset, what, expected, found }) => ({
      offset,
      what,
      detail: `${what}: ${found}, expected ${expected}`,
    }),
  );
  const byUid = new Map<number, MessageAnnotation[]>();
  for (const entry of contents.entries) {
    try {
      const annotation = parseMessageAnnotation(entry);
      if (annotation.deleted) continue;
      const same = byUid.get(annotation.uid);
      if (same === undefined) byUid.set(annotation.uid, [annotation]);
      else same.push(annotation);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const what = `annotation cannot be parsed: ${error.message}`;
      problems.push({ offset: undefined, what, detail: what });
    }
  }
  return { kind: "read", byUid, problems };
}

export class AnnotationImage {
  readonly #bytes: Uint8Array | undefined;
  readonly #path: string;
  readonly #changed = new Map<number, readonly MessageAnnotation[]>();
  #stored: MessageAnnotations | undefined;

  /** `bytes` is undefined where the mailbox has no such file; `path` names it in messages. */
  constructor(bytes: Uint8Array | undefined, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  /** The annotations of a message as they are to be. Damage is an AppError. */
  of(uid: number): readonly MessageAnnotation[] {
    return this.#changed.get(uid) ?? this.#load().get(uid) ?? [];
  }

  /** Makes the annotations of a message exactly these. */
  set(uid: number, annotations: readonly MessageAnnotation[]): void {
    if (!sameAnnotations(this.of(uid), annotations)) this.#changed.set(uid, annotations);
  }

  #load(): MessageAnnotations {
    if (this.#stored !== undefined) return this.#stored;
    const reading = readAnnotations(this.#bytes ?? new Uint8Array());
    if (reading.kind === "unsupported") throw damaged(this.#path, `a ${reading.format} database`);
    const [problem] = reading.problems;
    if (problem !== undefined) throw damaged(this.#path, problem.detail);
    this.#stored = reading.byUid;
    return reading.byUid;
  }

  /** The changes as steps on the file at `path`. */
  steps(path: string): FileStep[] {
    if (this.#changed.size === 0) return [];
    const all = new Map([...this.#load(), ...this.#changed]);
    const entries = [...all.values()].flat().map(printMessageAnnotation);
    // The header, read and found good by now, has the generation at byte 24.
    const before = this.#bytes ?? new Uint8Array(0);
    const generation = before.length === 0 ? 0n : viewOf(before).getBigUint64(24);
    const bytes = writeTwoskip(entries, { generation: generation + 1n });
    return [{ kind: "replace", path, bytes }];
  }
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
