/** Where in an index records lie that cannot be read: the UIDs that they may have had. */
import type { UidRange } from "../model/sequence_set.ts";

export class UidGaps {
  /** Ascending. One that has no end yet goes to infinity; one without room for a UID is empty. */
  readonly ranges: UidRange[] = [];
  /** Of the good records so far. */
  lastUid = 0;
  #isOpen = false;

  /** A record that cannot be read follows. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.ranges.push({ first: this.lastUid + 1, last: Number.POSITIVE_INFINITY });
  }

  /** A good record follows. */
  pass(uid: number): void {
    const open = this.#isOpen ? this.ranges.pop() : undefined;
    if (open !== undefined) this.ranges.push({ first: open.first, last: uid - 1 });
    this.#isOpen = false;
    this.lastUid = uid;
  }
}
