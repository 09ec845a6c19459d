/**
 * What of a mailbox no target could give back as it came: a keyword that the protocol would read
 * as something else, a time that cyrus.index has no room for. Every place refuses it before it
 * keeps anything, so that nobody learns of it only when the mail is to be read or restored.
 */
import { parseAcl } from "./acl.ts";
import { isKeyword, systemFlagOf } from "./flags.ts";
import type { MailboxState } from "./mailbox.ts";
import type { MailRecord } from "./record.ts";

/** Seconds since 1970 have 32 bits in cyrus.index up to version 19. */
const TIME_LIMIT = 2 ** 32;

/** Why a mailbox cannot be kept, its records apart; undefined if it can. */
export function flawOfMailbox(state: MailboxState): string | undefined {
  const { name, acl, userflags = [], recentTime, lastAppenddate = 0 } = state;
  const { pop3LastLogin, pop3ShowAfter = 0 } = state;
  const flaw =
    flawOfAcl(acl) ??
    flawOfFlags(userflags) ??
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
    flawOfTime("LAST_UPDATED", lastUpdated) ??
    flawOfTime("INTERNALDATE", internaldate) ??
    flawOfTime("savedate", savedate);
  return flaw === undefined ? undefined : `Mailbox ${name}, message ${uid}: ${flaw}`;
}

function flawOfFlags(flags: readonly string[]): string | undefined {
  const found = flags.find((flag) => systemFlagOf(flag) === undefined && !isKeyword(flag));
  return found === undefined ? undefined : `the keyword ${JSON.stringify(found)} is no atom`;
}

/** Only TABs may stand between the fields of an ACL: line ends would break cyrus.header. */
function flawOfAcl(acl: string | null): string | undefined {
  if (acl === null || (parseAcl(acl) !== undefined && !/[\x00-\x08\x0a-\x1f\x7f]/.test(acl))) {
    return undefined;
  }
  return `${JSON.stringify(acl)} is no ACL`;
}

function flawOfTime(field: string, time: number): string | undefined {
  if (time >= 0 && time < TIME_LIMIT) return undefined;
  return `${field} ${time} is no time that cyrus.index can hold`;
}
