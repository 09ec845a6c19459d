/**
 * What a mailbox's state is to be at the target, and in what two states differ (sync-protocol.md
 * 5.6).
 */
import { larger } from "../../core/bigints.ts";
import { pushAll } from "../../core/lists.ts";
import { sameAcl } from "../../model/acl.ts";
import { sameAnnotations } from "../../model/annotation.ts";
import { isIntermediate, type MailboxState, sameType } from "../../model/mailbox.ts";
import type { Holds } from "../../places/place.ts";

export interface StateContext {
  readonly holds: Holds;
  /** The target's mailbox as it is; undefined for one to be made. */
  readonly theirs: MailboxState | undefined;
  /** Where a new one goes. */
  readonly partition: string;
}

/** Said by some versions only. What the source does not say stays what it is at the target. */
const OPTIONAL = [
  ...(["jmapid", "lastAppenddate", "pop3ShowAfter", "xconvmodseq", "compactEmailids"] as const),
  ...(["raclmodseq", "usergroups", "createdmodseq", "foldermodseq"] as const),
];

/** What a Cyrus raises by itself, at a rename or a change of ACLs, and never lowers. */
const RISING = ["xconvmodseq", "raclmodseq", "foldermodseq"] as const;

/** The target's state: `ours`, but for what the source cannot know or the target not undo. */
export function stateToSend(ours: MailboxState, context: StateContext): MailboxState {
  const { holds, theirs, partition } = context;
  if (theirs === undefined) return { ...ours, partition: ours.acl === null ? null : partition };
  const kept = Object.fromEntries(
    OPTIONAL.filter((field) => ours[field] === undefined && theirs[field] !== undefined).map(
      (field) => [field, theirs[field]],
    ),
  );
  const risen = Object.fromEntries(
    RISING.flatMap((field) => {
      const [own, other] = [ours[field], theirs[field]];
      return own !== undefined && other !== undefined && other > own ? [[field, other]] : [];
    }),
  );
  return {
    ...ours,
    ...kept,
    ...risen,
    ...(keepsUidl(ours, theirs) && { options: `${UIDL}${ours.options}` }),
    partition: theirs.partition,
    ...(!holds.uniqueids && { uniqueid: theirs.uniqueid }),
    ...(!holds.acls && { acl: theirs.acl }),
    ...(!holds.mailboxAnnotations && { annotations: theirs.annotations }),
    ...(!holds.mailboxDetails && {
      options: theirs.options,
      recentUid: theirs.recentUid,
      recentTime: theirs.recentTime,
      pop3LastLogin: theirs.pop3LastLogin,
    }),
  };
}

/** The letter for UIDs told to POP3 clients with the UIDVALIDITY, the first of the options. */
const UIDL = "P";

/** A Cyrus sets this option whatever it is told where nothing lives, and it means nothing there. */
function keepsUidl(ours: MailboxState, theirs: MailboxState): boolean {
  return !ours.syncCrc && theirs.options.startsWith(UIDL) && !ours.options.startsWith(UIDL);
}

/** What is sent where the target keeps records: numbers only rise, and no sum is known. */
export function stateBeside(ours: MailboxState, theirs: MailboxState): MailboxState {
  return {
    ...ours,
    ...{ syncCrc: 0, syncCrcAnnot: 0 },
    lastUid: Math.max(ours.lastUid, theirs.lastUid),
    highestmodseq: larger(ours.highestmodseq, theirs.highestmodseq),
    uidvalidity: Math.max(ours.uidvalidity, theirs.uidvalidity),
    recentUid: Math.max(ours.recentUid, theirs.recentUid),
  };
}

/** The sums a mailbox can be compared by; 0 and absent mean "not to be compared". */
export type SumField = "syncCrc" | "syncCrcAnnot";

/** Sums that both say and that differ. They do not say in which record. */
export function differingSums(ours: MailboxState, theirs: MailboxState): SumField[] {
  const fields = ["syncCrc", "syncCrcAnnot"] as const;
  return fields.filter((field) => ours[field] && theirs[field] && ours[field] !== theirs[field]);
}

/** The fields other than sums in which `theirs` is not what `ours` asks for. */
export function differingFields(
  ours: MailboxState,
  theirs: MailboxState,
  holds: Holds,
): (keyof MailboxState)[] {
  const names: (keyof MailboxState)[] = [];
  const compare = (held: boolean, fields: readonly (keyof MailboxState)[]): void => {
    if (held)
      pushAll(
        names,
        fields.filter((field) => (ours[field] ?? 0) !== (theirs[field] ?? 0)),
      );
  };
  const said = (...fields: (keyof MailboxState)[]): (keyof MailboxState)[] =>
    fields.filter((field) => ours[field] !== undefined);
  const saidByBoth = (...fields: (keyof MailboxState)[]): (keyof MailboxState)[] =>
    said(...fields).filter((field) => theirs[field] !== undefined);
  if (!sameType(ours, theirs) && holds.mailboxDetails) names.push("type");
  if (isIntermediate(ours)) return names;
  compare(holds.uids, ["lastUid"]);
  compare(holds.modseqs, ["highestmodseq"]);
  compare(holds.uidvalidity, ["uidvalidity"]);
  compare(holds.mailboxDetails, ["recentUid", "recentTime", "pop3LastLogin"]);
  compare(holds.mailboxDetails && holds.pop3ShowAfter, said("pop3ShowAfter"));
  compare(holds.modseqs, saidByBoth("foldermodseq", "raclmodseq"));
  compare(holds.modseqs, (holds.conversationModseqs ? said : saidByBoth)("xconvmodseq"));
  const [own, other] = [ours.options, theirs.options].map((letters) => new Set(letters));
  if (holds.mailboxDetails && own?.symmetricDifference(other ?? own).size !== 0) {
    names.push("options");
  }
  if (holds.acls && !sameAcl(ours.acl ?? "", theirs.acl ?? "")) names.push("acl");
  const { mailboxEntries: entries } = holds;
  const held = ({ annotations }: MailboxState) =>
    entries === "all" ? annotations : annotations.filter(({ entry }) => entries.includes(entry));
  if (holds.mailboxAnnotations && !sameAnnotations(held(ours), held(theirs))) {
    names.push("annotations");
  }
  return names;
}
