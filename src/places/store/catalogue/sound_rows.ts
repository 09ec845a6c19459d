/**
 * What each column of each table of a store may hold. SQLite keeps any value in any column, so a
 * row is checked whenever it is read: one that is damaged concerns its mailbox or its owner and is
 * an error with a name, never a value that something else stumbles over.
 */
import type { Database } from "bun:sqlite";
import { AppError } from "../../../core/errors.ts";
import { isUniqueid, QUOTA_RESOURCES } from "../../../model/mailbox.ts";
import { ownerKey, ownerOfKey, parseName } from "../../../model/names.ts";
import { ANNOT_VARIANTS } from "../../../model/sync_crc.ts";
import { OWNER_COLUMN } from "./owner_row.ts";

type Row = Readonly<Record<string, unknown>>;
type Check = (value: unknown, row: Row) => boolean;

export interface TableShape {
  /** The columns that tell a row from all others. */
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, Check>>;
  /** What else is read with each row, for the checks of its columns: SQL. */
  readonly also?: string;
}

const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === "string" && pattern.test(value);
const orNull =
  (check: Check): Check =>
  (value, row) =>
    value === null || check(value, row);
const among =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);

const text: Check = (value) => typeof value === "string";
const word = matches(/^[^\0]+$/);
const bytes: Check = (value) => value instanceof Uint8Array;
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const uint32: Check = (value) => count(value, {}) && Number(value) <= 0xffff_ffff;
const unsigned = matches(/^\d{1,20}$/);
const uniqueid: Check = (value) => typeof value === "string" && isUniqueid(value);
const ownerWord: Check = (value) => typeof value === "string" && ownerOfKey(value) !== undefined;

/** Names of mailboxes of somebody else have no place in an owner's catalogue. */
const ownName: Check = (value, row) => {
  if (!word(value, row)) return false;
  const owner = row["owner"];
  const isOwn = ownerKey(parseName(`${value}`).owner) === owner;
  return isOwn || ownerOfKey(`${owner}`) === undefined; // of a row without it nothing is known
};

/** The object that `value` is the JSON of; undefined for anything else. */
function objectOf(value: unknown): Row | undefined {
  if (typeof value !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Row) : undefined;
  } catch {
    return undefined; // JSON.parse throws nothing but that it is no JSON
  }
}

/** The fields of `mailbox.state` (MailboxDetails); 64-bit numbers are decimal text. */
const DETAILS: TableShape["columns"] = {
  ...{ jmapid: orNull(text), type: text, partition: orNull(text), acl: orNull(text) },
  ...{ quotaroot: text, usergroups: text, compactEmailids: count, version: count },
  ...{ xconvmodseq: unsigned, raclmodseq: unsigned },
  ...{ createdmodseq: unsigned, foldermodseq: unsigned },
};

const details: Check = (value) => isObjectOf(DETAILS, value);

/** True for the JSON of an object of these fields, or of some of them. */
function isObjectOf(fields: TableShape["columns"], value: unknown): boolean {
  const found = objectOf(value);
  return (
    found !== undefined &&
    Object.keys(found).every(
      (field) => Object.hasOwn(fields, field) && fields[field]?.(found[field], found) === true,
    )
  );
}

const MAILBOX: TableShape["columns"] = {
  uniqueid,
  name: ownName,
  state: details,
  intermediate: among(0, 1),
  annot_variant: orNull(among(...ANNOT_VARIANTS.map(({ name }) => name))),
  annot_crc: orNull(uint32),
  annot_crc_of: orNull(uint32),
  committed: count,
};

/** The mailbox in a tombstone is a row of `mailbox` as JSON; older ones lack some columns. */
const buriedMailbox: Check = (value) =>
  isObjectOf(MAILBOX, value) &&
  ["uniqueid", "name", "state", "intermediate"].every(
    (column) => column in (objectOf(value) ?? {}),
  );

const ID = "[A-Za-z0-9][A-Za-z0-9-]{0,63}";
const IN_TRASH = `\\.trash/\\d+(?:-\\d+)?`;

const STEP_PATH = new RegExp(
  `^(?:(?<own>${ID})(?:/[a-z0-9.]+)?|\\.pool/[0-9a-f]{2}/[0-9a-f]{40}` +
    `|${IN_TRASH}(?:/${ID})?|\\.arriving/${ID})$`,
);

/** Every path that a step of the journal may have: in the pool, the trash, or its own mailbox. */
const stepPath: Check = (value, row) => {
  const found = typeof value === "string" ? STEP_PATH.exec(value) : null;
  return found !== null && [undefined, row["uniqueid"]].includes(found.groups?.["own"]);
};

/** The tables of an owner's catalogue (catalogue.ts). */
export const CATALOGUE_TABLES = {
  about: {
    key: ["key"],
    columns: { key: word, value: (value, { key }) => key !== "owner" || ownerWord(value, {}) },
  },
  mailbox: { key: ["uniqueid"], columns: MAILBOX, also: OWNER_COLUMN },
  history: {
    key: ["uniqueid", "number"],
    columns: { uniqueid: word, number: count, name: word, until: count },
  },
  tombstone: {
    key: ["number"],
    columns: {
      ...{ number: count, uniqueid: word, name: word, deleted: count, mailbox: buriedMailbox },
      trash: matches(new RegExp(`^(?:${IN_TRASH}/${ID})?$`)),
    },
  },
  subscription: { key: ["name"], columns: { name: text } },
  seen: {
    key: ["uniqueid"],
    columns: { uniqueid: text, lastread: count, lastuid: count, lastchange: count, seenuids: text },
  },
  sieve: {
    key: ["filename"],
    columns: {
      filename: matches(/\.(?:script|bc)$/),
      ...{ last_update: count, active: among(0, 1), content: bytes },
    },
  },
  quota: {
    key: ["root", "resource"],
    columns: {
      root: text,
      resource: among("", "MODSEQ", ...QUOTA_RESOURCES),
      value: (value, { resource }) =>
        resource === "" ? value === "" : matches(/^-?\d{1,20}$/)(value, {}),
    },
  },
  annotation: {
    key: ["uniqueid", "entry", "userid"],
    columns: { uniqueid: text, entry: text, userid: text, modseq: unsigned, value: bytes },
  },
  redo: {
    key: ["number"],
    columns: {
      ...{
        number: count,
        uniqueid,
        kind: among("write", "replace", "move", "unlink", "erase", "release"),
      },
      ...{ path: stepPath, target: orNull(stepPath), offset: orNull(count), bytes: orNull(bytes) },
      ...{ generation: orNull(count), records_before: orNull(count), records_after: orNull(count) },
      unfit: orNull(text),
    },
  },
} as const satisfies Readonly<Record<string, TableShape>>;

/** The tables of a store's registry (registry.ts). */
export const REGISTRY_TABLES = {
  claim: { key: ["uniqueid"], columns: { uniqueid, owner: ownerWord } },
  annotation: { key: ["entry", "userid"], columns: { entry: text, userid: text, value: bytes } },
  handover: {
    key: ["number"],
    columns: { number: count, uniqueid, source: ownerWord, target: ownerWord },
  },
} as const satisfies Readonly<Record<string, TableShape>>;

export type Tables = Readonly<Record<string, TableShape>>;

/** A row that holds what its column never does. */
export interface DamagedRow {
  readonly table: string;
  readonly row: Row;
  readonly column: string;
}

/** A row of the catalogue's `table`, or the columns of it asked for. Throws bad_data. */
export function soundRow<R extends object>(table: keyof typeof CATALOGUE_TABLES, row: R): R {
  return soundIn(CATALOGUE_TABLES, table, row);
}

/** False for a row for which `soundRow` throws. */
export function isSoundRow(table: keyof typeof CATALOGUE_TABLES, row: object): boolean {
  return damagedColumn(CATALOGUE_TABLES[table], row as unknown as Row) === undefined;
}

/** `soundRow` for the registry. */
export function soundClaim<R extends object>(table: keyof typeof REGISTRY_TABLES, row: R): R {
  return soundIn(REGISTRY_TABLES, table, row);
}

function soundIn<R extends object>(tables: Tables, table: string, row: R): R {
  const found = row as unknown as Row; // its columns are what is looked at
  const column = damagedColumn(tables[table], found);
  if (column !== undefined) throw damagedRow({ table, row: found, column }, tables);
  return row;
}

/** The first column that holds what it never does. */
export function damagedColumn(shape: TableShape | undefined, row: Row): string | undefined {
  return Object.keys(row).find((column) => shape?.columns[column]?.(row[column], row) === false);
}

/** The error that says which row is damaged, and where. */
export function damagedRow({ table, row, column }: DamagedRow, tables: Tables): AppError {
  const which = Object.entries(row).filter(
    ([name]) => name !== column && (name === "name" || tables[table]?.key.includes(name)),
  );
  const names = which.map(([name, value]) => `${name} ${shown(value)}`).join(", ");
  const where = names === "" ? `a row of ${table}` : `the row of ${table} with ${names}`;
  return new AppError("bad_data", `Cannot use ${where}: its ${column} is ${shown(row[column])}`, {
    context: { table, column },
    hint: "Run `bobbin store reconstruct`.",
  });
}

const SHOWN_MAX = 60;

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const printed = JSON.stringify(value) ?? `${value}`;
  return printed.length > SHOWN_MAX ? `${printed.slice(0, SHOWN_MAX)}…` : printed;
}

/** The rows of a table of which a column holds what it never does. */
export function damagedIn(database: Database, table: string, tables: Tables): DamagedRow[] {
  const columns = ["*", tables[table]?.also ?? []].flat().join(", ");
  const rows = database.query<Record<string, unknown>, []>(`SELECT ${columns} FROM ${table}`).all();
  return rows.flatMap((row) => {
    const column = damagedColumn(tables[table], row);
    return column === undefined ? [] : [{ table, row, column }];
  });
}

/** Removes a row, whatever its key has become. */
export function dropRow(database: Database, { table, row }: DamagedRow, tables: Tables): void {
  const key = tables[table]?.key ?? [];
  const where = key.map((column) => `${column} IS ?`).join(" AND ");
  database.query(`DELETE FROM ${table} WHERE ${where}`).run(...key.map((name) => bound(row[name])));
}

/** A value that SQLite gave, to be given back to it. */
export function bound(value: unknown): string | number | null | Uint8Array {
  return value as string | number | null | Uint8Array; // SQLite has no other kinds
}
