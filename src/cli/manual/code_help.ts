/**
 * What each finding of fsck means to an administrator, and what he does about it. Severity and
 * title are in the catalogue (`fsck/codes.ts`).
 */
import type { Code } from "../../fsck/codes.ts";

export interface CodeHelp {
  readonly means: string;
  readonly advice: string;
}

const FROM_COPY =
  "Copy the mailbox folder away, then bring the mailbox back from a replica or a backup. Cyrus' " +
  "reconstruct keeps less: messages get new UIDs and lose their flags.";
const BRING_BACK =
  "Bring the message back from a backup, or from a replica: `bobbin cat REPLICA GUID` prints it.";
const COUNT_AGAIN =
  "Cyrus' `reconstruct MAILBOX` puts it right. Look at what else is found in the mailbox first.";
const IN_PART = "Cyrus' `reconstruct MAILBOX` puts some of it right; it does no harm.";
const NOT_BY_CYRUS = "Cyrus' reconstruct leaves it; bring the mailbox back from a replica.";
const CACHE_AGAIN = "Cyrus' `reconstruct -G MAILBOX` writes the cache anew from the messages.";
const RECONSTRUCT = "Keep a copy of the store, and run `bobbin store reconstruct`.";
const NOTHING = "Nothing.";
const REBUILD = "`bobbin backup rebuild` makes it anew from the archive.";
const FROM_SOURCE =
  "Run `bobbin backup rebuild` on the archive: the next `bobbin backup run` brings the message " +
  "again, if its source still has it.";
const ARCHIVE_COPY =
  "Bring it back from a copy of the archive, or move the archive away and back the user up anew.";

export const CODE_HELP: Readonly<Record<Code, CodeHelp>> = {
  IX01: help("cyrus.index is missing, cut off or of no known version.", FROM_COPY),
  IX02: help(
    "The header of cyrus.index has changed on the disk: its checksum is wrong.",
    FROM_COPY,
  ),
  IX03: help(
    "One record of cyrus.index has changed on the disk: UID, flags, date or GUID of this message " +
      "cannot be trusted.",
    FROM_COPY,
  ),
  IX04: help("cyrus.index ends before the last record that it should have.", FROM_COPY),
  IX05: help("cyrus.index has bytes behind its last record, of a change not finished.", NOTHING),
  IX06: help("UIDs do not ascend, so mail programs may show a wrong message.", FROM_COPY),
  IX07: help("A message has a UID that the mailbox has not given out yet.", COUNT_AGAIN),
  IX08: help(
    "A record is newer than the mailbox says it is, so clients and replicas may miss changes.",
    COUNT_AGAIN,
  ),
  IX09: help("The mailbox counts its messages or flags wrongly.", COUNT_AGAIN),
  IX10: help("The mailbox counts its unseen messages wrongly.", COUNT_AGAIN),
  IX11: help("The mailbox adds up the sizes of its messages wrongly.", COUNT_AGAIN),
  IX12: help("The checksum by which replicas compare this mailbox is wrong.", COUNT_AGAIN),
  IX13: help(
    "The checksum by which replicas compare the annotations of messages is wrong.",
    COUNT_AGAIN,
  ),
  IX14: help(
    "cyrus.header has changed since cyrus.index noted its checksum.",
    `Compare the ACL and the names of keywords in it with a replica. ${NOT_BY_CYRUS}`,
  ),
  IX15: help(
    "The mailbox has no uidvalidity, so mail programs fetch everything anew.",
    COUNT_AGAIN,
  ),
  IX16: help("The times of changes (modseqs) contradict each other.", IN_PART),
  IX17: help("Bytes that have no use are not zero.", "Nothing, unless other findings go with it."),
  IX18: help("A message has a keyword that has no name.", COUNT_AGAIN),
  IX19: help("The time of the first expunged message is wrong.", NOTHING),
  IX20: help("Marks that only Cyrus uses contradict each other.", IN_PART),
  IX21: help("A date of the message lies in the far past or the future.", NOTHING),

  HD01: help(
    "cyrus.header, with the uniqueid and the names of keywords, cannot be read.",
    "Put cyrus.header back from a backup or a replica: reconstruct gives the mailbox a new " +
      "uniqueid.",
  ),
  HD02: help(
    "The mailbox has no uniqueid, or another one than mailboxes.db says.",
    "Find out which is right (the folder's name, a replica) before any reconstruct.",
  ),
  HD03: help(
    "Name, ACL or quota root in cyrus.header are not those of mailboxes.db, which is right.",
    "Set the ACL or the quota anew at the server; Cyrus' reconstruct leaves it.",
  ),
  HD04: help("A keyword has a name that is none, or two have one name.", NOT_BY_CYRUS),

  CA01: help("What the cache holds of this message cannot be read.", CACHE_AGAIN),
  CA02: help("What the cache holds of this message has changed on the disk.", CACHE_AGAIN),
  CA03: help("Index and cache were not written together.", CACHE_AGAIN),
  CA04: help("The cache does not describe this message: headers or sizes differ.", CACHE_AGAIN),
  CA05: help("More than half of cyrus.cache belongs to no message any more.", NOTHING),

  MS01: help(
    "The index has this message, and its file is gone.",
    `${BRING_BACK} Cyrus' reconstruct would expunge it at once.`,
  ),
  MS02: help(
    "The file of this message is empty.",
    `${BRING_BACK} Cyrus' reconstruct would remove the file and expunge the message.`,
  ),
  MS03: help(
    "The file of this message has another size than its record says.",
    `${BRING_BACK} Without a finding MS04 the file is right, and reconstruct corrects the record.`,
  ),
  MS04: help(
    "The bytes of this message are not those that were stored: its SHA-1 is not its GUID.",
    `${BRING_BACK} Keep the damaged file until then: Cyrus' reconstruct changes nothing, with -R ` +
      "it takes the damaged bytes for right, with -U it deletes them.",
  ),
  MS05: help("The length of the message's header is noted wrongly.", CACHE_AGAIN),
  MS06: help(
    "A message file lies in the mailbox, and the index does not have it.",
    "Cyrus' `reconstruct MAILBOX` adds it under a new UID, so that its owner sees it again.",
  ),
  MS07: help(
    "A message file has a UID that was not given out yet: a delivery is under way or was cut off.",
    "Check again later; if it stays, Cyrus' `reconstruct MAILBOX` adds the message.",
  ),
  MS08: help(
    "A file lies in a mailbox folder and is no part of it.",
    "Look at it and move it away. `reconstruct -O` would delete it.",
  ),
  MS09: help("The file of an expunged message is still there; Cyrus removes it later.", NOTHING),
  MS10: help(
    "The message lies in the spool and in the archive, or not where its record says.",
    "Compare the two files; Cyrus' reconstruct keeps the one in the spool.",
  ),
  MS11: help(
    "One file on the disk is shared by messages that should not share it.",
    "Replace one of them by a copy (`cp -p`, then `mv`).",
  ),
  MS12: help("The message has bytes that mail should not have; it came like this.", NOTHING),
  MS13: help("The mailbox has the same message twice, which is allowed.", NOTHING),

  DB01: help(
    "mailboxes.db, the list of all mailboxes, cannot be read in whole.",
    "Stop Cyrus, keep a copy, and put back a copy of `ctl_mboxlist -d` or of ctl_cyrusdb.",
  ),
  DB02: help(
    "mailboxes.db has this mailbox, and its folder is not there.",
    "Look whether a disk is mounted and whether the folder lies on another partition.",
  ),
  DB03: help(
    "A mailbox folder is on the disk, and mailboxes.db does not know it, so nobody sees its mail.",
    "Cyrus' `reconstruct -f MAILBOX` adds it to the list.",
  ),
  DB04: help(
    "Two records of mailboxes.db about one mailbox contradict each other.",
    "Keep a copy of mailboxes.db, then run Cyrus' `reconstruct MAILBOX`.",
  ),
  DB05: help(
    "Two mailboxes have one uniqueid, mostly as a folder was copied; replication mixes them up.",
    "Cyrus' `reconstruct -I MAILBOX COPY` gives the second a new one.",
  ),
  DB06: help("mailboxes.db has another uidvalidity than the mailbox itself.", COUNT_AGAIN),
  DB07: help(
    "The folder is named after the mailbox where mailboxes.db expects its uniqueid, or the other " +
      "way.",
    "Keep both as they are until a copy is made; Cyrus' relocate_by_id moves folders.",
  ),
  DB08: help(
    "mailboxes.db names a partition that imapd.conf does not have, or on which the folder is not.",
    "Look at the partitions in imapd.conf, then at where the folder lies.",
  ),
  DB09: help(
    "The list of who may see which mailbox does not fit the ACLs.",
    "Let Cyrus write it anew: switch reverseacls off and on, with a start between.",
  ),
  DB10: help("A mailbox has a name that Cyrus does not allow, or none above it.", NOTHING),
  DB11: help("A counter of the user is behind his mailboxes.", NOT_BY_CYRUS),
  DB12: help(
    "deliver.db, which keeps messages from being delivered twice, cannot be read in whole. Where " +
      "its header is damaged, Cyrus' lmtpd does not start and no mail is delivered.",
    "Stop Cyrus and move the file away; Cyrus makes it anew. What is sent again of the mail of " +
      "the last days is then delivered again, and answered by vacation again.",
  ),
  QU01: help("The quota counts wrongly how much is used.", "Cyrus' `quota -f` counts again."),
  QU02: help(
    "A mailbox belongs to the wrong quota, or to none that is there.",
    "Cyrus' `quota -f`.",
  ),
  SE01: help(
    "What a user has seen is damaged, or of a mailbox that is gone.",
    "Nothing, or remove the file: the user sees messages as new again.",
  ),
  SE02: help("What a user has seen is in the index by now; the old file stays behind.", NOTHING),
  SU01: help("A user subscribes to a mailbox that is not there.", NOTHING),
  AN01: help(
    "Annotations are damaged, or belong to messages that are gone.",
    "Bring the mailbox back from a replica if they matter. Cyrus' reconstruct drops what is " +
      "stale, and fails where cyrus.annotations is damaged: move the file away first.",
  ),
  CO01: help(
    "The counters of a user are damaged or behind, so clients may miss changes.",
    "Cyrus' reconstruct leaves them; bring the user back from a replica.",
  ),
  CV01: help(
    "The database of conversations is missing or damaged.",
    "Cyrus' `ctl_conversationsdb -R USER` makes it anew from the mailboxes.",
  ),

  PM01: help(
    "A file or folder has the wrong owner or mode: Cyrus cannot use it, or others can read it.",
    "Set owner and mode as the other files have them (`chown cyrus:mail`, `chmod 600`).",
  ),
  PM02: help(
    "Part of the partition lies on another file system, which no hard link reaches.",
    NOTHING,
  ),
  TM01: help(
    "A file is left over from a write that was cut off.",
    "Remove it when no process uses it any more.",
  ),
  EX01: help(
    "Cyrus 2.3 kept expunged messages in cyrus.expunge; newer ones delete the file.",
    "Save the messages in it first, if they matter, before a newer Cyrus opens the mailbox.",
  ),

  ST01: help("The store lists this mailbox, and its folder is missing or damaged.", RECONSTRUCT),
  ST02: help("A mailbox folder is there that the store does not list.", RECONSTRUCT),
  ST03: help("cyrus.header has another name than the store, whose name counts.", NOTHING),
  ST04: help("A file is left over from a change that was not finished.", "`bobbin store gc`."),
  ST05: help(
    "A message in the store is not the one that was stored: its SHA-1 is wrong.",
    "Replicate the user from a sound place again.",
  ),
  ST06: help("A message lies in its mailbox, and its second name in the pool is gone.", NOTHING),
  ST07: help("A message in the pool belongs to no mailbox any more.", "`bobbin store gc`."),
  ST08: help("The store does not know whose this mailbox is.", RECONSTRUCT),
  ST09: help("The store notes a mailbox for a user who does not have it.", NOTHING),
  ST10: help("A change is kept and waits for the next writer to write it to its files.", NOTHING),
  ST11: help("Messages that a session has sent and not yet used.", "`bobbin store gc`."),
  ST12: help("The list of deleted mailboxes and the trash disagree.", "`bobbin store gc`."),
  ST13: help("A mailbox is on its way to another user; the next writer ends it.", NOTHING),
  ST14: help(
    "Changes that were confirmed do not fit the files of the mailbox, which were lost or replaced.",
    "Put the folder back as it was. `bobbin store reconstruct` drops the changes and says which.",
  ),
  ST15: help("Something lies in the store that is no part of it.", "Look at it, and move it away."),
  ST16: help("A database of the store is damaged; what it holds of others goes on.", RECONSTRUCT),
  BK01: help(
    "The archive cannot be unpacked from here on, or ends within an entry.",
    "Bring the archive back from a copy of it. `bobbin ls` and `bobbin replicate` read what lies " +
      "before the damage.",
  ),
  BK02: help(
    "The index beside the archive is missing or of another archive; reading is slow without it.",
    REBUILD,
  ),
  BK03: help("A message or file in the archive has changed on the disk.", FROM_SOURCE),
  BK04: help("The archive has an entry that no backup tool writes.", "Nothing: it is passed over."),
  BK05: help(
    "A mailbox lists a message that the archive does not hold, or not sound.",
    FROM_SOURCE,
  ),
  BK06: help("The index beside the archive says something else than the archive.", REBUILD),
  BK07: help("A file of a mailbox or user in the archive is damaged.", ARCHIVE_COPY),
  BK08: help("A mailbox in the archive cannot be read whole.", ARCHIVE_COPY),
};

function help(means: string, advice: string): CodeHelp {
  return { means, advice };
}
