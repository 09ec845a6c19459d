/**
 * cyrus.annotations of one mailbox in memory: the annotations of each message, and the file that holds
 * them after a transaction. The file is written anew whenever one changes; most messages have none.
 */
import { viewOf } from "../core/bytes.ts";
import { AppError, FormatError } from "../core/errors.ts";
import {
  type MessageAnnotation,
  parseMessageAnnotation,
  printMessageAnnotation,
} from "../formats/cyrus/annotations_db.ts";
import { readTwoskip } from "../formats/cyrus/databases/twoskip.ts";
import { writeTwoskip } from "../formats/cyrus/databases/twoskip_writer.ts";

export class AnnotationImage {
  readonly #bytes: Uint8Array | undefined;
  readonly #path: string;
  #byUid: Map<number, readonly MessageAnnotation[]> | undefined;
  #changed = false;

  /** `bytes` is undefined where the mailbox has no annotations file. */
  constructor(bytes: Uint8Array | undefined, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  /** The annotations of a message, tombstones left out. */
  of(uid: number): readonly MessageAnnotation[] {
    return this.#load().get(uid) ?? [];
  }

  /** Makes the annotations of a message exactly these. */
  set(uid: number, annotations: readonly MessageAnnotation[]): void {
    const all = this.#load();
    if (annotations.length === 0 && !all.has(uid)) return;
    if (annotations.length === 0) all.delete(uid);
    else all.set(uid, annotations);
    this.#changed = true;
  }

  /** UIDs that have annotations. */
  uids(): number[] {
    return [...this.#load().keys()];
  }

  #load(): Map<number, readonly MessageAnnotation[]> {
    if (this.#byUid !== undefined) return this.#byUid;
    const byUid = new Map<number, MessageAnnotation[]>();
    for (const annotation of this.#parse()) {
      if (annotation.deleted) continue;
      const list = byUid.get(annotation.uid);
      if (list === undefined) byUid.set(annotation.uid, [annotation]);
      else list.push(annotation);
    }
    this.#byUid = byUid;
    return byUid;
  }

  #parse(): MessageAnnotation[] {
    if (this.#bytes === undefined || this.#bytes.length === 0) return [];
    const contents = readTwoskip(this.#bytes);
    const problem = contents.problems[0];
    if (problem !== undefined) {
      throw this.#damaged(`${problem.what}: ${problem.found}, expected ${problem.expected}`);
    }
    try {
      return contents.entries.map(parseMessageAnnotation);
    } catch (error) {
      throw error instanceof FormatError ? this.#damaged(error.message) : error;
    }
  }

  #damaged(what: string): AppError {
    return new AppError("bad_data", `Cannot use ${this.#path}: ${what}`, {
      context: { path: this.#path },
      hint: "Run `bobbin fsck` on the store.",
    });
  }

  /** The new file, or undefined where nothing changed. */
  print(): Uint8Array | undefined {
    if (!this.#changed) return undefined;
    const entries = [...this.#load().values()].flat().map(printMessageAnnotation);
    // The header, read and found good by now, has the generation at byte 24.
    const before = this.#bytes ?? new Uint8Array(0);
    const generation = before.length === 0 ? 0n : viewOf(before).getBigUint64(24);
    return writeTwoskip(entries, { generation: generation + 1n });
  }
}
