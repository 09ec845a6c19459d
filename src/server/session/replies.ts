/** What clients are told of commands, and what is written in the log of the server. */
import { BugError } from "../../core/assert.ts";
import { fromLatin1 } from "../../core/bytes.ts";
import { systemError } from "../../core/errors.ts";
import type { Log, LogFacts } from "../../core/log.ts";
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { REFUSAL_TEXTS } from "../../formats/sync/status.ts";
import { externalName, type Owner, parseName } from "../../model/names.ts";
import type { Outcome, Refusal } from "../../model/outcome.ts";

/**
 * The status line for an outcome. A token is followed by a space and `near KEY`, since clients do
 * not know a token without one.
 */
export function statusOf(outcome: Outcome, options: { readonly for24: boolean }): string {
  if (outcome.kind === "ok") return "OK success";
  if (outcome.reason === "badParameters" && outcome.field !== undefined) {
    return `NO IMAP_PROTOCOL_BAD_PARAMETERS near ${outcome.field}`;
  }
  const text = REFUSAL_TEXTS[outcome.reason];
  // 2.4 knows a mismatch by another name, and repairs it only under that.
  const known = options.for24 ? text.replace("IMAP_SYNC_CHECKSUM", "IMAP_MAILBOX_CRC") : text;
  return `NO ${known}`;
}

/** What a command is about, for the log: its kind, and the user, mailbox or root that it names. */
export function factsOf(command: GetCommand | ApplyRequest, verb: string): LogFacts {
  const named = command as Partial<Record<"userid" | "name" | "mailbox" | "root", string>>;
  const mailbox = mailboxOf(command) ?? named.mailbox ?? named.name;
  const root = "quota" in command ? command.quota.root : named.root;
  return {
    command: `${verb} ${command.kind}`,
    user: named.userid === undefined ? undefined : shown(named.userid),
    mailbox: mailbox === undefined ? undefined : externalName(mailbox),
    root: root === undefined ? undefined : externalName(root),
  };
}

/** Whom a command is about, by the user or the mailbox that it names. */
export function ownerOf(command: GetCommand | ApplyRequest): Owner | undefined {
  const named = command as Partial<Record<"userid" | "name" | "mailbox", string>>;
  const mailbox = mailboxOf(command) ?? named.mailbox;
  const userid = mailbox ? undefined : named.userid; // an annotation may have both
  if (userid) return { kind: "user", userid };
  const name = mailbox || named.name;
  return name ? parseName(name).owner : undefined;
}

function mailboxOf(command: GetCommand | ApplyRequest): string | undefined {
  if (command.kind === "mailbox") return command.state.name;
  return command.kind === "rename" ? command.oldName : undefined;
}

/** Latin1 that may be UTF-8, as text. */
function shown(latin1Text: string): string {
  return new TextDecoder().decode(fromLatin1(latin1Text));
}

/** The level at which a refusal is logged: a peer mends some of them by itself. */
export function levelOf(refusal: Refusal): "error" | "warning" | "info" {
  switch (refusal.reason) {
    case "damaged":
    case "noSpace":
      return "error";
    case "nonexistent":
    case "busy":
    case "changed":
      return "info";
    default:
      return "warning";
  }
}

/** Logs an error: an administrator's with its hint, any other, a bug, with its stack. */
export function logFailure(log: Log, error: unknown, facts: LogFacts = {}): void {
  const known = systemError(error);
  if (known !== undefined) {
    log.write("error", known.message, { ...facts, ...known.context, hint: known.hint });
    return;
  }
  const kind =
    error instanceof BugError ? "a promise inside Bobbin was broken" : "unexpected error";
  const [text, stack] =
    error instanceof Error ? [error.message, error.stack] : [String(error), undefined];
  log.write("error", `${kind}: ${text}`, { ...facts, stack });
}
