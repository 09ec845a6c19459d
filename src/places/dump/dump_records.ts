/** Reads the records of one APPLY MAILBOX from its line in a dump. */
import { AppError, FormatError } from "../../core/errors.ts";
import { readAt } from "../../core/files.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { DlistReader } from "../../formats/dlist/reader.ts";
import type { DlistValue } from "../../formats/dlist/value.ts";
import { expectDumpLine } from "../../formats/sync/dump_line.ts";
import { parseRecord } from "../../formats/sync/record_line.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Range } from "./scan.ts";

const CHUNK_BYTES = 256 * 1024;
const BATCH = 512;
const STREAMED: ReadonlySet<string> = new Set(["RECORD"]);

/** The records of the command in this range of the dump. They are read anew each time. */
export function recordsAt(fd: number, range: Range): RecordSource {
  return { batches: () => batchesOf(recordsIn(fd, range)) };
}

function* batchesOf(records: Iterable<MailRecord>): Generator<readonly MailRecord[]> {
  let batch: MailRecord[] = [];
  for (const record of records) {
    batch.push(record);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The line was checked when the dump was opened. Throws AppError (io) if it has changed since. */
function* recordsIn(
  fd: number,
  { start, end }: Range,
  limits: Limits = DEFAULT_LIMITS,
): Generator<MailRecord> {
  const reader = new DlistReader({ limits, expect: expectDumpLine, streamItemsOf: STREAMED });
  const changed = (): AppError =>
    new AppError("io", `The dump has changed at byte ${start} while it was read`);
  let isWhole = false;
  for (let at = start; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    const got = readAt(fd, chunk, at);
    if (got === 0) break;
    for (const event of reader.feed(chunk.subarray(0, got))) {
      if (event.kind === "item") yield readRecord(event.value, changed);
      isWhole = event.kind === "dlist";
    }
    at += got;
  }
  if (!isWhole) throw changed();
}

function readRecord(value: DlistValue, changed: () => AppError): MailRecord {
  try {
    return parseRecord(value);
  } catch (error) {
    throw error instanceof FormatError ? changed() : error;
  }
}
