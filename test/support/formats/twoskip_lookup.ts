/** Finding one key of a twoskip file without reading the whole (spool-format 7.3). */
import { viewOf } from "../../../src/core/bytes.ts";
import {
  type KeyOrder,
  mailboxOrder,
  rawOrder,
} from "../../../src/formats/cyrus/databases/key_order.ts";
import { readTwoskip } from "../../../src/formats/cyrus/databases/twoskip.ts";
import * as layout from "../../../src/formats/cyrus/databases/twoskip_record.ts";

/**
 * The value of `key`, or undefined. Goes down the levels in O(log n) where the file is sound;
 * anything odd on the way makes it read everything, as `readTwoskip` does.
 */
export function lookupTwoskip(bytes: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const file = soundFile(bytes);
  if (file !== undefined) {
    // A file is in one of two orders, and nothing in it says which.
    const raw = descend(file, key, { order: rawOrder });
    if (raw.kind === "found") return raw.value;
    const mailbox = descend(file, key, { order: mailboxOrder });
    if (mailbox.kind === "found") return mailbox.value;
    if (raw.kind === "missing" && mailbox.kind === "missing") return undefined;
  }
  return readTwoskip(bytes).entries.find((entry) => rawOrder(entry.key, key) === 0)?.value;
}

/** The committed part of the file, if its header is right and no transaction is under way. */
function soundFile(bytes: Uint8Array): layout.TwoskipFile | undefined {
  if (!layout.hasTwoskipHeader(bytes)) return undefined;
  const file = { bytes, view: viewOf(bytes), end: bytes.length };
  const { header, problem } = layout.readHeader(file);
  const sound = problem === undefined && !header.dirty && header.currentSize === bytes.length;
  return sound ? file : undefined;
}

type Descent =
  | { readonly kind: "found"; readonly value: Uint8Array }
  | { readonly kind: "missing" }
  | { readonly kind: "odd" };

function descend(
  file: layout.TwoskipFile,
  key: Uint8Array,
  options: { readonly order: KeyOrder },
): Descent {
  let here = layout.emptyRecord();
  let ahead = layout.emptyRecord();
  if (layout.readRecord(file, layout.DUMMY_OFFSET, here) !== undefined) return { kind: "odd" };
  let stepsLeft = file.end / 24 + layout.MAX_LEVEL;
  for (let level = here.level; level >= 1; ) {
    if (stepsLeft-- < 0) return { kind: "odd" };
    let next = pointerAlong(file, here, level);
    if (next === 0) {
      level--;
      continue;
    }
    if (layout.readRecord(file, next, ahead) !== undefined) return { kind: "odd" };
    if (ahead.type === layout.TYPE_DELETE) {
      next = layout.nextOf(file, ahead);
      if (next === 0) {
        level--;
        continue;
      }
      if (layout.readRecord(file, next, ahead) !== undefined) return { kind: "odd" };
    }
    if (ahead.type !== layout.TYPE_LIVE || ahead.level < level) return { kind: "odd" };
    const compared = options.order(layout.keyBytes(file, ahead), key);
    if (compared === 0) {
      if (layout.checkTail(file, ahead) !== undefined) return { kind: "odd" };
      return { kind: "found", value: layout.valueBytes(file, ahead) };
    }
    if (compared > 0) level--;
    else [here, ahead] = [ahead, here];
  }
  return { kind: "missing" };
}

function pointerAlong(
  file: layout.TwoskipFile,
  record: layout.TwoskipRecord,
  level: number,
): number {
  if (level === 1) return layout.nextOf(file, record);
  return layout.uint64At(file.view, record.pointersOffset + 8 * level);
}
