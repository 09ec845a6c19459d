/**
 * Cyrus' flat databases: text files of `key TAB value LF`, such as subscriptions (Cyrus
 * lib/cyrusdb_flat.c). NUL, TAB, CR and LF inside are written as 0xFF and the byte with its high
 * bit set, 0xFF as two of them. The file is always replaced as a whole, so that a cut line is
 * damage.
 */
import type { DatabaseProblem } from "./database_contents.ts";
import { addProblem, type DatabaseContents, type DatabaseEntry } from "./database_contents.ts";

const ESCAPE = 0xff;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;

/** All entries of a flat file in their order, with the lines that are none. Never throws. */
export function readFlat(bytes: Uint8Array): DatabaseContents {
  const entries: DatabaseEntry[] = [];
  const problems: DatabaseProblem[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = bytes.indexOf(LF, offset);
    const line = bytes.subarray(offset, end === -1 ? bytes.length : end);
    const tab = line.indexOf(TAB);
    if (end === -1) {
      const found = `${line.length} bytes without one`;
      addProblem(problems, { offset, what: "last line", expected: "a line end", found });
      break;
    }
    if (tab < 1) {
      const found = `${line.length} bytes that are not`;
      addProblem(problems, { offset, what: "line", expected: "key, TAB and value", found });
    } else {
      entries.push({
        key: unescaped(line.subarray(0, tab)),
        value: unescaped(line.subarray(tab + 1)),
      });
    }
    offset = end + 1;
  }
  return { entries, problems, unfinished: false };
}

function unescaped(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(ESCAPE)) return bytes;
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    const next = bytes[at + 1];
    if (byte !== ESCAPE) out.push(byte);
    else if (next !== undefined) {
      out.push(next === ESCAPE ? ESCAPE : next & 0x7f);
      at++;
    }
  }
  return Uint8Array.from(out);
}

/** The bytes of a flat file that holds `entries`, in the order given. */
export function writeFlat(entries: readonly DatabaseEntry[]): Uint8Array {
  const out: number[] = [];
  for (const { key, value } of entries) {
    pushEscaped(out, key);
    out.push(TAB);
    pushEscaped(out, value);
    out.push(LF);
  }
  return Uint8Array.from(out);
}

function pushEscaped(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) {
    if (byte === ESCAPE) out.push(ESCAPE, ESCAPE);
    else if (byte === 0 || byte === TAB || byte === LF || byte === CR)
      out.push(ESCAPE, byte | 0x80);
    else out.push(byte);
  }
}
