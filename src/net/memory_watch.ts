/**
 * Keeps the memory of the server small while many clients send. What has come off the network is
 * soon garbage, but the runtime's collector goes by the memory of the whole machine and would let
 * it pile up. One client alone does not reach the bound.
 */

/** Resident bytes up to which nothing is done. */
const CALM_BYTES = 144 * 1024 * 1024;
/** By how much the process must grow after a collection before the next one. */
const STEP_BYTES = 16 * 1024 * 1024;
/** Bytes that are received between two looks. */
const LOOK_EVERY_BYTES = 4 * 1024 * 1024;

export interface MemoryProbe {
  /** Resident bytes of the process. */
  readonly resident: () => number;
  readonly collect: () => void;
}

/** Of this process. */
export const OWN_MEMORY: MemoryProbe = {
  resident: () => process.memoryUsage.rss(),
  collect: () => Bun.gc(true),
};

export class MemoryWatch {
  readonly #probe: MemoryProbe;
  #unseenBytes = 0;
  #boundBytes = CALM_BYTES;

  constructor(probe: MemoryProbe) {
    this.#probe = probe;
  }

  /** Bytes have been received. */
  took(bytes: number): void {
    this.#unseenBytes += bytes;
    if (this.#unseenBytes < LOOK_EVERY_BYTES) return;
    this.#unseenBytes = 0;
    const resident = this.#probe.resident();
    if (resident <= this.#boundBytes) {
      this.#boundBytes = Math.max(CALM_BYTES, Math.min(this.#boundBytes, resident + STEP_BYTES));
      return;
    }
    this.#probe.collect();
    // What is left now is in use, and collecting again at once would not free it.
    this.#boundBytes = Math.max(CALM_BYTES, this.#probe.resident() + STEP_BYTES);
  }
}
