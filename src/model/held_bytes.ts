/** What values keep in memory, roughly: measured as the growth of the process. */
import type { MailRecord } from "./record.ts";

const BYTES = { small: 16, text: 32, bytes: 250, object: 100, record: 280 } as const;

/** Bytes of memory for a record: equal lists of flags are held once. */
export function recordBytes({ annotations }: MailRecord): number {
  return BYTES.record + heldBytes(annotations);
}

/** Bytes of memory for a value of plain objects, lists, texts, numbers and byte arrays. */
export function heldBytes(value: unknown): number {
  if (typeof value === "string") return BYTES.text + value.length;
  if (typeof value !== "object" || value === null) return BYTES.small;
  if (value instanceof Uint8Array) return BYTES.bytes + value.length;
  let held: number = BYTES.object;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const part of parts) held += heldBytes(part);
  return held;
}
