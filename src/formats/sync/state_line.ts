/**
 * `cyrus.x-mailbox`: the state of a mailbox as one dlist value, what MAILBOX says of it in the sync
 * protocol without its records. The files of Cyrus beside it lack some of that.
 */
import type { MailboxState } from "../../model/mailbox.ts";
import { kvlistOf } from "../dlist/access.ts";
import { parseValue } from "../dlist/parse.ts";
import { printValue } from "../dlist/print.ts";
import { parseMailbox, printMailbox } from "./mailbox_line.ts";

export function printStateLine(state: MailboxState): Uint8Array {
  return printValue(printMailbox(state, { purpose: "answer" }), { from: "client" });
}

/** The inverse of `printStateLine`. Throws FormatError. */
export function parseStateLine(bytes: Uint8Array): MailboxState {
  return parseMailbox(kvlistOf(parseValue(bytes), "MAILBOX"), "answer");
}
