/**
 * The APPLY half of an archive. A message goes into the archive when it is sent, so that it stands
 * before the first index that lists it; where its mailbox is then refused no index does, and
 * compaction drops it. A mailbox is changed as an image; what has changed of its files is appended.
 */
import { collectEvery } from "../../../core/garbage.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { printMailboxAnnotations } from "../../../formats/backup/mailbox_annotations.ts";
import { linkOf } from "../../../formats/backup/mailbox_link.ts";
import { printStateLine } from "../../../formats/sync/state_line.ts";
import { HeaderEnd } from "../../../mailbox/header_end.ts";
import { type Arrived, mailRecord } from "../../../mailbox/mail_record.ts";
import type { MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { countAnnotationBytes, imageOf } from "../../../mailbox/owner_image.ts";
import { newImage, putRecords, setMailbox } from "../../../mailbox/update/update_image.ts";
import {
  agree,
  type Incoming,
  planRecords,
  requireNotAhead,
  requireSince,
  requireSound,
} from "../../../mailbox/update/update_rules.ts";
import { type Annotation, annotationKey } from "../../../model/annotation.ts";
import {
  type ApplyAnnotation,
  type ApplyCommand,
  type ApplyExpunge,
  type ApplyMailbox,
  type ApplyRename,
  type ApplyUnannotation,
  ownerOfCommand,
} from "../../../model/apply.ts";
import { flawOfSetting } from "../../../model/flaws.ts";
import type { Guid } from "../../../model/guid.ts";
import {
  isIntermediate,
  type MailboxState,
  type RecordSource,
  sameType,
} from "../../../model/mailbox.ts";
import { isOwnedBy, nameProblem, ownerName, sameOwner } from "../../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../../model/outcome.ts";
import { noContents, reduceOwner } from "../../../model/owner_contents.ts";
import type { MailRecord } from "../../../model/record.ts";
import { refusal } from "../../../model/refusal.ts";
import type { AnnotVariant } from "../../../model/sync_crc.ts";
import { outcomeOf } from "../../outcome_of.ts";
import type {
  ApplyOptions,
  IncomingMessage,
  MessageWriter,
  Place,
  PlaceSession,
  ReserveRequest,
} from "../../place.ts";
import { type ReceivedMessage, receiving } from "../../received_message.ts";
import { mostBytes } from "../state/backup_state.ts";
import type { OwnerArchive } from "./owner_archive.ts";

/** Messages of a run, with what an index says of them. */
type Found = { readonly facts: Arrived };

/** Records of a batch that are garbage soon: each leaves about 2 KB. */
const COLLECT_RECORDS = 20_000;

/** The version that has a field for all that replication tells of a record. */
const INDEX_VERSION = 20;

export interface BackupSessionOptions {
  readonly archive: OwnerArchive;
  /** The archive as it is now. */
  readonly place: Pick<Place, "mailboxes" | "mailboxesByUniqueid">;
}

export class BackupSession implements PlaceSession {
  readonly #archive: OwnerArchive;
  readonly #place: BackupSessionOptions["place"];
  readonly #staged = new Map<Guid, Arrived>();
  /** In the archive before this run; what an index says of them is read when it is asked for. */
  readonly #reserved = new Set<Guid>();
  #trouble: Refusal | undefined;

  constructor({ archive, place }: BackupSessionOptions) {
    this.#archive = archive;
    this.#place = place;
  }

  async reserve({ guids }: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    const { entries } = this.#archive;
    return ok(
      guids.filter((guid) => {
        if (this.#staged.has(guid)) return false;
        if (entries.hasMessage(guid)) this.#reserved.add(guid);
        return !this.#reserved.has(guid);
      }),
    );
  }

  stage(message: IncomingMessage): MessageWriter {
    const header = new HeaderEnd();
    return receiving(
      message,
      (received) => this.#keep(message, received, header),
      (bytes) => header.feed(bytes),
    );
  }

  #keep(
    { guid, size }: IncomingMessage,
    received: ReceivedMessage,
    header: HeaderEnd,
  ): Promise<void> | undefined {
    const digest = received.digest();
    if (digest !== guid) {
      this.#trouble ??= refused("damaged", `Message ${guid} has the SHA-1 ${digest}`);
      received.release();
      return undefined;
    }
    // What ReceivedMessage gives is in memory, or in a file that is read at once.
    const chunks = [...(received.content().chunks() as Iterable<Uint8Array>)];
    this.#staged.set(guid, { size, headerSize: header.headerSize ?? size });
    return this.#archive.putMessage(guid, chunks);
  }

  flush(): Promise<Outcome> {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    return Promise.resolve(trouble ?? DONE);
  }

  async apply(command: ApplyCommand, options: ApplyOptions = {}): Promise<Outcome> {
    const flaw = flawOfSetting(command);
    if (flaw !== undefined) return refused("badParameters", flaw);
    const owner = ownerOfCommand(command);
    // The quota of a whole domain is that of each of its users too.
    const isShared = command.kind === "quota" || command.kind === "unquota";
    if (!isShared && (owner === undefined || !sameOwner(owner, this.#archive.owner))) {
      const whose = ownerName(this.#archive.owner);
      return refused("notSupported", `The backup of ${whose} takes nothing of others`);
    }
    switch (command.kind) {
      case "mailbox":
        return this.#mailbox(command, options.force ?? false);
      case "restore":
        return refused("notSupported", "A backup holds what is, not what is to be appended");
      case "unmailbox":
        return this.#withMailbox(command.name, ({ name }) => this.#unlink(name));
      case "rename":
        return this.#rename(command);
      case "expunge":
        return this.#withMailbox(command.name, (state) => this.#expunge(state, command));
      case "annotation":
      case "unannotation":
        return this.#withMailbox(command.name, (state) => {
          const annotations = annotated(state.annotations, command);
          this.#write({ ...state, annotations }, this.#imageOf(state), state);
        });
      case "unuser":
        for (const { link } of this.#archive.entries.links()) this.#archive.putLink(link, "");
        this.#archive.settings = noContents();
        return DONE;
      default:
        this.#archive.settings = reduceOwner(this.#archive.settings, command);
        return DONE;
    }
  }

  // ==========================================================================================
  // Mailboxes

  async #mailbox({ state, since, records }: ApplyMailbox, force: boolean): Promise<Outcome> {
    const update = { state, records, force, ...(since !== undefined && { since }) };
    const named = await this.#place.mailboxes([state.name]);
    if (named.kind === "refused") return named;
    const same = await this.#place.mailboxesByUniqueid([state.uniqueid]);
    if (same.kind === "refused") return same;
    const both = { named: named.value[0], before: same.value[0] };
    const done = await outcomeOf(async () => {
      await this.#applyMailbox(update, both);
      return undefined;
    });
    if (done.kind === "refused") return done;
    await this.#archive.settle();
    return done;
  }

  async #applyMailbox(update: Arriving, { named, before: there }: Both): Promise<void> {
    const { state } = update;
    requireSound({ ...update, records: [] });
    requireName(update, { named, before: there });
    const isBecoming = there !== undefined && isIntermediate(there) && !isIntermediate(state);
    const before = isBecoming ? undefined : there;
    const made = isIntermediate(state) ? undefined : await this.#updated(update, before);
    if (named !== undefined && named.uniqueid !== state.uniqueid) this.#unlink(named.name);
    if (made === undefined) {
      this.#archive.putFiles(state.uniqueid, [[FOLDER_FILE.state, printStateLine(state)]]);
    } else {
      const { image, variant } = made;
      const partition = before?.partition ?? state.partition;
      this.#write({ ...state, partition }, image, { ...before, variant });
    }
    if (there === undefined) this.#archive.putLink(this.#linkOf(state.name), state.uniqueid);
  }

  /** The mailbox as it is to be. Its records go by in batches, of which one is in memory. */
  async #updated(update: Arriving, before: MailboxState | undefined) {
    const { state } = update;
    const stored = before === undefined ? this.#newImage(update) : this.#imageOf(before);
    if (before !== undefined) requireSince(update, stored);
    if (before !== undefined && update.force !== true) {
      requireNotAhead(update, stored, before.xconvmodseq);
    }
    const { image, records } = await this.#withGaps(update, stored);
    const options = { image, owner: this.#archive.owner, userFlags: DEFAULT_LIMITS.userFlags };
    const collect = collectEvery(COLLECT_RECORDS);
    let after = 0;
    for await (const batch of records.batches()) {
      collect(batch.length);
      const part = { ...update, records: batch, after };
      putRecords(
        part,
        planRecords(part, image, (guid) => this.#find(guid)),
        options,
      );
      after = batch.at(-1)?.uid ?? after;
    }
    setMailbox(update, image);
    if (image.header.file.name !== state.name) image.header.set({ name: state.name });
    return { image, variant: agree(update, image) };
  }

  /** An index only grows at its end: one that gets records between others is made anew. */
  async #withGaps(update: Arriving, stored: MailboxImage) {
    const { state, records } = update;
    const { index } = stored;
    const { lastUid } = index.header;
    const folder = this.#archive.entries.folder(state.uniqueid);
    const lacking = folder === undefined ? undefined : this.#archive.entries.lacking(folder);
    const isGap = ({ uid, expunged }: MailRecord) =>
      uid <= lastUid && !expunged && (index.find(uid) === undefined || lacking?.has(uid) === true);
    let hasGap = false;
    for await (const batch of records.batches()) {
      requireSound({ ...update, records: batch });
      hasGap ||= batch.some(isGap);
    }
    if (!hasGap) return { image: stored, records };
    const image = newImage(state, { owner: this.#archive.owner, indexVersion: INDEX_VERSION });
    return { image, records: withStored(records, () => this.#stored(stored, lacking)) };
  }

  /** The records that are there. What cannot be had again is not: the next run asks for it. */
  *#stored(
    { index, header, annotations }: MailboxImage,
    lacking: ReadonlySet<number> | undefined,
  ): Generator<MailRecord, void> {
    const { owner, entries } = this.#archive;
    const context = {
      ...{ header: index.header, userFlags: header.file.userFlags },
      owner: owner.kind === "user" ? owner.userid : "",
    };
    for (const one of index.records()) {
      const { uid, guid, size, headerSize } = one;
      const record = mailRecord(one, annotations.of(uid), context);
      if (lacking?.has(uid) === true && !record.expunged) continue;
      if (entries.hasMessage(guid)) this.#staged.set(guid, { size, headerSize });
      yield record;
    }
  }

  #newImage({ state, since }: Arriving): MailboxImage {
    if (since !== undefined && since.modseq !== 0n) {
      throw refusal("changed", `Mailbox ${state.name} does not exist here`);
    }
    const { owner } = this.#archive;
    return newImage(state, { owner, indexVersion: INDEX_VERSION });
  }

  /** The mailbox as the files in the archive have it. Damage is an error. */
  #imageOf({ uniqueid, name }: MailboxState): MailboxImage {
    const { entries, owner } = this.#archive;
    const folder = entries.folder(uniqueid);
    const files = folder && entries.files(folder);
    const bytes = (file: string): Uint8Array | undefined => {
      const found = files?.get(file);
      return found && entries.content(found);
    };
    if (files === undefined) throw refusal("nonexistent", `There is no mailbox ${name}`);
    const images = {
      "cyrus.index": bytes(FOLDER_FILE.index),
      "cyrus.header": bytes(FOLDER_FILE.header),
      "cyrus.annotations": bytes(FOLDER_FILE.annotations),
    };
    return imageOf(uniqueid, images, owner);
  }

  /** Appends what is other now; `before`: its annotations, and the form of the sender's sum. */
  #write(state: MailboxState, image: MailboxImage, before: Before): void {
    const { annotations: old = [], variant } = before;
    countAnnotationBytes(image, valueBytes(state.annotations) - valueBytes(old));
    const files = image.files();
    const { syncCrc, syncCrcAnnot } = image.index.header;
    const line = printStateLine({
      ...{ ...state, syncCrc },
      syncCrcAnnot: variant === undefined ? syncCrcAnnot : image.annotCrc(variant),
      userflags: image.header.file.userFlags.filter((flag) => flag !== undefined),
    });
    const { annotations } = state;
    const list = annotations.length === 0 ? undefined : printMailboxAnnotations(annotations);
    const changed = [
      [FOLDER_FILE.header, files["cyrus.header"]],
      [FOLDER_FILE.annotations, files["cyrus.annotations"]],
    ] as const;
    const put = [
      [FOLDER_FILE.index, files["cyrus.index"]],
      ...changed.filter(([, bytes]) => bytes !== undefined),
      [FOLDER_FILE.mailboxAnnotations, list],
      [FOLDER_FILE.state, line],
    ] as const;
    for (const [name, bytes] of put) requireFits(name, bytes, state);
    this.#archive.putFiles(state.uniqueid, put);
  }

  #find(guid: Guid): Found | undefined {
    const staged = this.#staged.get(guid);
    if (staged !== undefined) return { facts: staged };
    const bytes = this.#reserved.has(guid) ? this.#archive.entries.message(guid) : undefined;
    if (bytes === undefined) return undefined;
    const header = new HeaderEnd();
    header.feed(bytes);
    const facts = { size: bytes.length, headerSize: header.headerSize ?? bytes.length };
    this.#staged.set(guid, facts);
    return { facts };
  }

  #linkOf(name: string): string {
    return linkOf(name, this.#archive.owner);
  }

  #unlink(name: string): void {
    this.#archive.putLink(this.#linkOf(name), "");
  }

  async #withMailbox(name: string, work: (state: MailboxState) => void): Promise<Outcome> {
    const found = await this.#place.mailboxes([name]);
    if (found.kind === "refused") return found;
    const [state] = found.value;
    if (state === undefined) return refused("nonexistent", `There is no mailbox ${name}`);
    return outcomeOf(() => {
      work(state);
      return undefined;
    });
  }

  #expunge(state: MailboxState, { uniqueid, uids }: ApplyExpunge): void {
    if (state.uniqueid !== uniqueid) {
      throw refusal("moved", `Mailbox ${state.name} has the uniqueid ${state.uniqueid}`);
    }
    const image = this.#imageOf(state);
    const variant = image.fittingVariant(state.syncCrcAnnot ?? 0);
    for (const uid of uids) image.expunge(uid);
    this.#write(state, image, { ...state, variant });
  }

  /** The files stay as they are: the name in cyrus.header follows with the next change. */
  async #rename({ oldName, newName, partition }: ApplyRename): Promise<Outcome> {
    const problem = nameProblem(newName);
    if (problem !== undefined) return refused("failed", `${newName}: ${problem}`);
    if (!isOwnedBy(newName, this.#archive.owner)) {
      return refused("notSupported", `${newName} belongs to another owner, who has another backup`);
    }
    const taken = oldName === newName ? ok([]) : await this.#place.mailboxes([newName]);
    if (taken.kind === "refused") return taken;
    if (taken.value.length > 0) return refused("failed", `There is a mailbox ${newName} already`);
    return this.#withMailbox(oldName, (state) => {
      const { uniqueid } = state;
      if (oldName !== newName) {
        this.#unlink(oldName);
        this.#archive.putLink(this.#linkOf(newName), uniqueid);
      }
      const line = printStateLine({ ...state, name: newName, partition });
      this.#archive.putFiles(uniqueid, [[FOLDER_FILE.state, line]]);
    });
  }

  /** Messages that were sent stay in the archive. */
  restart(): Promise<void> {
    this.#staged.clear();
    this.#reserved.clear();
    this.#trouble = undefined;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Arriving = Incoming & Pick<ApplyMailbox, "records">;

interface Both {
  /** The mailbox that has the name, and the one that has the uniqueid. */
  readonly named: MailboxState | undefined;
  readonly before: MailboxState | undefined;
}

type Before = Partial<Pick<MailboxState, "annotations">> & {
  readonly variant?: AnnotVariant | undefined;
};

/** Refuses a name and a uniqueid that are two mailboxes', but for one that never had mail. */
function requireName({ state, force }: Incoming, { named, before }: Both): void {
  const { name, uniqueid } = state;
  const problem = before === undefined ? nameProblem(name) : undefined;
  if (problem !== undefined) throw refusal("badParameters", `Mailbox ${name}: ${problem}`);
  if (before !== undefined && before.name !== name) {
    throw refusal("moved", `Mailbox ${uniqueid} is called ${before.name}, not ${name}`);
  }
  if (before !== undefined && !isIntermediate(before) && !sameType(before, state)) {
    throw refusal("failed", `Mailbox ${name} has the type "${before.type}", not "${state.type}"`);
  }
  const isOther = named !== undefined && named.uniqueid !== uniqueid;
  const givesWay = isOther && (named.lastUid === 0 || force === true);
  if (isOther && !givesWay) {
    throw refusal("moved", `Mailbox ${name} has the uniqueid ${named.uniqueid}, not ${uniqueid}`);
  }
}

/** What nobody could read again is not written. */
function requireFits(name: string, bytes: Uint8Array | undefined, state: MailboxState): void {
  const [size, most] = [bytes?.length ?? 0, mostBytes(name)];
  if (size <= most) return;
  const what = `its file ${name} has ${size} bytes, and an archive takes ${most}`;
  throw refusal("failed", `Mailbox ${state.name} cannot be backed up: ${what}`);
}

/** Records that come among those that are there, by UID; of two with one UID the one that comes. */
function withStored(source: RecordSource, stored: () => Generator<MailRecord, void>): RecordSource {
  return {
    batches: async function* () {
      const left = stored();
      let next = left.next();
      for await (const batch of source.batches()) {
        for (const record of batch) {
          for (; !next.done && next.value.uid < record.uid; next = left.next()) yield [next.value];
          if (!next.done && next.value.uid === record.uid) next = left.next();
          yield [record];
        }
      }
      for (; !next.done; next = left.next()) yield [next.value];
    },
  };
}

function valueBytes(annotations: readonly Annotation[]): number {
  return annotations.reduce((sum, { value }) => sum + value.length, 0);
}

function annotated(
  annotations: readonly Annotation[],
  command: ApplyAnnotation | ApplyUnannotation,
): Annotation[] {
  const key = annotationKey(command);
  const others = annotations.filter((one) => annotationKey(one) !== key);
  if (command.kind === "unannotation") return others;
  const { entry, userid, value } = command;
  return [...others, { entry, userid, value, modseq: 0n }];
}
