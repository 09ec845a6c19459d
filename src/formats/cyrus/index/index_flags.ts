/** The bits of cyrus.index: flags of a record (spool-format 2.2), options of the header (1.3). */

/** One bit and what it is called. */
interface NamedBit {
  readonly mask: number;
  readonly name: string;
}

/** Bits 0 to 15 of `systemFlags`: what IMAP shows. \Seen is the owner's, since version 12. */
export const SYSTEM_FLAG = {
  answered: 0x0000_0001,
  flagged: 0x0000_0002,
  deleted: 0x0000_0004,
  draft: 0x0000_0008,
  seen: 0x0000_0010,
} as const;

/**
 * Bits 16 to 31 of a record's `systemFlags`: Cyrus' own notes. An expunged record is gone for
 * clients while its file stays; an unlinked one, always expunged too, has lost its file or may lose
 * it any time.
 */
export const INTERNAL_FLAG = {
  snoozed: 0x0400_0000,
  splitConversation: 0x0800_0000,
  needsCleanup: 0x1000_0000,
  archived: 0x2000_0000,
  unlinked: 0x4000_0000,
  expunged: 0x8000_0000,
} as const;

/** Bits of the header's `options`. The last three are work that Cyrus has yet to do, not damage. */
export const INDEX_OPTION = {
  pop3NewUidl: 0x0000_0001,
  /** Retired: Cyrus masks it off when it writes. */
  condstore: 0x0000_0002,
  sharedSeen: 0x0000_0004,
  duplicateDeliver: 0x0000_0008,
  hasAlarms: 0x0000_0010,
  needsUnlink: 0x2000_0000,
  needsRepack: 0x4000_0000,
  mailboxDeleted: 0x8000_0000,
} as const;

/** The option bits that Cyrus writes. */
export const OPTIONS_WRITTEN = 0xe000_001d;

export const SYSTEM_FLAGS: readonly NamedBit[] = [
  { mask: SYSTEM_FLAG.answered, name: "\\Answered" },
  { mask: SYSTEM_FLAG.flagged, name: "\\Flagged" },
  { mask: SYSTEM_FLAG.deleted, name: "\\Deleted" },
  { mask: SYSTEM_FLAG.draft, name: "\\Draft" },
  { mask: SYSTEM_FLAG.seen, name: "\\Seen" },
];

/**
 * True if any bit of `mask` is set in `word`; bit 31 included, which JavaScript takes for a sign.
 */
export function hasBit(word: number, mask: number): boolean {
  return (word & mask) !== 0;
}
