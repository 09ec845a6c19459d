/** A mailbox as GET answers it. */
import type { Answer } from "../../formats/sync/answer.ts";
import { isIntermediate, type MailboxState } from "../../model/mailbox.ts";

/**
 * What clients expect of a placeholder in the tree: zeros, and an ACL that is text. Cyrus' own client takes
 * an ACL of NIL for a missing one and gives up.
 */
export function mailboxAnswer(state: MailboxState): Answer {
  if (!isIntermediate(state)) return { kind: "mailbox", state };
  const placeholder = { ...state, syncCrc: 0, lastAppenddate: 0, pop3ShowAfter: 0 };
  return { kind: "mailbox", state: { ...placeholder, highestmodseq: 0n, acl: state.acl ?? "" } };
}
