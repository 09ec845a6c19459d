/** `MAILBOX %(…)`, in answers and in APPLY (sync-protocol.md 4.3), in Cyrus' order of keys. */
import { isIntermediate, type MailboxState, type Since } from "../../model/mailbox.ts";
import { FieldError, lookUp, u32Of, u64Of } from "../dlist/access.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistList,
  dlistNumber,
} from "../dlist/value.ts";
import { parseAnnotations, printAnnotations } from "./annotation_list.ts";
import {
  DATE,
  type Field,
  type FieldType,
  field,
  LATIN1,
  LATIN1_OR_NIL,
  printFields,
  readFields,
  U32,
  U64,
} from "./fields.ts";
import { parseFlags, printFlags } from "./record_line.ts";

const FLAG_LIST: FieldType<readonly string[]> = {
  parse: parseFlags,
  print: printFlags,
};
const OPTIONAL_ANNOTATIONS: Field<MailboxState> = {
  key: "ANNOTATIONS",
  read: (value, target) => {
    Object.assign(target, { annotations: parseAnnotations(value) });
  },
  print: (source) => printAnnotations(source.annotations ?? []),
};

const FIELDS: readonly Field<MailboxState>[] = [
  field("JMAPID", "jmapid", LATIN1_OR_NIL),
  field("UNIQUEID", "uniqueid", LATIN1),
  field("MBOXNAME", "name", LATIN1),
  field("MBOXTYPE", "type", LATIN1),
  field("SYNC_CRC", "syncCrc", U32),
  field("SYNC_CRC_ANNOT", "syncCrcAnnot", U32),
  field("LAST_UID", "lastUid", U32),
  field("HIGHESTMODSEQ", "highestmodseq", U64),
  field("RECENTUID", "recentUid", U32),
  field("RECENTTIME", "recentTime", DATE),
  field("LAST_APPENDDATE", "lastAppenddate", DATE),
  field("POP3_LAST_LOGIN", "pop3LastLogin", DATE),
  field("POP3_SHOW_AFTER", "pop3ShowAfter", DATE),
  field("XCONVMODSEQ", "xconvmodseq", U64),
  field("COMPACT_EMAILIDS", "compactEmailids", U32),
  field("RACLMODSEQ", "raclmodseq", U64),
  field("USERGROUPS", "usergroups", LATIN1),
  field("VERSION", "version", U32),
  field("UIDVALIDITY", "uidvalidity", U32),
  field("PARTITION", "partition", LATIN1_OR_NIL),
  field("ACL", "acl", LATIN1_OR_NIL),
  field("OPTIONS", "options", LATIN1),
  field("QUOTAROOT", "quotaroot", LATIN1),
  field("CREATEDMODSEQ", "createdmodseq", U64),
  field("FOLDERMODSEQ", "foldermodseq", U64),
  field("DELETEDMODSEQ", "deletedmodseq", U64),
  OPTIONAL_ANNOTATIONS,
  field("USERFLAGS", "userflags", FLAG_LIST),
];

/** The keys without which a Cyrus client refuses an answer to GET. */
const REQUIRED_IN_ANSWER = new Set([
  ...["UNIQUEID", "MBOXNAME", "LAST_UID", "HIGHESTMODSEQ", "RECENTUID", "RECENTTIME"],
  ...["POP3_LAST_LOGIN", "UIDVALIDITY", "PARTITION", "ACL", "OPTIONS"],
]);
/** The keys without which a Cyrus server refuses an APPLY. */
const REQUIRED_IN_APPLY = new Set([...REQUIRED_IN_ANSWER, "LAST_APPENDDATE"]);
/** The keys of an intermediate mailbox, which has little more than its name. */
const REQUIRED_OF_INTERMEDIATE = new Set(["UNIQUEID", "MBOXNAME", "HIGHESTMODSEQ"]);
const KEYS_OF_INTERMEDIATE = new Set([
  ...["UNIQUEID", "MBOXNAME", "MBOXTYPE", "HIGHESTMODSEQ", "CREATEDMODSEQ", "FOLDERMODSEQ"],
]);

const EMPTY: Omit<MailboxState, "uniqueid" | "name" | "highestmodseq"> = {
  lastUid: 0,
  recentUid: 0,
  recentTime: 0,
  pop3LastLogin: 0,
  uidvalidity: 0,
  partition: null,
  acl: null,
  options: "",
  annotations: [],
};

/** Where a MAILBOX stands: in the answer to a GET, or in an APPLY. */
export type MailboxPurpose = "answer" | "apply";

/** The state in a MAILBOX kvlist, without its records. Throws FieldError, which names the key. */
export function parseMailbox(kvlist: DlistKvlist, purpose: MailboxPurpose): MailboxState {
  const found = readFields(kvlist, FIELDS, REQUIRED_OF_INTERMEDIATE);
  const { uniqueid, name, highestmodseq } = found;
  if (uniqueid === undefined || name === undefined || highestmodseq === undefined) {
    throw new FieldError("MBOXNAME", "a name");
  }
  if (!isIntermediate(found)) {
    const required = purpose === "apply" ? REQUIRED_IN_APPLY : REQUIRED_IN_ANSWER;
    for (const key of required) {
      if (lookUp(kvlist, key) === undefined) throw new FieldError(key, "a field that is there");
    }
  }
  return { ...EMPTY, ...found, uniqueid, name, highestmodseq };
}

/** Parses the fields of RESTORE MAILBOX, none of which is required. */
export function parsePartialMailbox(kvlist: DlistKvlist): Partial<MailboxState> {
  return readFields(kvlist, FIELDS, new Set());
}

/** The state that an APPLY MAILBOX expects, if it says one. Throws FieldError. */
export function parseSince(kvlist: DlistKvlist): Since | undefined {
  const modseq = lookUp(kvlist, "SINCE_MODSEQ");
  const since = modseq === undefined ? 0n : u64Of(modseq, "SINCE_MODSEQ");
  if (since === 0n) return undefined;
  const crc = lookUp(kvlist, "SINCE_CRC");
  const crcAnnot = lookUp(kvlist, "SINCE_CRC_ANNOT");
  return {
    modseq: since,
    ...(crc === undefined ? {} : { crc: u32Of(crc, "SINCE_CRC") }),
    ...(crcAnnot === undefined ? {} : { crcAnnot: u32Of(crcAnnot, "SINCE_CRC_ANNOT") }),
  };
}

export interface PrintMailboxOptions {
  readonly purpose: MailboxPurpose;
  readonly since?: Since | undefined;
  /** Absent: the key RECORD is left out, as in answers to GET USER and GET MAILBOXES. */
  readonly records?: readonly DlistValue[];
}

/** The inverse of `parseMailbox`; an intermediate mailbox to be applied has few keys. */
export function printMailbox(
  state: Partial<MailboxState>,
  options: PrintMailboxOptions,
): DlistKvlist {
  const { purpose, since, records } = options;
  if (purpose === "apply" && isIntermediate(state)) {
    return dlistKvlist(
      printFields(
        state,
        FIELDS.filter((row) => KEYS_OF_INTERMEDIATE.has(row.key)),
      ),
    );
  }
  return dlistKvlist([
    ...printFields(state, FIELDS),
    ["SINCE_MODSEQ", since === undefined ? undefined : dlistNumber(since.modseq)],
    ["SINCE_CRC", since?.crc === undefined ? undefined : dlistNumber(since.crc)],
    ["SINCE_CRC_ANNOT", since?.crcAnnot === undefined ? undefined : dlistNumber(since.crcAnnot)],
    ["RECORD", records === undefined ? undefined : dlistList(records)],
  ]);
}
