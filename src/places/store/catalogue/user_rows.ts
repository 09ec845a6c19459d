/**
 * What belongs to a user beside mailboxes: subscriptions, seen state, sieve scripts, quotas. Rows
 * only.
 */
import type { Database } from "bun:sqlite";
import { equalBytes } from "../../../core/bytes.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import type { ApplyCommand, ApplySieve } from "../../../model/apply.ts";
import {
  activeMark,
  bytecodeOf,
  isScriptFile,
  QUOTA_RESOURCES,
  type Quota,
  type QuotaResource,
  type SeenState,
  type SieveFile,
} from "../../../model/mailbox.ts";
import { refusal } from "../../../model/refusal.ts";
import { soundRow } from "./sound_rows.ts";

/** Internal names a user is subscribed to, sorted. */
export function subscriptions(database: Database): string[] {
  return database
    .query<{ name: string }, []>("SELECT name FROM subscription ORDER BY name")
    .all()
    .map((row) => soundRow("subscription", row).name);
}

/** What the user has seen, of his own and of others' mailboxes. */
export function seenStates(database: Database): SeenState[] {
  type Row = Record<"uniqueid" | "seenuids", string> &
    Record<"lastread" | "lastuid" | "lastchange", number>;
  return database
    .query<Row, []>("SELECT * FROM seen ORDER BY uniqueid")
    .all()
    .map((row) => soundRow("seen", row))
    .map((row) => ({
      uniqueid: row.uniqueid,
      lastRead: row.lastread,
      lastUid: row.lastuid,
      lastChange: row.lastchange,
      seenUids: row.seenuids,
    }));
}

/**
 * The scripts and the bytecode that came with them. In the protocol it is the bytecode that is
 * marked as active (sync-protocol.md 4.1), so that of the active script is listed in any case.
 */
export function sieveFiles(database: Database): SieveFile[] {
  interface Row {
    readonly filename: string;
    readonly last_update: number;
    readonly active: number;
    readonly content: Uint8Array;
  }
  const rows = database
    .query<Row, []>("SELECT * FROM sieve ORDER BY filename LIKE '%.bc', filename")
    .all()
    .map((row) => soundRow("sieve", row));
  const active = bytecodeOf(rows.find((row) => row.active === 1)?.filename ?? "");
  const files = rows.map((row): SieveFile => {
    const { filename, last_update: lastUpdate } = row;
    return { filename, lastUpdate, guid: sha1Of(row.content), isActive: filename === active };
  });
  const isMarked = active === undefined || files.some(({ isActive }) => isActive);
  return isMarked ? files : [...files, activeMark(active)];
}

/** The bytes of `x.script` or `x.bc`, or undefined. */
export function sieveScript(database: Database, filename: string): Uint8Array | undefined {
  const row = database
    .query<{ content: Uint8Array }, [string]>("SELECT content FROM sieve WHERE filename = ?")
    .get(filename);
  return row === null ? undefined : soundRow("sieve", row).content;
}

type QuotaRow = Readonly<Record<"root" | "resource" | "value", string>>;

/** The resource of a row that says that a root exists, even if it limits nothing. */
const ROOT = "";
const MODSEQ = "MODSEQ";

/** Every quota root of the owner, by name. */
export function quotas(database: Database): Quota[] {
  const rows = database.query<QuotaRow, []>("SELECT * FROM quota ORDER BY root, resource").all();
  const byRoot = Map.groupBy(rows, (row) => soundRow("quota", row).root);
  return [...byRoot].map(([root, list]) => quotaOf(root, list));
}

function quotaOf(root: string, rows: readonly QuotaRow[]): Quota {
  const limits: Partial<Record<QuotaResource, number>> = {};
  for (const { resource, value } of rows) {
    const known = QUOTA_RESOURCES.find((name) => name === resource);
    if (known !== undefined) limits[known] = Number(value);
  }
  const modseq = rows.find(({ resource }) => resource === MODSEQ)?.value;
  return { root, limits, ...(modseq === undefined ? {} : { modseq: BigInt(modseq) }) };
}

function setQuota(database: Database, quota: Quota): void {
  database.query("DELETE FROM quota WHERE root = ?").run(quota.root);
  const insert = database.query("INSERT INTO quota VALUES (?, ?, ?)");
  insert.run(quota.root, ROOT, "");
  for (const [resource, value] of Object.entries(quota.limits))
    insert.run(quota.root, resource, `${value}`);
  if (quota.modseq !== undefined) insert.run(quota.root, MODSEQ, quota.modseq.toString());
}

/** The commands that change rows of a user and no mailbox. */
export type RowCommand = Extract<
  ApplyCommand,
  {
    readonly kind:
      | ("quota" | "unquota" | "seen" | "sub" | "unsub" | "sieve" | "unsieve")
      | ("activateSieve" | "unactivateSieve");
  }
>;

/** Does `command` to the rows of the owner it belongs to. */
export function applyRows(database: Database, command: RowCommand): void {
  switch (command.kind) {
    case "quota":
      setQuota(database, command.quota);
      return;
    case "unquota":
      database.query("DELETE FROM quota WHERE root = ?").run(command.root);
      return;
    case "seen": {
      const { uniqueid, lastRead, lastUid, lastChange, seenUids } = command.seen;
      database
        .query("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)")
        .run(uniqueid, lastRead, lastUid, lastChange, seenUids);
      return;
    }
    case "sub":
      database.query("INSERT OR IGNORE INTO subscription VALUES (?)").run(command.name);
      return;
    case "unsub":
      database.query("DELETE FROM subscription WHERE name = ?").run(command.name);
      return;
    case "sieve":
      if (!isScriptFile(command.filename)) return;
      if (hasOtherText(database, command)) dropBytecode(database, command.filename);
      database
        .query(
          `INSERT INTO sieve (filename, last_update, content) VALUES (?1, ?2, ?3)
           ON CONFLICT (filename) DO UPDATE SET last_update = ?2, content = ?3`,
        )
        .run(command.filename, command.lastUpdate, command.content);
      return;
    case "unsieve":
      dropBytecode(database, command.filename);
      database.query("DELETE FROM sieve WHERE filename = ?").run(command.filename);
      return;
    case "activateSieve": {
      const script = command.filename.replace(/\.bc$/, ".script");
      if (sieveScript(database, script) === undefined) {
        throw refusal("nonexistent", `Cannot activate ${script}: there is no such script`);
      }
      database.query("UPDATE sieve SET active = (filename = ?)").run(script);
      return;
    }
    case "unactivateSieve":
      database.run("UPDATE sieve SET active = 0");
      return;
  }
}

function hasOtherText(database: Database, { filename, content }: ApplySieve): boolean {
  const before = sieveScript(database, filename);
  return before !== undefined && !equalBytes(before, content);
}

/** Bytecode is that of one text of its script: it goes where that goes or changes. */
function dropBytecode(database: Database, filename: string): void {
  const bytecode = bytecodeOf(filename) ?? null;
  database.query("DELETE FROM sieve WHERE filename = ?").run(bytecode);
}

/** Forgets everything of the user that is no mailbox. */
export function dropUserRows(database: Database): void {
  for (const table of ["subscription", "seen", "sieve", "quota"])
    database.run(`DELETE FROM ${table}`);
}
