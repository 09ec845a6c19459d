/**
 * Splits the stream of a tar file into entries, however its bytes come. Nothing of a content is
 * kept; only whole entries count, for the last run of an archive may be cut off anywhere.
 */
import { concat, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { Limits } from "../../core/limits.ts";
import {
  paddingOf,
  parseTarHeader,
  TAR_BLOCK,
  type TarEntry,
  type TarHeader,
} from "./tar_header.ts";

/** An entry, and at which byte of the stream its first block begins (that of a long name). */
export interface PlacedEntry extends TarEntry {
  readonly offset: number;
}

export type TarEvent =
  | { readonly kind: "entry"; readonly entry: PlacedEntry }
  /** Part of the content of the entry before. Valid as long as the bytes that were fed. */
  | { readonly kind: "content"; readonly bytes: Uint8Array }
  /** The entry is whole; `end` is where the next begins. */
  | { readonly kind: "end"; readonly entry: PlacedEntry; readonly end: number };

type State =
  /** The first block of an entry, or the block after a long name. */
  | { readonly kind: "header" }
  | { readonly kind: "long"; readonly header: TarHeader }
  | { readonly kind: "content"; readonly entry: PlacedEntry; left: number }
  | { readonly kind: "padding"; readonly entry: PlacedEntry; left: number };

export class TarSplitter {
  readonly #limits: Pick<Limits, "tarNameBytes" | "tarEntryBytes">;
  /** Byte of the stream that comes next. */
  #at: number;
  /** Where the entry begins that is not whole yet. */
  #start: number;
  #state: State = { kind: "header" };
  /** Bytes of a block, or of a long name, that has not come whole. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #longName: string | undefined;
  #longLink: string | undefined;

  /** `offset` is the byte of the stream at which the first entry begins. */
  constructor(
    limits: Pick<Limits, "tarNameBytes" | "tarEntryBytes">,
    { offset = 0 }: { readonly offset?: number } = {},
  ) {
    this.#limits = limits;
    this.#at = offset;
    this.#start = offset;
  }

  /** Everything before this byte is whole entries. */
  get wholeBytes(): number {
    return this.#start;
  }

  /** Throws FormatError where no entry can begin, a block of zeros included. */
  *feed(bytes: Uint8Array): Generator<TarEvent, void> {
    for (let rest = bytes; rest.length > 0; ) {
      const state = this.#state;
      if (state.kind === "header" || state.kind === "long") {
        const wanted = state.kind === "header" ? TAR_BLOCK : longBytes(state.header);
        const part = rest.subarray(0, wanted - this.#heldBytes);
        rest = rest.subarray(part.length);
        const whole = this.#hold(part, wanted);
        if (whole === undefined) return;
        if (state.kind === "header") yield* this.#header(whole);
        else this.#long(state.header, whole);
        continue;
      }
      const part = rest.subarray(0, state.left);
      rest = rest.subarray(part.length);
      this.#at += part.length;
      state.left -= part.length;
      if (state.kind === "content") yield { kind: "content", bytes: part };
      if (state.left === 0) yield* this.#next(state);
    }
  }

  #hold(part: Uint8Array, wanted: number): Uint8Array | undefined {
    this.#at += part.length;
    this.#heldBytes += part.length;
    if (this.#heldBytes < wanted) {
      this.#held.push(part.slice());
      return undefined;
    }
    const whole = this.#held.length === 0 ? part : concat([...this.#held, part]);
    this.#held = [];
    this.#heldBytes = 0;
    return whole;
  }

  *#header(block: Uint8Array): Generator<TarEvent, void> {
    const header = this.#parsed(block);
    const { type } = header;
    const isLong = type === "longName" || type === "longLink";
    const most = isLong ? this.#limits.tarNameBytes : this.#limits.tarEntryBytes;
    if (header.size > most) {
      throw new FormatError(this.#start, `an entry of at most ${most} bytes, not ${header.size}`);
    }
    if (isLong) {
      this.#state = { kind: "long", header };
      if (header.size === 0) throw new FormatError(this.#start, "a long name");
      return;
    }
    const entry: PlacedEntry = {
      ...{ ...header, type, offset: this.#start },
      name: this.#longName ?? header.name,
      linkname: this.#longLink ?? header.linkname,
      // Only files have a content; a link that says otherwise would hide what follows it.
      size: type === "link" ? 0 : header.size,
    };
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#state = { kind: "content", entry, left: entry.size };
    yield { kind: "entry", entry };
    if (entry.size === 0) yield* this.#next(this.#state);
  }

  #parsed(block: Uint8Array): TarHeader {
    try {
      return parseTarHeader(block);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new FormatError(this.#at - TAR_BLOCK + error.offset, error.expected);
    }
  }

  #long(header: TarHeader, padded: Uint8Array): void {
    const text = latin1(padded.subarray(0, header.size)).replace(/\0.*$/s, "");
    if (header.type === "longName") this.#longName = text;
    else this.#longLink = text;
    this.#state = { kind: "header" };
  }

  *#next(state: Exclude<State, { kind: "header" | "long" }>): Generator<TarEvent, void> {
    const { entry, kind } = state;
    const padding = kind === "content" ? paddingOf(entry.size) : 0;
    if (padding > 0) {
      this.#state = { kind: "padding", entry, left: padding };
      return;
    }
    this.#start = this.#at;
    this.#state = { kind: "header" };
    yield { kind: "end", entry, end: this.#at };
  }
}

function longBytes({ size }: TarHeader): number {
  return size + paddingOf(size);
}
