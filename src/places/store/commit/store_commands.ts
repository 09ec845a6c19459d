/**
 * Does every APPLY command to the store, as one transaction. Refusals are thrown, change nothing.
 */
import { assert } from "../../../core/assert.ts";
import { countAnnotationBytes } from "../../../mailbox/owner_image.ts";
import {
  type ApplyAnnotation,
  type ApplyCommand,
  type ApplyExpunge,
  type ApplyRename,
  type ApplyUnannotation,
  ownerOfCommand,
} from "../../../model/apply.ts";
import { flawOfSetting } from "../../../model/flaws.ts";
import {
  isInbox,
  isOwnedBy,
  nameProblem,
  type Owner,
  ownerKey,
  parseName,
} from "../../../model/names.ts";
import type { MailRecord } from "../../../model/record.ts";
import { refusal } from "../../../model/refusal.ts";
import {
  allMailboxes,
  annotationBytes,
  type MailboxRow,
  mailboxByName,
  updateMailbox,
} from "../catalogue/mailbox_rows.ts";
import { applyRows, dropUserRows, type RowCommand } from "../catalogue/user_rows.ts";
import type { Staging } from "../messages/staging.ts";
import type { Store } from "../store.ts";
import { handOver } from "./handover.ts";
import { type ApplyContext, applyMailbox } from "./mailbox_update.ts";
import { openForChange } from "./open_mailbox.ts";
import type { OwnerFolder, Transaction } from "./owner_folder.ts";
import { renameMailboxesIn } from "./rename.ts";
import { deleteMailboxes } from "./trash.ts";

export interface ApplySession {
  readonly store: Store;
  readonly staging: Pick<Staging, "find">;
  readonly force: boolean;
}

/**
 * Does `command`; `records` are those of a `mailbox` command, gathered. Returns when it is durable.
 */
export function applyCommand(
  command: ApplyCommand,
  records: readonly MailRecord[],
  session: ApplySession,
): void {
  const { store } = session;
  const flaw = flawOfSetting(command);
  if (flaw !== undefined) throw refusal("badParameters", flaw);
  switch (command.kind) {
    case "mailbox": {
      const { owner } = parseName(command.state.name);
      const since = command.since === undefined ? {} : { since: command.since };
      const update = { state: command.state, records, force: session.force, ...since };
      applyMailbox(update, applyContext(owner, session));
      return;
    }
    case "restore":
      throw refusal("notSupported", "The store does not take RESTORE");
    case "unmailbox":
      unmailbox(store, command.name);
      return;
    case "rename":
      rename(store, command);
      return;
    case "expunge":
      expunge(store, command);
      return;
    case "annotation":
    case "unannotation":
      annotate(store, command);
      return;
    case "unuser":
      unuser(store, command.userid);
      return;
    default:
      applyToRows(store, command);
  }
}

/** The commands about rows that make an owner who is not there. */
const MAKES_OWNER: ReadonlySet<RowCommand["kind"]> = new Set(["quota", "seen", "sub", "sieve"]);

/** Does `command` to the rows of its owner. */
function applyToRows(store: Store, command: RowCommand): void {
  const owner = ownerOfCommand(command);
  assert(owner !== undefined, `${command.kind} is somebody's`);
  const folder = MAKES_OWNER.has(command.kind) ? store.make(owner) : store.find(owner);
  if (folder !== undefined) folder.write(({ database }) => applyRows(database, command));
  else if (command.kind === "activateSieve") {
    throw refusal("nonexistent", `User ${command.userid} has no script ${command.filename}`);
  }
}

/** What APPLY MAILBOX needs to write into `owner`'s folder. */
function applyContext(
  owner: Owner,
  session: Pick<ApplySession, "store" | "staging">,
): ApplyContext {
  const { store, staging } = session;
  return {
    folder: store.make(owner),
    staging,
    claim: (uniqueid) => {
      const holder = store.claim(uniqueid, owner);
      return holder === undefined ? undefined : ownerKey(holder);
    },
    indexVersion: store.settings.indexVersion,
    userFlags: store.limits.userFlags,
    now: store.now(),
  };
}

/** Runs `work` on the mailbox called `name` under its owner's lock; refuses where there is none. */
function withMailbox<T>(
  store: Store,
  name: string,
  work: (folder: OwnerFolder, transaction: Transaction, row: MailboxRow) => T,
): T {
  const folder = store.find(parseName(name).owner);
  if (folder === undefined) throw refusal("nonexistent", `There is no mailbox ${name}`);
  return folder.write((transaction) => {
    const row = mailboxByName(transaction.database, name);
    if (row === undefined) throw refusal("nonexistent", `There is no mailbox ${name}`);
    return work(folder, transaction, row);
  });
}

function unmailbox(store: Store, name: string): void {
  withMailbox(store, name, (_, transaction, row) =>
    deleteMailboxes(transaction, [row], store.now()),
  );
}

/** Deletes all that the user has, the INBOX last. A user who is not there has nothing to delete. */
function unuser(store: Store, userid: string): void {
  const folder = userid === "" ? undefined : store.find({ kind: "user", userid });
  folder?.write((transaction) => {
    const rows = allMailboxes(transaction.database);
    const last = rows.filter(({ name }) => isInbox(name));
    const others = rows.filter(({ name }) => !isInbox(name));
    deleteMailboxes(transaction, [...others, ...last], store.now());
    dropUserRows(transaction.database);
  });
}

function rename(store: Store, command: ApplyRename): void {
  const { oldName, newName, partition } = command;
  const { owner } = parseName(oldName);
  const isOwn = (name: string): boolean => isOwnedBy(name, owner);
  if (!isOwn(newName)) {
    renameToOther(store, command);
    return;
  }
  if (oldName === newName) {
    withMailbox(store, oldName, (_, { database }, row) => {
      if (row.details.partition === partition)
        throw refusal("failed", `${oldName} is on ${partition}`);
      updateMailbox(database, { ...row, details: { ...row.details, partition } });
    });
    return;
  }
  const folder = store.find(owner);
  if (folder === undefined) throw refusal("nonexistent", `There is no mailbox ${oldName}`);
  const requests = [{ from: oldName, to: newName, tree: false }];
  renameMailboxesIn(folder, { requests, isOwn, mayInbox: true, now: store.now(), partition });
}

/** Hands the mailbox over. The target is made where there is none: a user may be renamed so. */
function renameToOther(store: Store, { oldName, newName, partition }: ApplyRename): void {
  const source = store.find(parseName(oldName).owner);
  const row = source?.read((database) => mailboxByName(database, oldName));
  if (source === undefined || row === undefined) {
    throw refusal("nonexistent", `There is no mailbox ${oldName}`);
  }
  const problem = nameProblem(newName);
  if (problem !== undefined) throw refusal("failed", `${newName} is no mailbox name: ${problem}`);
  const target = store.make(parseName(newName).owner);
  const request = { oldName, newName, partition, now: store.now() };
  handOver(request, { source, target, registry: store.registry });
}

/**
 * Marks records as expunged and leaves their modseq and times alone; unknown UIDs are passed over.
 */
function expunge(store: Store, command: ApplyExpunge): void {
  withMailbox(store, command.name, (folder, transaction, row) => {
    if (row.uniqueid !== command.uniqueid) {
      throw refusal("moved", `Mailbox ${row.name} has the uniqueid ${row.uniqueid}`);
    }
    const image = openForChange(folder, row);
    for (const uid of command.uids) image.expunge(uid);
    for (const step of image.steps()) transaction.step(row.uniqueid, step);
  });
}

function annotate(store: Store, command: ApplyAnnotation | ApplyUnannotation): void {
  if (command.name === "") {
    const value = command.kind === "annotation" ? command.value : undefined;
    store.registry.setAnnotation(command.entry, command.userid, value);
    return;
  }
  withMailbox(store, command.name, (folder, transaction, row) => {
    const { database } = transaction;
    const { uniqueid } = row;
    const before = annotationBytes(database, uniqueid);
    if (command.kind === "annotation") {
      database
        .query("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, '0', ?)")
        .run(uniqueid, command.entry, command.userid, command.value);
    } else {
      database
        .query("DELETE FROM annotation WHERE uniqueid = ? AND entry = ? AND userid = ?")
        .run(uniqueid, command.entry, command.userid);
    }
    if (row.intermediate) return;
    const image = openForChange(folder, row);
    countAnnotationBytes(image, annotationBytes(database, uniqueid) - before);
    for (const step of image.steps()) transaction.step(uniqueid, step);
  });
}
