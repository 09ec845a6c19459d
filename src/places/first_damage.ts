/** Finds damage among the records of a mailbox before they are used. */
import { AppError } from "../core/errors.ts";
import type { RecordSource } from "../model/mailbox.ts";
import { type Refusal, refused } from "../model/outcome.ts";

/** Reads all records once: the refusal for the first damaged one, undefined if all are sound. */
export async function firstDamage(records: RecordSource): Promise<Refusal | undefined> {
  try {
    for await (const _ of records.batches());
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") {
      return refused("damaged", error.message);
    }
    throw error;
  }
}
