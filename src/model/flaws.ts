/**
 * What no target could give back as it came: a keyword that the protocol would read as something
 * else, a time that cyrus.index has no room for, a name with a NUL or a line end in it. Every place
 * refuses it before it keeps anything, so that nobody learns of it only when the mail is to be read
 * or restored.
 */
import { latin1 } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { parseAcl } from "./acl.ts";
import { type Annotation, annotationKey } from "./annotation.ts";
import type { ApplyCommand } from "./apply.ts";
import { isKeyword, systemFlagOf } from "./flags.ts";
import { isUniqueid, type MailboxState, type SeenState } from "./mailbox.ts";
import { isFalseVirtual, type MailRecord } from "./record.ts";
import { parseSequenceSet } from "./sequence_set.ts";

/** Seconds since 1970 have 32 bits in cyrus.index up to version 19. */
const TIME_LIMIT = 2 ** 32;
/** Bytes of a user id, an entry or another name; Cyrus' own buffers for them have 4096 at most. */
const WORD_BYTES = 4096;
const ACL_BYTES = 1024 * 1024;

/** Why a mailbox cannot be kept, its records apart; undefined if it can. */
export function flawOfMailbox(state: MailboxState): string | undefined {
  const { name, acl, userflags = [], recentTime, lastAppenddate = 0 } = state;
  const { pop3LastLogin, pop3ShowAfter = 0 } = state;
  const flaw =
    flawOfAcl(acl) ??
    flawOfFlags(userflags) ??
    flawOfAnnotations(state.annotations) ??
    flawOfWord("JMAPID", state.jmapid ?? "") ??
    flawOfWord("PARTITION", state.partition ?? "") ??
    flawOfWord("QUOTAROOT", state.quotaroot ?? "") ??
    flawOfWord("USERGROUPS", (state.usergroups ?? "").replaceAll("\t", " ")) ??
    flawOfTime("RECENTTIME", recentTime) ??
    flawOfTime("LAST_APPENDDATE", lastAppenddate) ??
    flawOfTime("POP3_LAST_LOGIN", pop3LastLogin) ??
    flawOfTime("POP3_SHOW_AFTER", pop3ShowAfter);
  return flaw === undefined ? undefined : `Mailbox ${name}: ${flaw}`;
}

/** Why a record of the mailbox `name` cannot be kept; undefined if it can. */
export function flawOfRecord(record: MailRecord, name: string): string | undefined {
  const { uid, flags, lastUpdated, internaldate, savedate } = record;
  const flaw =
    flawOfFlags(flags) ??
    flawOfAnnotations(record.annotations) ??
    flawOfVirtual(record.annotations.find(isFalseVirtual)) ??
    flawOfTime("LAST_UPDATED", lastUpdated) ??
    flawOfTime("INTERNALDATE", internaldate) ??
    flawOfTime("savedate", savedate);
  return flaw === undefined ? undefined : `Mailbox ${name}, message ${uid}: ${flaw}`;
}

/**
 * Why what belongs to a user, or an annotation of a mailbox or of the server, cannot be kept;
 * undefined if it can, and for all other commands.
 */
export function flawOfSetting(command: ApplyCommand): string | undefined {
  switch (command.kind) {
    case "seen":
      return flawOfUsers("seen state", command, flawOfSeen(command.seen));
    case "sub":
      return flawOfUsers("subscription", command, flawOfName("MBOXNAME", command.name));
    case "sieve": {
      const { filename, lastUpdate } = command;
      const flaw =
        flawOfScriptName(filename) ??
        flawOfMoment("LAST_UPDATE", lastUpdate) ??
        flawOfSize("CONTENT", command.content);
      return flawOfUsers("script", command, flaw);
    }
    case "activateSieve":
      return flawOfUsers("script", command, flawOfScriptName(command.filename));
    case "quota":
      return flawOfWord("ROOT", command.quota.root);
    case "annotation":
      return flawOfAnnotations([command]);
    default:
      return undefined;
  }
}

function flawOfUsers(
  what: string,
  { userid }: { readonly userid: string },
  flaw: string | undefined,
): string | undefined {
  const found = flawOfName("USERID", userid) ?? flaw;
  return found === undefined ? undefined : `A ${what} of ${userid}: ${found}`;
}

function flawOfSeen({ uniqueid, lastRead, lastChange, seenUids }: SeenState): string | undefined {
  if (!isUniqueid(uniqueid)) return `UNIQUEID ${shown(uniqueid)} is none`;
  try {
    parseSequenceSet(seenUids);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `SEENUIDS ${shown(seenUids)} is no set of UIDs`;
  }
  return flawOfMoment("LASTREAD", lastRead) ?? flawOfMoment("LASTCHANGE", lastChange);
}

function flawOfAnnotations(
  annotations: readonly Pick<Annotation, "entry" | "userid" | "value">[],
): string | undefined {
  for (const { entry, userid, value } of annotations) {
    const flaw =
      flawOfName("ENTRY", entry) ??
      flawOfWord("USERID", userid ?? "") ??
      flawOfSize(`the value of ${entry}`, value);
    if (flaw !== undefined) return flaw;
  }
  const keys = new Set(annotations.length > 1 ? annotations.map(annotationKey) : []);
  return keys.size === 0 || keys.size === annotations.length
    ? undefined
    : "an annotation is there twice";
}

function flawOfVirtual(annotation: Annotation | undefined): string | undefined {
  if (annotation === undefined) return undefined;
  return `the annotation ${annotation.entry} with the value ${shown(latin1(annotation.value))}`;
}

/** A client would not take a longer literal in an answer. */
function flawOfSize(field: string, { length }: Uint8Array): string | undefined {
  const { answerLiteralBytes: most } = DEFAULT_LIMITS;
  return length > most ? `${field} has ${length} bytes, over ${most}` : undefined;
}

function flawOfName(field: string, name: string): string | undefined {
  return name === "" ? `${field} is empty` : flawOfWord(field, name);
}

/** Cyrus makes a path of it: with a slash it would lead to the scripts of somebody else. */
function flawOfScriptName(filename: string): string | undefined {
  return filename.includes("/")
    ? `FILENAME ${shown(filename)} has a slash`
    : flawOfName("FILENAME", filename);
}

/** In Cyrus' files, lines and keys end where such a character stands. */
function flawOfWord(field: string, word: string): string | undefined {
  if (word.length > WORD_BYTES) return `${field} has ${word.length} bytes, over ${WORD_BYTES}`;
  return /[\x00-\x1f\x7f]/.test(word)
    ? `${field} ${shown(word)} has a control character`
    : undefined;
}

/** A time that is kept as text, and so may be later than 32 bits can say. */
function flawOfMoment(field: string, time: number): string | undefined {
  return time < 0 ? `${field} ${time} is before 1970` : undefined;
}

/** The beginning of a long text is enough to find it by. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function flawOfFlags(flags: readonly string[]): string | undefined {
  const found = flags.find((flag) => systemFlagOf(flag) === undefined && !isKeyword(flag));
  return found === undefined ? undefined : `the keyword ${shown(found)} is no atom`;
}

/** Only TABs may stand between the fields of an ACL: line ends would break cyrus.header. */
function flawOfAcl(acl: string | null): string | undefined {
  if (acl !== null && acl.length > ACL_BYTES)
    return `an ACL of ${acl.length} bytes, over ${ACL_BYTES}`;
  if (acl === null || (parseAcl(acl) !== undefined && !/[\x00-\x08\x0a-\x1f\x7f]/.test(acl))) {
    return undefined;
  }
  return `${shown(acl)} is no ACL`;
}

function flawOfTime(field: string, time: number): string | undefined {
  if (time >= 0 && time < TIME_LIMIT) return undefined;
  return `${field} ${time} is no time that cyrus.index can hold`;
}
