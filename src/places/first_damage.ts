/** Looking at the records of a mailbox before anything is done with them. */
import { AppError } from "../core/errors.ts";
import type { RecordSource } from "../model/mailbox.ts";
import { type Refusal, refused } from "../model/outcome.ts";

/** Reads the records once; the refusal for the first damaged one, if there is one. */
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
