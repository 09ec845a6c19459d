/**
 * Every limit on foreign data, in one place. A loop over bytes that others wrote takes its limit
 * from here; passing a limit is an error or a finding, never a crash, and never passes in silence.
 */
export interface Limits {
  /** Bytes of one dlist atom or quoted string (Cyrus: maxword, maxquoted = 128 KiB). */
  readonly atomBytes: number;
  /** Bytes of one dlist literal that is held in memory. */
  readonly literalBytes: number;
  /** Bytes of one message file, on disk or as a file literal (the wire says uint32). */
  readonly messageBytes: number;
  /** Bytes at the start of a message in which its header fields are looked for. */
  readonly messageHeaderBytes: number;
  /** Bytes of one dlist line held in memory, with what its values cost; files do not count. */
  readonly lineBytes: number;
  /**
   * Bytes of memory that the unfinished commands of all sessions of a server may take, and those of
   * one account. With what it needs anyway (some 100 MB) a server stays under 500 MB.
   */
  readonly heldBytes: number;
  readonly accountHeldBytes: number;
  /** Nesting of dlist lists. */
  readonly nesting: number;
  /** Items of one dlist list. */
  readonly listItems: number;
  /** Bytes of cyrus.header. */
  readonly headerFileBytes: number;
  /** User flags of a mailbox: 4 words of 32 bits in each index record. */
  readonly userFlags: number;
  /** Bytes of one cyrus.index, cyrus.cache or cyrus.annotations of the store, read as a whole. */
  readonly mailboxFileBytes: number;
  /** Bytes of messages that one session may have staged and not yet applied. */
  readonly stagingBytes: number;
  /** Records of one cyrus.index. */
  readonly indexRecords: number;
  /** Bytes of one cyrus.cache record. */
  readonly cacheRecordBytes: number;
  /** Records of one APPLY MAILBOX. */
  readonly applyRecords: number;
  /** Data lines with which a server may answer one command. */
  readonly answerLines: number;
  /** Bytes of one line of backupcyrusd's protocol, in either direction. */
  readonly wireLineBytes: number;
  /** Lines of IMAP that a server may say in passing while it answers one command. */
  readonly passingLines: number;
  /** Bytes of one literal in an answer, of one line of it, and of all of it, held in memory. */
  readonly answerLiteralBytes: number;
  readonly answerLineBytes: number;
  readonly answerBytes: number;
  /** Bytes that all sessions of one account may have staged. */
  readonly accountStagingBytes: number;
  /** Connections that the server has at a time, in all and from one address. */
  readonly sessions: number;
  readonly sessionsOfAddress: number;
  /** Depth of folders below a partition root. */
  readonly folderDepth: number;
  /** Bytes of one cyrus.index that is read into memory. */
  readonly indexBytes: number;
  /** Bytes of one cyrus.annotations that is read into memory. */
  readonly annotationsBytes: number;
  /** Findings of one code in one mailbox; further ones are only counted. */
  readonly findingsPerCode: number;
  /** Hard-linked files that are compared over a whole spool (about 100 bytes of memory each). */
  readonly linkedFiles: number;
  /** Problems listed for one database file; further ones are dropped. */
  readonly databaseProblems: number;
  /** Files of one configuration, including those that it includes. */
  readonly configFiles: number;
  /** Bytes of one configuration file. */
  readonly configBytes: number;
  /** Bytes of a list of users that a command is given. */
  readonly userListBytes: number;
  /** Bytes of one of Cyrus' databases that is read into memory. */
  readonly databaseBytes: number;
  /** GUIDs of old messages that one place remembers (about 500 bytes of memory each). */
  readonly rememberedGuids: number;
  /** Bytes of the name of one entry in an archive. */
  readonly tarNameBytes: number;
  /** Bytes of one entry in an archive, as it is unpacked. */
  readonly tarEntryBytes: number;
  /** Bytes of one cyrus.index in an archive: a million records. It is held in memory. */
  readonly archivedIndexBytes: number;
  /** Bytes of one other file of a mailbox or user in an archive that is held in memory. */
  readonly heldEntryBytes: number;
  /** Bytes of such a file that are also kept in the state beside the archive. */
  readonly stateContentBytes: number;
  /** Entries of one archive. */
  readonly archiveEntries: number;
  /**
   * What packed data may unpack to: so many bytes in any case, and beyond them so many times the
   * bytes that were read of it. Mail packs to a third; only a bomb gets near what deflate can do,
   * which is a thousandth.
   */
  readonly unpackedBytes: number;
  readonly unpackedRatio: number;
  /** Multiparts of a message in each other (Cyrus: boundary_limit), and messages in each other. */
  readonly mimeMultiparts: number;
  readonly mimeMessages: number;
  /** Parameters of one Content-Type or Content-Disposition. */
  readonly mimeParameters: number;
  /** Addresses of one header field. */
  readonly mimeAddresses: number;
  /** The same of one gzip member that is unpacked into memory, for what lies somewhere in it. */
  readonly memberBytes: number;
  readonly memberRatio: number;
}

export const DEFAULT_LIMITS: Limits = {
  atomBytes: 128 * 1024,
  literalBytes: 64 * 1024 * 1024,
  messageBytes: 0xffff_ffff,
  messageHeaderBytes: 256 * 1024,
  lineBytes: 256 * 1024 * 1024,
  heldBytes: 360 * 1024 * 1024,
  accountHeldBytes: 300 * 1024 * 1024,
  nesting: 32,
  listItems: 16 * 1024 * 1024,
  headerFileBytes: 16 * 1024 * 1024,
  userFlags: 128,
  mailboxFileBytes: 16 * 1024 * 1024 * 1024,
  stagingBytes: 64 * 1024 * 1024 * 1024,
  indexRecords: 64 * 1024 * 1024,
  cacheRecordBytes: 64 * 1024 * 1024,
  applyRecords: 2 * 1024 * 1024,
  answerLines: 4 * 1024 * 1024,
  wireLineBytes: 64 * 1024,
  passingLines: 10_000,
  answerLiteralBytes: 8 * 1024 * 1024,
  answerLineBytes: 48 * 1024 * 1024,
  answerBytes: 160 * 1024 * 1024,
  accountStagingBytes: 1024 ** 4,
  sessions: 1000,
  sessionsOfAddress: 250,
  folderDepth: 64,
  indexBytes: 2 ** 31,
  annotationsBytes: 2 ** 30,
  findingsPerCode: 200,
  linkedFiles: 1_000_000,
  databaseProblems: 1000,
  configFiles: 100,
  configBytes: 1024 * 1024,
  userListBytes: 64 * 1024 * 1024,
  databaseBytes: 2 ** 31,
  rememberedGuids: 100_000,
  tarNameBytes: 4096,
  tarEntryBytes: 0xffff_ffff,
  archivedIndexBytes: 128 * 1024 * 1024,
  heldEntryBytes: 64 * 1024 * 1024,
  stateContentBytes: 64 * 1024,
  archiveEntries: 64 * 1024 * 1024,
  unpackedBytes: 256 * 1024 * 1024,
  unpackedRatio: 200,
  mimeMultiparts: 1000,
  mimeMessages: 1500,
  mimeParameters: 10_000,
  mimeAddresses: 1_000_000,
  memberBytes: 128 * 1024 * 1024,
  memberRatio: 50,
};
