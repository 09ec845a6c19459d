/**
 * Small pieces gathered in one block of memory before they are written. Blocks are used again, by
 * all connections of a thread: new memory for all that is sent would cost more than the copying. A
 * connection that has nothing to send has no block.
 */

const BLOCK_BYTES = 128 * 1024;
/** Blocks that are kept for whoever needs one next. */
const SPARE_BLOCKS = 16;

interface Block {
  readonly bytes: Uint8Array;
  /** What lies between `start` and `end` is to be sent. */
  start: number;
  end: number;
  /** Sent parts that the system has not taken yet. */
  underWay: number;
}

const spare: Block[] = [];

function newBlock(): Block {
  const bytes = () => Buffer.allocUnsafeSlow(BLOCK_BYTES);
  return spare.pop() ?? { bytes: bytes(), start: 0, end: 0, underWay: 0 };
}

/** Sends bytes, and calls `taken` when nobody reads them any more. */
export type SendBytes = (bytes: Uint8Array, taken: () => void) => void;

export class Gathering {
  readonly #send: SendBytes;
  #block: Block | undefined;

  constructor(send: SendBytes) {
    this.#send = send;
  }

  /** Copies `piece`, which is smaller than a block; what it leaves no room for is sent before. */
  add(piece: Uint8Array): void {
    if (this.#block !== undefined && piece.length > BLOCK_BYTES - this.#block.end) {
      this.send();
      this.#block = undefined;
    }
    this.#block ??= newBlock();
    this.#block.bytes.set(piece, this.#block.end);
    this.#block.end += piece.length;
  }

  /** Sends all that was added since the last time. */
  send(): void {
    const block = this.#block;
    if (block === undefined || block.start === block.end) return;
    const bytes = block.bytes.subarray(block.start, block.end);
    // What is left of the block is used on: a flush after each small command needs no other.
    block.start = block.end;
    block.underWay++;
    this.#send(bytes, () => this.#taken(block));
  }

  #taken(block: Block): void {
    block.underWay--;
    const hasMore = block.start < block.end;
    if (block.underWay > 0 || hasMore) return;
    if (block === this.#block) this.#block = undefined;
    block.start = 0;
    block.end = 0;
    if (spare.length < SPARE_BLOCKS) spare.push(block);
  }
}
