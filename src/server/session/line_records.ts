/**
 * The records of a MAILBOX line, taken out of it while it is being read: their text would take ten
 * times the memory.
 */
import { FieldError } from "../../formats/dlist/access.ts";
import type { ReaderEvent } from "../../formats/dlist/reader.ts";
import { parseRecord } from "../../formats/sync/record_line.ts";
import type { MailRecord } from "../../model/record.ts";
import { costOf } from "../../places/record_cost.ts";

export class LineRecords {
  /** Records that one line may have. */
  readonly #limit: number;
  #records: MailRecord[] = [];
  #heldBytes = 0;
  #error: FieldError | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of memory that the records cost until their mailbox is applied. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Why the records of this line cannot be taken; undefined if they can. Further ones are ignored.
   */
  get error(): FieldError | undefined {
    return this.#error;
  }

  take({ value }: Extract<ReaderEvent, { kind: "item" }>): void {
    if (this.#error !== undefined) return;
    try {
      if (this.#records.length >= this.#limit) throw new FieldError("RECORD", "fewer records");
      const record = parseRecord(value);
      this.#records.push(record);
      this.#heldBytes += costOf(record);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.drop();
      this.#error = error;
    }
  }

  /** The records that have come. */
  get all(): readonly MailRecord[] {
    return this.#records;
  }

  /** The line has ended: the next one begins with none. */
  drop(): void {
    this.#records = [];
    this.#heldBytes = 0;
    this.#error = undefined;
  }
}
