/**
 * APPLY MAILBOX into the store (sync-protocol.md 5.5), as one transaction: a dry pass in which
 * every refusal happens, then messages into the pool and the folder, then the commit. Unlike Cyrus,
 * a mailbox whose sync CRC comes out wrong is not half written but left as it was.
 */
import { AppError } from "../../../core/errors.ts";
import type { MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { countAnnotationBytes } from "../../../mailbox/owner_image.ts";
import { newImage, putRecords, setMailbox } from "../../../mailbox/update/update_image.ts";
import {
  agree,
  type MailboxUpdate,
  type PlannedRecord,
  planRecords,
  requireNotAhead,
  requireSince,
  requireSound,
} from "../../../mailbox/update/update_rules.ts";
import { isIntermediate, type MailboxState } from "../../../model/mailbox.ts";
import { nameProblem } from "../../../model/names.ts";
import { refusal } from "../../../model/refusal.ts";
import type { AnnotVariant } from "../../../model/sync_crc.ts";
import { removeFile, statOf } from "../../../storage/disk.ts";
import {
  annotationBytes,
  insertMailbox,
  keepAnnotCrc,
  type MailboxDetails,
  type MailboxRow,
  mailboxById,
  mailboxByName,
  updateMailbox,
} from "../catalogue/mailbox_rows.ts";
import { mailboxFolder } from "../layout.ts";
import type { KnownMessage } from "../messages/message_file.ts";
import { type Arrival, admit, placeMessage } from "../messages/pool.ts";
import type { Staging } from "../messages/staging.ts";
import { openForChange, useKeptCrc } from "./open_mailbox.ts";
import type { OwnerFolder, Transaction } from "./owner_folder.ts";
import { deleteMailboxes } from "./trash.ts";

export interface ApplyContext {
  readonly folder: OwnerFolder;
  readonly staging: Pick<Staging, "find">;
  /** Claims a uniqueid; the other owner's name where it is taken. */
  readonly claim: (uniqueid: string) => string | undefined;
  /** The index version of a mailbox that is made. */
  readonly indexVersion: number;
  /** User flags that a mailbox has room for. */
  readonly userFlags: number;
  /** Seconds since 1970. */
  readonly now: number;
}

/** Applies `update`; returns when it is durable. A refusal is thrown and has changed nothing. */
export function applyMailbox(update: MailboxUpdate, context: ApplyContext): void {
  requireSound(update);
  context.folder.write((transaction) => {
    if (isIntermediate(update.state)) applyIntermediate(update, context, transaction);
    else applyFull(update, context, transaction);
  });
}

function applyFull(update: MailboxUpdate, context: ApplyContext, transaction: Transaction): void {
  const { uniqueid } = update.state;
  makeRoom(update, context, transaction);
  const row = findRow(update.state, transaction);
  const image = row === undefined ? makeImage(update, context) : openForChange(context.folder, row);
  if (row !== undefined) useKeptCrc(image, row);
  if (row !== undefined) {
    requireSince(update, image);
    if (update.force !== true) requireNotAhead(update, image, row.details.xconvmodseq);
  }
  const planned = planRecords(update, image, (guid) => context.staging.find(guid));
  const messages = arrivalsOf(planned);
  const { userFlags, folder } = context;
  putRecords(update, planned, { image, owner: folder.owner, userFlags });
  setMailbox(update, image);
  const variant = agree(update, image);
  const { database } = transaction;
  // A new index counts from 0, although a deleted mailbox of this uniqueid may have left
  // annotations.
  const before = row === undefined ? 0 : annotationBytes(database, uniqueid);
  writeRow(transaction, update.state, { row, variant });
  countAnnotationBytes(image, annotationBytes(database, uniqueid) - before);
  arrive(messages, transaction, uniqueid);
  for (const step of image.steps()) transaction.step(uniqueid, step);
  if (variant === undefined) return;
  // It is kept by the same commit as the records whose sum it is.
  const kept = { crc: image.annotCrc(variant), indexCrc: image.index.headerCrcs.after };
  keepAnnotCrc(database, uniqueid, kept);
}

/** A placeholder in the tree is a row and nothing else. */
function applyIntermediate(
  update: MailboxUpdate,
  context: ApplyContext,
  transaction: Transaction,
): void {
  const row = findRow(update.state, transaction);
  if (row === undefined) requireClaim(update.state, context);
  if (row !== undefined && !row.intermediate) {
    const text = `Mailbox ${row.name} has messages and cannot become a placeholder`;
    throw refusal("notSupported", text);
  }
  writeRow(transaction, update.state, { row, variant: undefined });
}

/**
 * A mailbox of another uniqueid that has never had mail gives its name up, as in Cyrus since 3.6;
 * under FORCE any does. It goes into the trash like whatever else is deleted.
 */
function makeRoom(update: MailboxUpdate, context: ApplyContext, transaction: Transaction): void {
  const { uniqueid, name } = update.state;
  const named = mailboxByName(transaction.database, name);
  if (named === undefined || named.uniqueid === uniqueid) return;
  if (mailboxById(transaction.database, uniqueid) !== undefined) return;
  const hadMail =
    !named.intermediate && openForChange(context.folder, named).index.header.lastUid > 0;
  if (!hadMail || update.force === true) deleteMailboxes(transaction, [named], context.now);
}

/** The mailbox's row, if any. Refuses a name and a uniqueid that are two mailboxes'. */
function findRow(state: MailboxState, transaction: Transaction): MailboxRow | undefined {
  const { uniqueid, name } = state;
  mailboxFolder(uniqueid);
  const named = mailboxByName(transaction.database, name);
  const row = mailboxById(transaction.database, uniqueid);
  const problem = row === undefined ? nameProblem(name) : undefined;
  if (problem !== undefined) throw refusal("badParameters", `Mailbox ${name}: ${problem}`);
  if (row !== undefined && row.name !== name) {
    throw refusal("moved", `Mailbox ${uniqueid} is called ${row.name}, not ${name}`);
  }
  if (named !== undefined && named.uniqueid !== uniqueid) {
    throw refusal("moved", `Mailbox ${name} has the uniqueid ${named.uniqueid}, not ${uniqueid}`);
  }
  if (row !== undefined && !row.intermediate && (row.details.type ?? "") !== (state.type ?? "")) {
    const text = `Mailbox ${name} has the type "${row.details.type}", not "${state.type}"`;
    throw refusal("failed", text);
  }
  return row?.intermediate === true && !isIntermediate(state) ? undefined : row;
}

function requireClaim(state: MailboxState, context: ApplyContext): void {
  const holder = context.claim(state.uniqueid);
  if (holder === undefined) return;
  const text = `Mailbox ${state.name}: its uniqueid ${state.uniqueid} belongs to ${holder}`;
  throw refusal("moved", text);
}

function makeImage(update: MailboxUpdate, context: ApplyContext): MailboxImage {
  const { state, since } = update;
  if (since !== undefined && since.modseq !== 0n) {
    throw refusal("changed", `Mailbox ${state.name} does not exist here`);
  }
  requireClaim(state, context);
  const { folder, indexVersion } = context;
  return newImage(state, { owner: folder.owner, indexVersion });
}

/** A message that has to come into the pool and the mailbox folder. */
interface Message extends Arrival {
  readonly uid: number;
}

/** The messages of new records, which must be in place before the commit. */
function arrivalsOf(planned: readonly PlannedRecord<KnownMessage>[]): Message[] {
  return planned.flatMap((step) => {
    if (step.kind === "update" || step.staged === undefined) return [];
    const { uid, guid } = step.record;
    // A second link is that of a pool, into which the message came before or from which it was
    // reserved.
    return [{ uid, guid, staged: step.staged.path, isShared: linksOf(step.staged) > 1 }];
  });
}

/**
 * The number of links of a staged file. Refuses one that is gone or has another size: nobody would
 * read the file, and so notice, before a reader of the mailbox asks for the message.
 */
function linksOf({ path, facts }: KnownMessage): number {
  const stat = statOf(path);
  if (stat?.size === facts.size) return stat.nlink;
  const { guid } = facts;
  throw new AppError("io", `Cannot append message ${guid}: its staged file is gone or changed`, {
    context: { guid, path },
  });
}

/** Brings the messages in and makes them durable before the commit relies on them. */
function arrive(messages: readonly Message[], transaction: Transaction, uniqueid: string): void {
  if (messages.length === 0) return;
  transaction.makeMailboxFolder(uniqueid);
  const byGuid = new Map(messages.map((message) => [message.guid, message]));
  admit([...byGuid.values()], { ...transaction.pool, distrust: removeFile });
  for (const { uid, guid } of messages)
    placeMessage(guid, { folder: uniqueid, uid }, transaction.pool);
}

function writeRow(
  transaction: Transaction,
  state: MailboxState,
  before: { readonly row: MailboxRow | undefined; readonly variant: AnnotVariant | undefined },
): void {
  const { database } = transaction;
  const { uniqueid, name } = state;
  const intermediate = isIntermediate(state);
  const row = {
    ...{ uniqueid, name, details: detailsOf(state, before.row), intermediate },
    annotVariant: before.variant?.name,
    annotCrc: undefined,
  };
  if (before.row !== undefined) updateMailbox(database, row);
  else {
    // A placeholder of the same uniqueid becomes this mailbox.
    database.query("DELETE FROM mailbox WHERE uniqueid = ? AND intermediate = 1").run(uniqueid);
    insertMailbox(database, row);
  }
  database.query("DELETE FROM annotation WHERE uniqueid = ?").run(uniqueid);
  const insert = database.query("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?, ?, ?)");
  for (const { entry, userid, modseq, value } of state.annotations) {
    insert.run(uniqueid, entry, userid ?? "", modseq.toString(), value);
  }
}

const DETAILS = [
  ...(["jmapid", "type", "acl", "quotaroot", "usergroups", "version"] as const),
  ...(["xconvmodseq", "compactEmailids", "raclmodseq"] as const),
  ...(["createdmodseq", "foldermodseq"] as const),
];

/**
 * What the peer said that the folder does not keep, and nothing that it did not say: a peer before
 * 3.2 knows no FOLDERMODSEQ, and one that is made up differs from its disk for ever. An existing
 * mailbox stays on its partition.
 */
function detailsOf(state: MailboxState, row: MailboxRow | undefined): MailboxDetails {
  const given = DETAILS.flatMap((field) =>
    state[field] === undefined ? [] : [[field, state[field]]],
  );
  const partition = row === undefined ? state.partition : row.details.partition;
  return { acl: state.acl, ...Object.fromEntries(given), partition };
}
