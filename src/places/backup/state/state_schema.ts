/**
 * The tables of `backupstate.sqlite3` (backup-format.md 3). Those without `x_` are upstream's,
 * which reads and changes them too; all can be made again from the archive, but for runs that
 * found nothing new and wrote nothing into it. The database is to be opened as `strict`.
 */

/** Columns of a file of a mailbox or of a user that is in force. */
const FILE_COLUMNS = `name TEXT NOT NULL, sha1 TEXT, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, inode INTEGER NOT NULL, stale INTEGER NOT NULL, offset INTEGER NOT NULL`;

const UPREF = "UPDATE files SET refcount = refcount + 1 WHERE fileid = new.fileid;";
const DOWNREF = "UPDATE files SET refcount = refcount - 1 WHERE fileid = old.fileid;";

/** Makes what is missing of the tables: all in a new state, ours in one that upstream made. */
export const STATE_SCHEMA: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS status (filename TEXT NOT NULL, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, offset INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 5,
    PRIMARY KEY (filename))`,
  `CREATE TABLE IF NOT EXISTS folders (folderid INTEGER PRIMARY KEY, uniqueid TEXT,
    UNIQUE (uniqueid))`,
  `CREATE TABLE IF NOT EXISTS imap (name TEXT NOT NULL, folderid INTEGER NOT NULL,
    deleted INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (name, folderid))`,
  `CREATE TABLE IF NOT EXISTS meta (type TEXT NOT NULL, ${FILE_COLUMNS},
    PRIMARY KEY (type, name))`,
  `CREATE TABLE IF NOT EXISTS fmeta (folderid INTEGER NOT NULL, ${FILE_COLUMNS},
    PRIMARY KEY (folderid, name))`,
  `CREATE TABLE IF NOT EXISTS files (fileid INTEGER PRIMARY KEY, guid TEXT NOT NULL,
    size INTEGER NOT NULL, refcount INTEGER NOT NULL, offset INTEGER NOT NULL, UNIQUE (guid))`,
  `CREATE TABLE IF NOT EXISTS indexed (folderid INTEGER NOT NULL, uid INTEGER NOT NULL,
    fileid INTEGER NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY (folderid, uid))`,
  `CREATE TRIGGER IF NOT EXISTS upref AFTER INSERT ON indexed BEGIN ${UPREF} END`,
  `CREATE TRIGGER IF NOT EXISTS downref AFTER DELETE ON indexed BEGIN ${DOWNREF} END`,
  `CREATE TRIGGER IF NOT EXISTS changeref AFTER UPDATE OF fileid ON indexed
    BEGIN ${UPREF} ${DOWNREF} END`,
  // The gzip members: where one begins in the file, and where in the stream and how long it is.
  `CREATE TABLE IF NOT EXISTS x_members (coffset INTEGER PRIMARY KEY, offset INTEGER NOT NULL,
    size INTEGER NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS x_members_offset ON x_members (offset)`,
  // Every entry but messages, older copies too. at: since when it is in force, in ms since 1970;
  // content: of the files that Bobbin reads for every mailbox (cyrus.x-mailbox) and every run.
  `CREATE TABLE IF NOT EXISTS x_entries (offset INTEGER PRIMARY KEY, kind TEXT NOT NULL,
    name TEXT NOT NULL, folderid INTEGER, sha1 TEXT, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, at INTEGER NOT NULL, content BLOB)`,
  `CREATE INDEX IF NOT EXISTS x_entries_link ON x_entries (name, offset) WHERE kind = 'link'`,
  `CREATE INDEX IF NOT EXISTS x_entries_name ON x_entries (kind, folderid, name, offset)`,
  // Records of the indexes in force whose messages the archive does not hold, or not sound.
  `CREATE TABLE IF NOT EXISTS x_lacking (folderid INTEGER NOT NULL, uid INTEGER NOT NULL,
    guid TEXT NOT NULL, PRIMARY KEY (folderid, uid))`,
  // The runs of Bobbin; offset: of the mark in the tar, absent where nothing was new.
  `CREATE TABLE IF NOT EXISTS x_runs (ended INTEGER NOT NULL, offset INTEGER,
    mark TEXT NOT NULL)`,
];

/** The version of upstream's tables that is written; 6 has the same (backup-format.md). */
export const STATUS_VERSION = 5;
