/** Writes subscriptions, seen state, quota roots and flat databases, which Bobbin only reads. */
import { fromLatin1 } from "../../../src/core/bytes.ts";
import type { DatabaseEntry } from "../../../src/formats/cyrus/databases/database_contents.ts";
import { dbNameOfInternal } from "../../../src/formats/cyrus/mailbox_dbname.ts";
import { QUOTA_RESOURCES, type QuotaRoot } from "../../../src/formats/cyrus/quota.ts";
import type { SeenEntry } from "../../../src/formats/cyrus/seen.ts";
import {
  type SubscriptionOptions,
  type Subscriptions,
  VERSION_KEY,
} from "../../../src/formats/cyrus/sub.ts";
import { printValue } from "../../../src/formats/dlist/print.ts";
import { dlistKvlist, dlistList, dlistNumber } from "../../../src/formats/dlist/value.ts";

const ESCAPE = 0xff;
const TAB = 0x09;
const LF = 0x0a;

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
    else if (byte === 0 || byte === TAB || byte === LF || byte === 0x0d)
      out.push(ESCAPE, byte | 0x80);
    else out.push(byte);
  }
}

/** The records that hold `subscriptions` in their version. */
export function printSubscriptions(
  { version, names }: Pick<Subscriptions, "version" | "names">,
  options: SubscriptionOptions,
): DatabaseEntry[] {
  const entry = (key: string, value = "") => ({ key: fromLatin1(key), value: fromLatin1(value) });
  if (version === 0) return names.map((name) => entry(name));
  const inbox = dbNameOfInternal(options.inbox);
  const keys = names.map((name) => {
    const dbName = dbNameOfInternal(name);
    const own = dbName === inbox || dbName.startsWith(`${inbox}\x1f`);
    return `N${own ? `INBOX${dbName.slice(inbox.length)}` : dbName}`;
  });
  return [entry(VERSION_KEY, String(version)), ...keys.sort().map((key) => entry(key))];
}

/** The record as Cyrus writes it. */
export function printSeen(seen: SeenEntry): DatabaseEntry {
  const { uniqueid, lastread, lastuid, lastchange, seenuids } = seen;
  const value = fromLatin1(`1 ${lastread} ${lastuid} ${lastchange} ${seenuids}`);
  return { key: fromLatin1(uniqueid), value };
}

/** A quota root in the newer form, with the line end that Cyrus gives the file. */
export function printQuota(root: Omit<QuotaRoot, "listed" | "scanning">): Uint8Array {
  const uses = QUOTA_RESOURCES.map((resource) => {
    const { used, limit } = root.resources[resource];
    const numbers = limit === undefined ? [used] : [used, limit];
    return [resource, dlistList(numbers.map(dlistNumber))] as const;
  });
  const value = dlistKvlist([...uses, ["MODSEQ", dlistNumber(root.modseq)]]);
  return new Uint8Array([...printValue(value, { from: "server" }), 0x0a]);
}
