/**
 * Renaming in the store: names are rows, so one transaction renames a folder, a tree or a ring of
 * swaps, whatever they hold, and no message moves. `planRenames` decides, `renameMailboxesIn` does.
 */
import { AppError } from "../../../core/errors.ts";
import { externalName, isInbox, nameProblem } from "../../../model/names.ts";
import { withHistory } from "../catalogue/history.ts";
import {
  addFormerName,
  allMailboxes,
  formerNames,
  type MailboxRow,
  renameMailboxes,
  updateMailbox,
} from "../catalogue/mailbox_rows.ts";
import { openForChange } from "./open_mailbox.ts";
import type { OwnerFolder, Transaction } from "./owner_folder.ts";

export interface RenameRequest {
  /** Internal names. */
  readonly from: string;
  readonly to: string;
  /** Take along what lies below `from`. */
  readonly tree: boolean;
}

export interface RenameRules {
  /** True for internal names of the same owner. */
  readonly isOwn: (name: string) => boolean;
  /** An INBOX may be renamed: a peer does so when it deletes a user with delay. */
  readonly mayInbox?: boolean;
}

export interface PlannedRename {
  readonly row: MailboxRow;
  readonly to: string;
}

function refuse(text: string, hint: string): AppError {
  return new AppError("refused", text, { hint });
}

/**
 * Which mailboxes get which names, all requests taken at once. Refused: a source that is not there,
 * a name that stays taken, two mailboxes under one name, an INBOX, a name of another owner or too
 * long.
 */
export function planRenames(
  rows: readonly MailboxRow[],
  requests: readonly RenameRequest[],
  rules: RenameRules,
): PlannedRename[] {
  const planned = new Map<string, PlannedRename>();
  for (const { from, to, tree } of requests) {
    if (!rows.some((row) => row.name === from)) {
      const text = `Cannot rename ${externalName(from)}: there is no such mailbox`;
      throw new AppError("not_found", text);
    }
    for (const row of rows) {
      const isBelow = tree && row.name.startsWith(`${from}.`);
      if (row.name !== from && !isBelow) continue;
      if (planned.has(row.uniqueid)) {
        const name = externalName(row.name);
        throw refuse(`Cannot rename ${name}: two requests name it`, "Name each folder once.");
      }
      planned.set(row.uniqueid, { row, to: to + row.name.slice(from.length) });
    }
  }
  const list = [...planned.values()];
  for (const { row, to } of list) requireName(row.name, to, rules);
  const names = new Map<string, string>();
  for (const row of rows) {
    const name = planned.get(row.uniqueid)?.to ?? row.name;
    const other = names.get(name);
    if (other !== undefined) {
      const [left, right, both] = [other, row.name, name].map(externalName);
      throw refuse(
        `Cannot rename: ${left} and ${right} would both be called ${both}`,
        "Rename or delete the other one first, or swap the two in one command.",
      );
    }
    names.set(name, row.name);
  }
  return list.filter(({ row, to }) => row.name !== to);
}

/** Refuses a name that the mailbox `from` must not get. */
export function requireName(from: string, to: string, { isOwn, mayInbox }: RenameRules): void {
  const what = `Cannot rename ${externalName(from)} to ${externalName(to)}`;
  if (!mayInbox && (isInbox(from) || isInbox(to))) {
    throw refuse(
      `${what}: an INBOX is what its user is called by`,
      "Copy the user with `bobbin replicate --as NEWUSER`, then delete the old one.",
    );
  }
  if (!isOwn(to)) {
    throw refuse(
      `${what}: it belongs to another user`,
      "Move the messages with an IMAP client, or copy the user with `bobbin replicate --as`.",
    );
  }
  const problem = nameProblem(to);
  if (problem !== undefined)
    throw refuse(`${what}: no mailbox name, ${problem}`, "Choose another name.");
}

export interface RenameContext extends RenameRules {
  readonly requests: readonly RenameRequest[];
  /** The partition that the mailboxes are said to lie on from now on. */
  readonly partition?: string;
  /** Seconds since 1970: until when the old names held. */
  readonly now: number;
  /**
   * The rename is decided in this store, so its modseqs rise here; with a rename that a peer sends,
   * the peer says what they become.
   */
  readonly isLocal?: boolean;
}

/** Renames in one transaction of `folder`; returns what was renamed. */
export function renameMailboxesIn(folder: OwnerFolder, context: RenameContext): PlannedRename[] {
  return folder.write((transaction) => {
    const rows = allMailboxes(transaction.database);
    const planned = planRenames(rows, context.requests, context);
    for (const { row, to } of planned) renameOne(folder, transaction, { row, to, context });
    renameMailboxes(
      transaction.database,
      new Map(planned.map(({ row, to }) => [row.uniqueid, to])),
    );
    return planned;
  });
}

function renameOne(
  folder: OwnerFolder,
  transaction: Transaction,
  rename: PlannedRename & { readonly context: RenameContext },
): void {
  const { row, to, context } = rename;
  const { database } = transaction;
  addFormerName(database, row.uniqueid, { name: row.name, until: context.now });
  const { partition = row.details.partition, isLocal = false } = context;
  const image = row.intermediate ? undefined : openForChange(folder, row);
  let { foldermodseq = 0n } = row.details;
  if (isLocal) {
    // As in Cyrus it rises above every modseq of the mailbox, so that a peer finds it changed here.
    const { highestmodseq } = image?.index.header ?? { highestmodseq: 0n };
    foldermodseq = (foldermodseq > highestmodseq ? foldermodseq : highestmodseq) + 1n;
    image?.index.setHeader({ highestmodseq: foldermodseq });
  }
  const raised = isLocal ? { foldermodseq } : {};
  updateMailbox(database, { ...row, details: { ...row.details, partition, ...raised } });
  if (image === undefined) return;
  const { others } = image.header.file;
  image.header.set({
    name: to,
    others: withHistory(others, formerNames(database, row.uniqueid)),
  });
  for (const step of image.steps()) transaction.step(row.uniqueid, step);
}
