/**
 * The files and names of an archive that count at a moment: of several copies of a file, or links
 * of a name, the last one that had come into force by then.
 */
import type { Database } from "bun:sqlite";
import { utf8 } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { parseRunMark, type RunMark } from "../../../formats/backup/run_mark.ts";
import { parseStateLine } from "../../../formats/sync/state_line.ts";
import { TAR_BLOCK } from "../../../formats/tar/tar_header.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import type { Guid } from "../../../model/guid.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";

/** A file, and where its entry begins in the stream. */
export interface FileInForce {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly sha1: string | null;
  /** Of the files that Bobbin reads for every mailbox. */
  readonly content: Uint8Array | null;
}

/** A name that leads to a folder. */
export interface LinkInForce {
  /** As it stands in the archive: mailbox_link.ts. */
  readonly link: string;
  readonly folderid: number;
  readonly uniqueid: string;
}

type Values = Readonly<Record<string, string | number>>;

const FILE = "name, size, sha1, content, max(offset) AS offset";

/** Up to where an archive is read; everything where left out. */
export interface Moment {
  /** Milliseconds since 1970: what had come into force by then. */
  readonly at?: number;
  /** A byte of the stream, at which the entries end. */
  readonly end?: number;
}

const MAX = Number.MAX_SAFE_INTEGER;

/** Which rows of x_entries count. */
const COUNTS = "at <= $at AND offset < $end";

export class EntriesInForce {
  readonly #database: Database;
  readonly #bytes: ArchiveBytes;
  readonly #moment: Required<Moment>;

  constructor(database: Database, bytes: ArchiveBytes, moment: Moment = {}) {
    this.#database = database;
    this.#bytes = bytes;
    this.#moment = { at: MAX, end: MAX, ...moment };
  }

  /**
   * Every name that leads to a folder. Of several that lead to one only the last does: the folder
   * was renamed, and the run that would have said so of the others was cut off.
   */
  links(): LinkInForce[] {
    return this.#all<LinkInForce>(
      `SELECT link, folderid, uniqueid, max(offset) FROM (
        SELECT name AS link, folderid, max(offset) AS offset FROM x_entries
          WHERE kind = 'link' AND ${COUNTS} GROUP BY name
      ) JOIN folders USING (folderid) GROUP BY folderid ORDER BY link`,
    );
  }

  /** The folder to which a name leads; undefined where the name is gone, or never was. */
  link(name: string): LinkInForce | undefined {
    const found = this.#newestLink(name);
    return found && this.linkTo(found.uniqueid)?.link === name ? found : undefined;
  }

  #newestLink(name: string): LinkInForce | undefined {
    return this.#first<LinkInForce>(
      `SELECT link, folderid, uniqueid FROM (
        SELECT name AS link, folderid, max(offset) FROM x_entries
          WHERE kind = 'link' AND name = $name AND ${COUNTS}
      ) JOIN folders USING (folderid)`,
      { name },
    );
  }

  /** A name that leads to the folder of `uniqueid`, if there is one. */
  linkTo(uniqueid: string): LinkInForce | undefined {
    const names = this.#all<{ readonly name: string }>(
      `SELECT DISTINCT name FROM x_entries JOIN folders USING (folderid)
        WHERE kind = 'link' AND uniqueid = $uniqueid AND ${COUNTS} ORDER BY offset DESC`,
      { uniqueid },
    );
    for (const { name } of names) {
      const found = this.#newestLink(name);
      if (found?.uniqueid === uniqueid) return found;
    }
    return undefined;
  }

  /** The row of a folder; undefined where nothing has come of it. */
  folder(uniqueid: string): Pick<LinkInForce, "folderid"> | undefined {
    return this.#first("SELECT folderid FROM folders WHERE uniqueid = $uniqueid", { uniqueid });
  }

  /** The files of a folder, by the NAME of `cyrus.NAME`. */
  files({ folderid }: Pick<LinkInForce, "folderid">): Map<string, FileInForce> {
    const rows = this.#all<FileInForce>(
      `SELECT ${FILE} FROM x_entries
        WHERE kind = 'folder' AND folderid = $folderid AND ${COUNTS} GROUP BY name`,
      { folderid },
    );
    return new Map(rows.filter(({ size }) => size > 0).map((row) => [row.name, row]));
  }

  /** One file of each folder that has it, by folderid. */
  filesNamed(name: string): Map<number, FileInForce> {
    const rows = this.#all<FileInForce & { readonly folderid: number }>(
      `SELECT folderid, ${FILE} FROM x_entries
        WHERE kind = 'folder' AND name = $name AND ${COUNTS} GROUP BY folderid`,
      { name },
    );
    return new Map(rows.filter(({ size }) => size > 0).map((row) => [row.folderid, row]));
  }

  /** A file of the user; undefined where there is none. */
  metaFile(name: string): FileInForce | undefined {
    const row = this.#first<FileInForce>(
      `SELECT ${FILE} FROM x_entries WHERE kind = 'meta' AND name = $name AND ${COUNTS}`,
      { name },
    );
    return row?.size ? row : undefined;
  }

  /** The bytes of a file of the user; undefined where there is none. */
  meta(name: string): Uint8Array | undefined {
    const file = this.metaFile(name);
    return file && this.content(file);
  }

  /**
   * The bytes of a file. Its name is short, so that its header is one block. Throws AppError
   * (bad_data) where they are not those that were written.
   */
  content({ name, offset, size, sha1, content }: FileInForce): Uint8Array {
    const bytes = content ?? this.#bytes.read(offset + TAR_BLOCK, size);
    if (sha1 === null || sha1Of(bytes) === sha1) return bytes;
    throw new AppError("bad_data", `the file ${name} at byte ${offset} of the archive is damaged`);
  }

  /** The mark of the last run that had ended by then; undefined where no run of Bobbin had. */
  lastRun(): RunMark | undefined {
    const row = this.#first<{ readonly mark: string }>(
      "SELECT mark FROM x_runs WHERE ended <= $at ORDER BY ended DESC, rowid DESC LIMIT 1",
      { at: this.#moment.at },
    );
    return row && parseRunMark(utf8(row.mark));
  }

  /** A message, of which there is one copy; undefined where it is not in the archive. */
  message(guid: Guid): Uint8Array | undefined {
    const row = this.#first<{ readonly offset: number; readonly size: number }>(
      "SELECT offset, size FROM files WHERE guid = $guid",
      { guid },
    );
    return row && this.#bytes.read(row.offset + TAR_BLOCK, row.size);
  }

  /** UIDs in the index of a folder whose messages the archive does not hold. */
  lacking({ folderid }: Pick<LinkInForce, "folderid">): ReadonlySet<number> {
    const rows = this.#all<{ readonly uid: number }>(
      "SELECT uid FROM x_lacking WHERE folderid = $folderid",
      { folderid },
    );
    return new Set(rows.map(({ uid }) => uid));
  }

  /**
   * How many UIDs above `uid` the mailbox has given out to messages that neither the archive has
   * nor the index lists.
   */
  unlistedAbove(uniqueid: string, uid: number): number {
    const folder = this.folder(uniqueid);
    const line = folder && this.files(folder).get(FOLDER_FILE.state)?.content;
    if (folder === undefined || !line) return 0;
    const { lastUid } = parseStateLine(line);
    const listed = this.#first<{ readonly n: number }>(
      `SELECT count(*) AS n FROM (
        SELECT uid FROM indexed WHERE folderid = $folderid AND uid > $uid
        UNION SELECT uid FROM x_lacking WHERE folderid = $folderid AND uid > $uid)`,
      { folderid: folder.folderid, uid },
    );
    return Math.max(0, lastUid - uid - (listed?.n ?? 0));
  }

  /** The folders that lack any. */
  lackingFolders(): ReadonlySet<number> {
    const rows = this.#all<Pick<LinkInForce, "folderid">>("SELECT folderid FROM x_lacking");
    return new Set(rows.map(({ folderid }) => folderid));
  }

  hasMessage(guid: Guid): boolean {
    return this.#first("SELECT 1 AS n FROM files WHERE guid = $guid", { guid }) !== undefined;
  }

  #all<Row>(sql: string, values: Values = {}): Row[] {
    const query = this.#database.query(sql);
    // The statements of this class name the columns of their rows.
    const all = { ...values, ...(sql.includes(COUNTS) && this.#moment) };
    return query.all(all) as Row[];
  }

  #first<Row>(sql: string, values: Values): Row | undefined {
    return this.#all<Row>(sql, values)[0];
  }
}
