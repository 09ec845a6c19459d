/**
 * Writes mailbox folders with the project's own codecs: cyrus.header, cyrus.index of version 17 and
 * cyrus.cache as Cyrus 3.6 leaves them, nothing about them unsound. Of any size: nothing is held in
 * memory but what is about to be written.
 */
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assert } from "../../../src/core/assert.ts";
import { writeTwoskip } from "../../../src/formats/cyrus/databases/twoskip_writer.ts";
import { BLANK_HEADER_FILE, printHeaderFile } from "../../../src/formats/cyrus/header_file.ts";
import { SYSTEM_FLAG } from "../../../src/formats/cyrus/index/index_flags.ts";
import {
  blankIndexHeader,
  printIndexHeader,
} from "../../../src/formats/cyrus/index/index_header.ts";
import {
  type IndexRecord,
  printIndexRecord,
} from "../../../src/formats/cyrus/index/index_record.ts";
import { tableOf } from "../../../src/formats/cyrus/index/index_table.ts";
import { crc32 } from "../../../src/hash/crc32.ts";
import {
  ANNOT_VARIANTS,
  BASIC_INIT,
  basicRecordCrc,
  flagCrc,
  virtualAnnotationsCrc,
} from "../../../src/model/sync_crc.ts";
import { printCacheRecord, printCacheStart } from "../formats/cache.ts";
import { CACHE_VERSION, type SampleMail } from "./sample_mail.ts";

export interface MailboxIdentity {
  /** Internal name. */
  readonly name: string;
  readonly user: string;
  readonly uniqueid: string;
  readonly uidvalidity: number;
}

/** Puts the file of a mail at `path`. */
export type PlaceMail = (mail: SampleMail, path: string) => void;

const VERSION = 17;
const DAY = 86_400;
const FLUSH_BYTES = 4 * 1024 * 1024;
export const OWNER_RIGHTS = "lrswipkxtecdan";
const USER_FLAG = "$Forwarded";
const GENERATION = 1;

/** A mail as a file of its own; its time is the internaldate, as Cyrus sets it. */
export function placeAsFile(mail: SampleMail, path: string): void {
  writeFileSync(path, mail.bytes, { mode: 0o600 });
  utimesSync(path, mail.date, mail.date);
}

/** Names that one file may have on ext4, with some to spare. */
const LINKS_PER_FILE = 60_000;

/**
 * Mail as hard links to few files: the first name, and a new one when a file has all it may have.
 */
export function placeAsLink(): PlaceMail {
  const files = new Map<string, { readonly path: string; links: number }>();
  return (mail, path) => {
    let file = files.get(mail.guid);
    if (file === undefined || file.links >= LINKS_PER_FILE) {
      placeAsFile(mail, path);
      file = { path, links: 1 };
      files.set(mail.guid, file);
      return;
    }
    linkSync(file.path, path);
    file.links += 1;
  };
}

/**
 * Makes `folder` a mailbox that holds `mails` under UIDs from 1 on. Returns the bytes of its
 * messages.
 */
export function writeMailbox(
  folder: string,
  identity: MailboxIdentity,
  { mails, place }: { readonly mails: Iterable<SampleMail>; readonly place: PlaceMail },
): number {
  const table = tableOf(VERSION);
  assert(table !== undefined, `index version ${VERSION} is known`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const headerFile = printHeaderFile({
    ...BLANK_HEADER_FILE,
    type: "e",
    name: identity.name,
    uniqueid: identity.uniqueid,
    acl: `${identity.user}\t${OWNER_RIGHTS}\t`,
    userFlags: [USER_FLAG],
  });
  writeFileSync(join(folder, "cyrus.header"), headerFile, { mode: 0o600 });
  writeFileSync(join(folder, "cyrus.annotations"), writeTwoskip([]), { mode: 0o600 });
  const index = new Appender(join(folder, "cyrus.index"));
  const cache = new Appender(join(folder, "cyrus.cache"));
  index.append(new Uint8Array(table.headerSize)); // comes last, when the sums are known
  cache.append(printCacheStart(GENERATION));
  const sums = new Sums();
  for (const mail of mails) {
    const cacheRecord = printCacheRecord(mail.cacheItems);
    const record = recordOf(mail, sums.uid + 1, { at: cache.length, crc: crc32(cacheRecord) });
    place(mail, join(folder, `${record.uid}.`));
    cache.append(cacheRecord);
    index.append(printIndexRecord(record, table));
    sums.add(record);
  }
  index.close(
    printIndexHeader({
      ...blankIndexHeader(table),
      ...sums.headerFields(),
      generationNo: GENERATION,
      uidvalidity: identity.uidvalidity,
      headerFileCrc: crc32(headerFile),
      createdmodseq: 1n,
      changesEpoch: identity.uidvalidity,
      lastRepackTime: identity.uidvalidity,
    }),
  );
  cache.close();
  return sums.bytes;
}

function recordOf(
  mail: SampleMail,
  uid: number,
  cache: { readonly at: number; readonly crc: number },
): IndexRecord {
  const modseq = BigInt(uid + 1);
  const seen = uid % 4 === 0 ? 0 : SYSTEM_FLAG.seen;
  const answered = uid % 10 === 0 ? SYSTEM_FLAG.answered : 0;
  const flagged = uid % 50 === 0 ? SYSTEM_FLAG.flagged : 0;
  return {
    uid,
    internaldate: mail.date,
    internaldateNsec: 0,
    sentdate: mail.date - (mail.date % DAY),
    size: mail.bytes.length,
    headerSize: mail.headerSize,
    contentOffset: 0,
    gmtime: mail.date,
    cacheOffset: cache.at,
    lastUpdated: mail.date,
    systemFlags: seen | answered | flagged,
    userFlags: [uid % 20 === 0 ? 1 : 0, 0, 0, 0],
    contentLines: 0,
    savedate: mail.date,
    cacheVersion: CACHE_VERSION,
    guid: mail.guid,
    modseq,
    cid: 0n,
    createdmodseq: modseq,
    basecid: 0n,
    cacheCrc: cache.crc,
    recordCrc: 0,
  };
}

/** What the header says about all records. */
class Sums {
  uid = 0;
  bytes = 0;
  #date = 0;
  #seen = 0;
  #answered = 0;
  #flagged = 0;
  #basic: number = BASIC_INIT;
  #annot: number = ANNOT_VARIANTS[0].init;

  add(record: IndexRecord): void {
    this.uid = record.uid;
    this.bytes += record.size;
    this.#date = Math.max(this.#date, record.savedate);
    let flags = 0;
    const has = (mask: number, name: string): number => {
      if ((record.systemFlags & mask) === 0) return 0;
      flags ^= flagCrc(name);
      return 1;
    };
    this.#seen += has(SYSTEM_FLAG.seen, "\\Seen");
    this.#answered += has(SYSTEM_FLAG.answered, "\\Answered");
    this.#flagged += has(SYSTEM_FLAG.flagged, "\\Flagged");
    if (record.userFlags[0] !== 0) flags ^= flagCrc(USER_FLAG);
    this.#basic ^= basicRecordCrc(record, flags >>> 0);
    this.#annot ^= virtualAnnotationsCrc(record, VERSION, ANNOT_VARIANTS[0].thrid);
  }

  headerFields() {
    return {
      numRecords: this.uid,
      lastUid: this.uid,
      lastAppenddate: this.#date,
      quotaMailboxUsed: BigInt(this.bytes),
      answered: this.#answered,
      flagged: this.#flagged,
      highestmodseq: BigInt(this.uid + 1),
      exists: this.uid,
      unseen: this.uid - this.#seen,
      syncCrc: this.#basic >>> 0,
      syncCrcAnnot: this.#annot >>> 0,
    };
  }
}

/** A file that only grows, written in large pieces; its start can be put right at the end. */
class Appender {
  length = 0;
  readonly #fd: number;
  #parts: Uint8Array[] = [];
  #pending = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "wx", 0o600);
  }

  append(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
    this.#pending += bytes.length;
    if (this.#pending >= FLUSH_BYTES) this.#flush();
  }

  close(start: Uint8Array = new Uint8Array()): void {
    this.#flush();
    if (start.length > 0) writeSync(this.#fd, start, 0, start.length, 0);
    closeSync(this.#fd);
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#parts);
    const at = this.length - bytes.length;
    const written = writeSync(this.#fd, bytes, 0, bytes.length, at);
    assert(written === bytes.length, "the disk takes what is written");
    this.#parts = [];
    this.#pending = 0;
  }
}
