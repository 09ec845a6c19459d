/**
 * APPLY MAILBOX into the store (sync-protocol.md 5.5), as one transaction: a dry pass in which
 * every refusal happens, then messages into the pool and the folder, then the commit. Unlike Cyrus,
 * a mailbox whose sync CRC comes out wrong is not half written but left as it was.
 */
import { AppError } from "../../../core/errors.ts";
import { BLANK_HEADER_FILE } from "../../../formats/cyrus/header_file.ts";
import { keptRecord, newRecord, optionBits, updatedRecord } from "../../../mailbox/mail_record.ts";
import { MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { isIntermediate, type MailboxState } from "../../../model/mailbox.ts";
import { nameProblem } from "../../../model/names.ts";
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
import { refusal } from "../refusal.ts";
import { countAnnotationBytes, openForChange, storedForm, useKeptCrc } from "./open_mailbox.ts";
import type { Transaction } from "./owner_folder.ts";
import { deleteMailboxes } from "./trash.ts";
import {
  type ApplyContext,
  agree,
  type MailboxUpdate,
  type PlannedRecord,
  planRecords,
  requireNotAhead,
  requireSince,
  requireSound,
} from "./update_rules.ts";

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
    if (update.force !== true) requireNotAhead(update, image, row);
  }
  const planned = planRecords(update, image, context);
  const messages = writeRecords(update, planned, { image, context });
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
  const header = {
    ...BLANK_HEADER_FILE,
    type: state.type ?? "e",
    name: state.name,
    acl: state.acl ?? "",
    quotaroot: state.quotaroot,
    jmapid: state.jmapid,
  };
  const { uidvalidity, deletedmodseq = 0n } = state;
  const uniqueid = mailboxFolder(state.uniqueid);
  const { indexVersion } = context;
  const form = storedForm(context.folder.owner, indexVersion);
  return MailboxImage.make(
    { uniqueid, indexVersion, header, index: { uidvalidity, deletedmodseq } },
    form,
  );
}

/** A message that has to come into the pool and the mailbox folder. */
interface Message extends Arrival {
  readonly uid: number;
}

/** Changes the image in memory. Returns the messages that must be in place before the commit. */
function writeRecords(
  update: MailboxUpdate,
  planned: readonly PlannedRecord[],
  { image, context }: { readonly image: MailboxImage; readonly context: ApplyContext },
): Message[] {
  const { owner } = storedForm(context.folder.owner, 0);
  const kept = { indexVersion: image.index.table.version, owner };
  const slotOf = (name: string): number => image.header.flagSlot(name, context.userFlags);
  for (const name of update.state.userflags ?? []) slotOf(name);
  const messages: Message[] = [];
  for (const step of planned) {
    const { record, annotations } = keptRecord(step.record, kept);
    if (step.kind === "update") {
      image.put(updatedRecord(image.index.record(step.number), record, slotOf), annotations);
      continue;
    }
    const { staged } = step;
    const links = staged === undefined ? 0 : linksOf(staged);
    image.put(newRecord(record, staged?.facts, slotOf), annotations);
    if (staged === undefined) continue;
    const { uid, guid } = record;
    // A second link is that of a pool, into which the message came before or from which it was
    // reserved.
    messages.push({ uid, guid, staged: staged.path, isShared: links > 1 });
  }
  return messages;
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

/** Sets the fields of the index header and of cyrus.header, in memory. */
function setMailbox(update: MailboxUpdate, image: MailboxImage): void {
  const { state } = update;
  const { index } = image;
  const expunged = update.records.filter((record) => record.expunged);
  const times = [index.header.firstExpunged, ...expunged.map((record) => record.lastUpdated)];
  index.setHeader({
    lastUid: state.lastUid,
    highestmodseq: state.highestmodseq,
    recentuid: state.recentUid,
    recenttime: state.recentTime,
    lastAppenddate: state.lastAppenddate ?? index.header.lastAppenddate,
    pop3LastLogin: state.pop3LastLogin,
    pop3ShowAfter: state.pop3ShowAfter ?? 0,
    createdmodseq: state.createdmodseq ?? 0n,
    options: ((index.header.options & 0xe000_0000) | optionBits(state.options)) >>> 0,
    uidvalidity: state.uidvalidity,
    firstExpunged: times
      .filter((time) => time !== 0)
      .reduce((low, time) => Math.min(low, time), Infinity),
  });
  if (index.header.firstExpunged === Infinity) index.setHeader({ firstExpunged: 0 });
  const { acl, quotaroot, jmapid } = state;
  const before = image.header.file;
  const changed =
    before.acl !== (acl ?? "") || before.quotaroot !== quotaroot || before.jmapid !== jmapid;
  if (changed) image.header.set({ acl: acl ?? "", quotaroot, jmapid });
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
