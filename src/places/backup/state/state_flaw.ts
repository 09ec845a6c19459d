/**
 * Looks whether a state that lies beside an archive may be believed: it is a file like any other,
 * and SQLite takes any value in any column. What has a flaw here is as if it were not there: the
 * archive alone says all that is in it.
 */
import type { Database } from "bun:sqlite";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { STATE_SCHEMA } from "./state_schema.ts";

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

/** Columns, types and keys alone: nothing that is computed. */
const PLAIN_TABLE = /^CREATE TABLE \w+ ?\((?!.*\b(?:AS|CHECK|GENERATED)\b)[\w\s,()]*\)$/is;

/** By name, what each table, index and trigger is; upstream's tables have other spaces. */
const KNOWN = new Map(
  STATE_SCHEMA.map((sql) => {
    const [, type = "", name = ""] = /^CREATE (\w+) IF NOT EXISTS (\w+)/.exec(sql) ?? [];
    return [name, { type: type.toLowerCase(), sql: bare(sql) }];
  }),
);

function bare(sql: string): string {
  return sql.replace(/ IF NOT EXISTS/i, "").replace(/\s+/g, "");
}

/** What is there besides the tables of a state, and could do anything. */
function flawOfSchema(database: Database): string | undefined {
  const rows = database
    .query<SchemaRow, []>("SELECT type, name, sql FROM sqlite_schema WHERE sql NOTNULL")
    .all();
  for (const { type, name, sql } of rows) {
    const known = KNOWN.get(name);
    const isKnown = known?.type === type && sql !== null;
    const isSound = isKnown && (type === "table" ? PLAIN_TABLE.test(sql) : bare(sql) === known.sql);
    if (!isSound) return `it has a ${type} ${name.slice(0, 100)} that no state has`;
  }
  return undefined;
}

const number = (column: string) => `typeof(${column}) = 'integer' AND ${column} >= 0`;
const text = (column: string) => `typeof(${column}) = 'text'`;
const orNull = (test: string, column: string) => `(${column} IS NULL OR ${test})`;

function fileTests(table: string): string[] {
  const counts = ["size", "mtime", "inode", "stale", "offset"];
  return [
    ...counts.map((column) => number(`${table}.${column}`)),
    ...[text("name"), orNull(text("sha1"), "sha1")],
  ];
}

/** What holds of each row of a table that is read, with the one row of `status` beside it. */
const SOUND: Readonly<Record<string, readonly string[]>> = {
  folders: [
    `${text("uniqueid")} AND length(uniqueid) <= 64`,
    "uniqueid GLOB '[A-Za-z0-9]*' AND uniqueid NOT GLOB '*[^A-Za-z0-9-]*'",
  ],
  imap: [text("name"), ...["folderid", "deleted", "imap.offset"].map(number)],
  meta: fileTests("meta"),
  fmeta: [...fileTests("fmeta"), number("folderid")],
  files: [
    `length(guid) = 40 AND ${text("guid")} AND guid NOT GLOB '*[^0-9a-f]*'`,
    ...["fileid", "files.size", "files.offset"].map(number),
    "files.offset + files.size < status.offset",
  ],
  indexed: ["folderid", "uid", "fileid"].map(number),
  x_members: [
    ...["coffset", "x_members.offset", "x_members.size"].map(number),
    "coffset < status.size AND x_members.offset + x_members.size <= status.offset",
  ],
  x_entries: [
    ...["x_entries.offset", "x_entries.size", "at"].map(number),
    ...["kind", "name"].map(text),
    ...[orNull(number("folderid"), "folderid"), orNull(text("sha1"), "sha1")],
    orNull("typeof(content) = 'blob'", "content"),
    "x_entries.offset + x_entries.size < status.offset",
    `x_entries.size <= CASE name WHEN '${FOLDER_FILE.index}'
      THEN ${DEFAULT_LIMITS.archivedIndexBytes} ELSE ${DEFAULT_LIMITS.heldEntryBytes} END`,
  ],
  x_lacking: [number("folderid"), number("uid"), text("guid")],
  x_runs: [number("ended"), orNull(number("x_runs.offset"), "x_runs.offset"), text("mark")],
};

/** What keeps a state with tables of ours from being believed; undefined where nothing does. */
export function flawOfState(database: Database): string | undefined {
  const flaw = flawOfSchema(database);
  if (flaw !== undefined || !hasTable(database, "status")) return flaw; // it may be empty
  const { unpackedBytes, unpackedRatio } = DEFAULT_LIMITS;
  const ofStatus = [
    ...[number("size"), number("offset"), text("filename")],
    `offset <= ${unpackedBytes} + ${unpackedRatio} * size`,
  ];
  const statuses = database
    .query<{ sound: number }, []>(`SELECT (${ofStatus.join(") AND (")}) AS sound FROM status`)
    .all();
  if (statuses.length > 1 || statuses[0]?.sound === 0) return "its row of status makes no sense";
  for (const [table, tests] of Object.entries(SOUND)) {
    if (!hasTable(database, table)) continue;
    const sql = `SELECT 1 FROM ${table}, status WHERE NOT ((${tests.join(") AND (")})) LIMIT 1`;
    if (database.query(sql).get() !== null) return `a row of ${table} makes no sense`;
  }
  return undefined;
}

/** True where the state has a table: those of upstream have none of ours. */
export function hasTable(database: Database, name: string): boolean {
  return database.query("SELECT 1 FROM sqlite_schema WHERE name = ?").get(name) !== null;
}
