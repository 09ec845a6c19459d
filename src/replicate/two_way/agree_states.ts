/**
 * What a mailbox's state is to be at both sides (sync-protocol.md 5.7): numbers only ever rise,
 * settings are A's.
 */
import { sameAcl } from "../../model/acl.ts";
import { sameAnnotations } from "../../model/annotation.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import type { Holds } from "../../places/place.ts";
import type { Decision } from "../plan/steps.ts";

/** What only the records can tell. */
export interface AgreedNumbers {
  readonly lastUid: number;
  readonly highestmodseq: bigint;
  readonly syncCrc: number;
}

/** `a` with the higher numbers of the two, and with what only B says. */
export function agreeStates(
  a: MailboxState,
  b: MailboxState,
  { lastUid, highestmodseq, syncCrc }: AgreedNumbers,
): MailboxState {
  return {
    ...b,
    ...withoutUnsaid(a),
    ...{ lastUid, highestmodseq, syncCrc, syncCrcAnnot: 0 },
    uidvalidity: Math.max(a.uidvalidity, b.uidvalidity),
    annotations: keepsAnnotationsOf(a, b).annotations,
    ...highest("xconvmodseq", a, b),
    ...highest("foldermodseq", a, b),
    ...highest("raclmodseq", a, b),
    ...(a.userflags !== undefined &&
      b.userflags !== undefined && { userflags: [...new Set([...a.userflags, ...b.userflags])] }),
  };
}

function withoutUnsaid(state: MailboxState): MailboxState {
  const said = Object.entries(state).filter(([, value]) => value !== undefined);
  // No required field is undefined.
  return Object.fromEntries(said) as unknown as MailboxState;
}

/** The mailbox's own annotations are A's, unless B has come further. */
function keepsAnnotationsOf(a: MailboxState, b: MailboxState): MailboxState {
  return b.highestmodseq > a.highestmodseq ? b : a;
}

function highest(
  field: "xconvmodseq" | "foldermodseq" | "raclmodseq",
  a: MailboxState,
  b: MailboxState,
): Partial<MailboxState> {
  const [ours, theirs] = [a[field], b[field]];
  if (ours === undefined || theirs === undefined) return {};
  return { [field]: ours > theirs ? ours : theirs };
}

/** Settings that differ, and whose are kept. Times and the like are not worth a word. */
export function stateDecisions(a: MailboxState, b: MailboxState, holds: Holds): Decision[] {
  const decisions: Decision[] = [];
  const decide = (text: string): void => {
    decisions.push({ kind: "state", name: a.name, text });
  };
  if (holds.acls && !sameAcl(a.acl ?? "", b.acl ?? "")) decide("the ACLs differ: A's is kept");
  if (holds.mailboxDetails && a.options !== b.options) decide("the options differ: A's are kept");
  if (a.uidvalidity !== b.uidvalidity) {
    decide(`UIDVALIDITY ${a.uidvalidity} at A, ${b.uidvalidity} at B: the higher one is kept`);
  }
  if (holds.mailboxAnnotations && !sameAnnotations(a.annotations, b.annotations)) {
    const kept = keepsAnnotationsOf(a, b) === a ? "A" : "B";
    decide(`the mailbox's annotations differ: ${kept}'s are kept`);
  }
  return decisions;
}
