/** Remembers GUIDs in little memory: 16 bytes for each that is expected. */
import { u32At } from "../core/bytes.ts";

/**
 * Which GUIDs were seen: open addressing over their first 48 bits, which is enough for a remark
 * (two different messages of a million share them once in 500 mailboxes of that size).
 */
export class GuidSet {
  readonly #slots: Float64Array;
  readonly #mask: number;

  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#slots = new Float64Array(size);
    this.#mask = size - 1;
  }

  /** False when the 20 bytes at `at` were there before. Null GUIDs are never the same. */
  add(bytes: Uint8Array, at: number): boolean {
    const key = u32At(bytes, at) * 0x10000 + (u32At(bytes, at + 4) >>> 16);
    if (key === 0) return true;
    let slot = u32At(bytes, at + 8) & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#slots[slot] === key) return false;
    }
    this.#slots[slot] = key;
    return true;
  }
}
