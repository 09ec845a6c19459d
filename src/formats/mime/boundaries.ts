/**
 * The boundaries of the multiparts that are open while a message is read (RFC 2046 5.1.1). They are
 * kept as a tree of bytes, so that a line costs its length and not a comparison with each of them:
 * a message may have a thousand, and a million lines that begin like one.
 */
import { fromLatin1 } from "../../core/bytes.ts";

interface Node {
  readonly next: Map<number, Node>;
  /** Numbers of the boundaries that end here, the outermost first. */
  readonly numbers: number[];
}

/** The open multiparts, the outermost first. Its lifetime is the reading of one message. */
export class Boundaries {
  readonly #root: Node = newNode();
  /** Where each open boundary ends in the tree. */
  readonly #ends: Node[] = [];

  get count(): number {
    return this.#ends.length;
  }

  /** Opens a multipart; the count with it. */
  push(boundary: string): number {
    let node = this.#root;
    for (const byte of fromLatin1(boundary)) {
      const next = node.next.get(byte) ?? newNode();
      node.next.set(byte, next);
      node = next;
    }
    node.numbers.push(this.#ends.length);
    return this.#ends.push(node);
  }

  /** Closes all but the first `count`. */
  close(count: number): void {
    while (this.#ends.length > count) this.#ends.pop()?.numbers.pop();
  }

  /**
   * True for a line, without its two dashes, that is a delimiter of an open multipart. The last
   * delimiter of one closes it and all that are in it.
   */
  match(line: Uint8Array): boolean {
    let node: Node | undefined = this.#root;
    let found: { number: number; isLast: boolean } | undefined;
    for (let at = 0; node !== undefined; at++) {
      const number = node.numbers[0];
      if (number !== undefined && number < (found?.number ?? Infinity)) {
        const isLast = line[at] === DASH && line[at + 1] === DASH;
        if (isLast || isEnd(line, at)) found = { number, isLast };
      }
      const byte = line[at];
      node = byte === undefined ? undefined : node.next.get(byte);
    }
    if (found?.isLast) this.close(found.number);
    return found !== undefined;
  }
}

const DASH = 0x2d;

function newNode(): Node {
  return { next: new Map(), numbers: [] };
}

/** White space, NUL or nothing. Where the message ends one byte further, that may be any. */
function isEnd(line: Uint8Array, at: number): boolean {
  const byte = line[at] ?? 0;
  return byte === 0 || byte === 0x20 || (byte >= 9 && byte <= 13) || at + 1 === line.length;
}
