/**
 * The catalogue of what fsck looks for (spool-format section 10): one row a code. What a finding
 * of a code knows, and says beside this, is in `words/`.
 */
import type { Severity } from "./severity.ts";

export interface CatalogueRow {
  readonly title: string;
  readonly severity: Severity;
  /** What a safe repair would do. Nothing here ever deletes mail. */
  readonly repair: string;
}

export const CODES = {
  // cyrus.index
  IX01: row("index unreadable", "critical", "rebuild from the records that pass their CRC"),
  IX02: row("index header CRC mismatch", "critical", "derive the header from good records"),
  IX03: row("index record CRC mismatch", "critical", "salvage the record if its file has its GUID"),
  IX04: row("index shorter than its record count", "critical", "cut to whole good records"),
  IX05: row("bytes after the last index record", "info", "none: records not yet committed"),
  IX06: row("UIDs not strictly ascending", "critical", "drop the later record, add its file anew"),
  IX07: row("UID above last_uid", "error", "raise last_uid"),
  IX08: row("modseq above highestmodseq", "error", "raise highestmodseq"),
  IX09: row("message counts wrong", "error", "count again"),
  IX10: row("unseen count wrong", "error", "count again"),
  IX11: row("quota sums wrong", "error", "sum again"),
  IX12: row("sync CRC wrong", "error", "compute again if every record CRC is good"),
  IX13: row("annotation sync CRC wrong", "warning", "compute again"),
  IX14: row("cyrus.header does not have the CRC the index recorded", "warning", "record it anew"),
  IX15: row("uidvalidity is 0", "error", "take it from mailboxes.db, or a new one"),
  IX16: row("modseq fields contradict each other", "warning", "clamp"),
  IX17: row("spare bytes or reserved bits set", "warning", "write zeros at the next rewrite"),
  IX18: row("user flag bit without a name", "warning", "clear the bit"),
  IX19: row("first_expunged wrong", "info", "compute again"),
  IX20: row("internal flags contradict the record", "warning", "set or clear by the annotation"),
  IX21: row("absurd time", "info", "take it from the message"),

  // cyrus.header
  HD01: row("cyrus.header unreadable", "critical", "rebuild from mailboxes.db"),
  HD02: row("wrong or no uniqueid in cyrus.header", "critical", "decide by folder name, then db"),
  HD03: row("cyrus.header contradicts mailboxes.db", "warning", "mailboxes.db wins"),
  HD04: row("bad flag names in cyrus.header", "warning", "rename, never shift slots"),

  // cyrus.cache
  CA01: row("cache record unreadable", "error", "parse the message again"),
  CA02: row("cache record CRC mismatch", "error", "parse the message again"),
  CA03: row("cache generation differs from the index", "warning", "none if the CRCs pass"),
  CA04: row("cache record does not describe its message", "warning", "parse the message again"),
  CA05: row("more than half of the cache is waste", "info", "repack"),

  // Message files
  MS01: row("message file missing", "critical", "look for its GUID elsewhere"),
  MS02: row("message file empty", "critical", "look for its GUID elsewhere"),
  MS03: row("message size differs from its record", "critical", "restore; the GUID decides"),
  MS04: row("message is not what its GUID says", "critical", "restore; never rewrite the GUID"),
  MS05: row("header_size wrong", "error", "parse the message again"),
  MS06: row("message file without a record", "error", "add under a new UID after a GUID check"),
  MS07: row("message file above last_uid", "info", "none: a delivery in flight, or add it"),
  MS08: row("file that belongs to no mailbox", "warning", "move to quarantine"),
  MS09: row("file of an unlinked record", "info", "none: removed at the next cleanup"),
  MS10: row("message in both spool and archive, or in the wrong one", "error", "keep one, set bit"),
  MS11: row("unusual hard links", "info", "break the link by a copy"),
  MS12: row("bare LF, NUL or 8-bit octets in headers", "info", "none"),
  MS13: row("the same GUID twice in one mailbox", "info", "none: legal"),

  // Databases of a server and its users
  DB01: row("mailboxes.db damaged", "critical", "write what can be read into a new file"),
  DB02: row("mailbox without a folder", "critical", "look for its uniqueid elsewhere"),
  DB03: row("folder without an entry in mailboxes.db", "critical", "add one from cyrus.header"),
  DB04: row(
    "records of mailboxes.db contradict each other",
    "error",
    "write them from the N record",
  ),
  DB05: row("the same uniqueid in two mailboxes", "critical", "give the younger copy a new one"),
  DB06: row("uidvalidity in mailboxes.db is not that of the index", "error", "the index wins"),
  DB07: row("folder lies in the other layout", "critical", "follow the files"),
  DB08: row("partition unknown or wrong in mailboxes.db", "critical", "correct the partition"),
  DB09: row("reverse ACLs do not fit the ACLs", "warning", "write them anew"),
  DB10: row("mailbox name that should not be", "warning", "none"),
  DB11: row("counters behind the foldermodseq of a mailbox", "warning", "raise the counters"),
  DB12: row("deliver.db damaged", "error", "Cyrus makes it anew once it is removed"),
  QU01: row("quota use wrong", "error", "write the sums"),
  QU02: row("wrong quota root", "warning", "set the root in cyrus.header"),
  SE01: row("seen state damaged or stale", "warning", "clamp or drop"),
  SE02: row("seen state that the index holds by now", "info", "none: Cyrus leaves it behind"),
  SU01: row("subscription to a mailbox that does not exist", "info", "none"),
  AN01: row("annotations damaged or stale", "warning", "keep what can be read"),
  CO01: row("counters damaged or behind", "error", "write them anew, raised"),
  CV01: row("conversations missing or damaged", "warning", "rebuild with ctl_conversationsdb -R"),

  // Whatever else lies in a spool
  PM01: row("wrong owner or mode", "error", "chown or chmod"),
  PM02: row("folder on another filesystem than its partition", "info", "none"),
  TM01: row("leftover of an interrupted write", "info", "remove on request"),
  EX01: row("cyrus.expunge of Cyrus 2.3 present", "warning", "export its messages first"),

  // What only Bobbin's store has
  ST01: row("mailbox of the catalogue without a sound folder", "critical", "reconstruct"),
  ST02: row("mailbox folder that the catalogue does not name", "error", "reconstruct"),
  ST03: row("cyrus.header has another name than the catalogue", "warning", "the catalogue wins"),
  ST04: row("leftover of a transaction that did not commit", "info", "none: gc removes it"),
  ST05: row("message in the pool is not what its name says", "critical", "take a sound copy"),
  ST06: row("message of a record that the pool lacks", "info", "link it back from the folder"),
  ST07: row("file in the pool that no record names", "info", "none: gc removes it"),
  ST08: row("uniqueid not registered for its owner", "error", "reconstruct"),
  ST09: row("uniqueid registered for an owner who has no such mailbox", "info", "none: taken over"),
  ST10: row(
    "committed change not yet written to its file",
    "info",
    "none: the next writer does it",
  ),
  ST11: row("staged messages of a session", "info", "none: gc removes them when it is over"),
  ST12: row("trash and tombstones disagree", "warning", "none: gc removes it in time"),
  ST13: row("mailbox half handed over to another owner", "info", "none: the next to open either"),
  ST14: row(
    "committed changes that the files of their mailbox do not take",
    "critical",
    "put the folder back, or reconstruct drops them",
  ),
  ST15: row("file, folder or link that is no part of a store", "warning", "none: move it away"),
  ST16: row("catalogue or registry damaged", "error", "reconstruct"),

  // Archives of backups
  BK01: row("archive damaged", "critical", "take what is whole before it, and run anew"),
  BK02: row("no state that fits the archive", "warning", "rebuild it from the archive"),
  BK03: row("content is not what its SHA-1 says", "critical", "take a sound copy"),
  BK04: row("entry of an unknown name", "warning", "none: compaction drops it"),
  BK05: row("message of a record that the archive lacks", "critical", "back it up again"),
  BK06: row("state contradicts its archive", "error", "rebuild it from the archive"),
  BK07: row("file in the archive that cannot be read", "error", "back the mailbox up again"),
  BK08: row("mailbox whose files in the archive are unsound", "error", "back it up again"),
} as const;

export type Code = keyof typeof CODES;

function row(title: string, severity: Severity, repair: string): CatalogueRow {
  return { title, severity, repair };
}
