/**
 * `.catalogue.sqlite`: what a user's folders are called and what belongs to the user rather than to
 * a message. Names lead to uniqueids here and nowhere else. 64-bit numbers are kept as decimal
 * text: SQLite's integers are signed. Everything of a message lives in the mailbox folder.
 */
import { StoreDatabase, type StoreDatabaseOptions } from "../../../storage/store_database.ts";
import { REDO_SCHEMA, REDO_UNFIT } from "./redo_rows.ts";

/**
 * The SQL that makes a catalogue, then that which brings it from each version of the schema to the
 * next. The columns of the table `mailbox`: `committed` grows with each transaction that touches
 * the mailbox, and readers compare it before and after they read its files. `name` is the internal
 * name (`user.fred.Sub`), `state` what the peer said that no file of the folder keeps
 * (mailbox_rows.ts). `intermediate` mailboxes have no folder. `annot_variant` is the form of
 * SYNC_CRC_ANNOT that the mailbox's peer computes, where that is not the form of the folder;
 * `annot_crc` was its value when the checksum of the index' header was `annot_crc_of`.
 */
export const CATALOGUE_SCHEMA = [
  `
  CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE mailbox (
    uniqueid TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    intermediate INTEGER NOT NULL DEFAULT 0,
    annot_variant TEXT,
    committed INTEGER NOT NULL DEFAULT 1
  ) WITHOUT ROWID;
  CREATE TABLE history (
    uniqueid TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (uniqueid, number)
  ) WITHOUT ROWID;
  CREATE TABLE tombstone (
    number INTEGER PRIMARY KEY,
    uniqueid TEXT NOT NULL,
    name TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    trash TEXT NOT NULL,
    mailbox TEXT NOT NULL
  );
  CREATE TABLE subscription (name TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE seen (
    uniqueid TEXT PRIMARY KEY,
    lastread INTEGER NOT NULL,
    lastuid INTEGER NOT NULL,
    lastchange INTEGER NOT NULL,
    seenuids TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE sieve (
    filename TEXT PRIMARY KEY,
    last_update INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 0,
    content BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE quota (
    root TEXT NOT NULL,
    resource TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (root, resource)
  ) WITHOUT ROWID;
  CREATE TABLE annotation (
    uniqueid TEXT NOT NULL,
    entry TEXT NOT NULL,
    userid TEXT NOT NULL,
    modseq TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (uniqueid, entry, userid)
  ) WITHOUT ROWID;
  ${REDO_SCHEMA}`,
  `
  ALTER TABLE mailbox ADD COLUMN annot_crc INTEGER;
  ALTER TABLE mailbox ADD COLUMN annot_crc_of INTEGER`,
  REDO_UNFIT,
];

/** Opens the catalogue at `path`. */
export function openCatalogue(path: string, options: StoreDatabaseOptions): StoreDatabase {
  return new StoreDatabase(path, CATALOGUE_SCHEMA, options);
}
