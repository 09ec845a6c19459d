/**
 * The archive of one owner as a place. What it holds is looked up at the time of each call, so that
 * a place that is written reads what it has just been sent.
 */
import { AppError, FormatError } from "../../../core/errors.ts";
import { asAsync } from "../../../core/lists.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { parseMailboxAnnotations } from "../../../formats/backup/mailbox_annotations.ts";
import { internalOfLink, linkOf } from "../../../formats/backup/mailbox_link.ts";
import { parseHeaderFile } from "../../../formats/cyrus/header_file.ts";
import { parseStateLine } from "../../../formats/sync/state_line.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import type { Annotation } from "../../../model/annotation.ts";
import type {
  MailboxState,
  OwnedMailboxes,
  Quota,
  UnreadableMailbox,
  UserMeta,
  UserState,
} from "../../../model/mailbox.ts";
import { isIntermediate, recordsWhere } from "../../../model/mailbox.ts";
import { isOwnedBy, type Owner, ownerName, sameOwner } from "../../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../../model/outcome.ts";
import { noContents, type OwnerContents, userStateOf } from "../../../model/owner_contents.ts";
import type { MailRecord } from "../../../model/record.ts";
import { basicRecordCrc, flagsCrc } from "../../../model/sync_crc.ts";
import {
  ALL_HELD,
  type Holds,
  type MailboxReading,
  type MessageAddress,
  type MessageContent,
  type Place,
} from "../../place.ts";
import { type RawFiles, readingOfRaw } from "../../raw_mailbox.ts";
import { parseUserFiles, type UserSettings } from "../owner_files.ts";
import type { EntriesInForce, FileInForce, LinkInForce } from "./entries_in_force.ts";

export interface BackupPlaceOptions {
  readonly locator: string;
  readonly owner: Owner;
  readonly entries: EntriesInForce;
  /**
   * The archive is being written: messages that it should hold and does not are as if their records
   * were not there either, and mailboxes that cannot be read are as if they were not there, so that
   * a run brings them again.
   */
  readonly isTarget?: boolean;
  /** What is set beside mail, where the one who writes the archive has not written it yet. */
  readonly settings?: () => OwnerContents;
  /** What upstream's archives lack is not held; everything where left out. */
  readonly holds?: Holds;
  /** What is wrong with the archive as a whole, where it could not all be read. */
  readonly damage?: string | undefined;
  readonly close: () => Promise<void>;
}

const NO_SETTINGS: UserSettings = { contents: noContents(), flawed: [] };

export class BackupPlace implements Place {
  readonly locator: string;
  readonly holds: Holds;
  readonly caveat: string | undefined;
  readonly fillsGaps: boolean;
  readonly #options: BackupPlaceOptions;

  constructor(options: BackupPlaceOptions) {
    this.locator = options.locator;
    this.holds = options.holds ?? ALL_HELD;
    this.caveat = options.damage;
    this.fillsGaps = options.isTarget === true;
    this.#options = options;
  }

  get owner(): Owner {
    return this.#options.owner;
  }

  /** Mail of others is not taken. */
  objectionTo({ name }: Pick<MailboxState, "name">): Refusal | undefined {
    const { owner } = this.#options;
    if (isOwnedBy(name, owner)) return undefined;
    return refused("notSupported", `The backup of ${ownerName(owner)} takes nothing of others`);
  }

  async owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    return ok(asAsync([this.#options.owner]));
  }

  async user(userid: string): Promise<Outcome<UserState>> {
    if (!this.#isOwner({ kind: "user", userid })) return ok(userStateOf(noContents()));
    return this.#sound(async () => {
      const { contents, flawed } = this.#settings();
      const { mailboxes: _, ...settings } = userStateOf(contents);
      const owned = await this.#mailboxes();
      return { ...settings, ...owned, ...(flawed.length > 0 && { flawed }) };
    });
  }

  async meta(userid: string): Promise<Outcome<UserMeta>> {
    const isOwner = this.#isOwner({ kind: "user", userid });
    const { contents, flawed } = isOwner ? this.#settings() : NO_SETTINGS;
    const { seen, subscriptions, sieve } = userStateOf(contents);
    return flawed[0]?.refusal ?? ok({ seen, subscriptions, sieve });
  }

  async sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    if (!this.#isOwner({ kind: "shared", toplevel })) return ok({ mailboxes: [] });
    return this.#sound(() => this.#mailboxes());
  }

  /** Of anybody else there is nothing here. */
  #isOwner(owner: Owner): boolean {
    return sameOwner(owner, this.#options.owner);
  }

  /** What cannot be unpacked or parsed is damage of the archive: the rest of it can be had. */
  async #sound<Value>(read: () => Value | Promise<Value>): Promise<Outcome<Value>> {
    try {
      return ok(await read());
    } catch (error) {
      const isDamage = error instanceof AppError && error.code === "bad_data";
      if (!isDamage && !(error instanceof FormatError)) throw error;
      return refused("damaged", `${this.locator}: ${error.message}`);
    }
  }

  #settings(): UserSettings {
    const { settings, owner, entries } = this.#options;
    const unwritten = settings?.();
    if (unwritten !== undefined) return { contents: unwritten, flawed: [] };
    return parseUserFiles(owner, (name) => entries.meta(name));
  }

  async #mailboxes(): Promise<OwnedMailboxes> {
    const { entries } = this.#options;
    const lines = entries.filesNamed(FOLDER_FILE.state);
    const mailboxes: MailboxState[] = [];
    const unreadable: UnreadableMailbox[] = [];
    for (const link of entries.links()) {
      const state = await this.#stateOf(link, lines.get(link.folderid));
      if (state.kind === "ok") mailboxes.push(state.value);
      else if (this.#options.isTarget !== true) {
        const name = internalOfLink(link.link, this.#options.owner);
        unreadable.push({ name, uniqueid: link.uniqueid, refusal: state });
      }
    }
    const { damage } = this.#options;
    // Without a uniqueid: any mailbox may have been lost, none is to be taken for deleted.
    if (damage !== undefined) {
      unreadable.push({ name: "backupdata", refusal: refused("damaged", damage) });
    }
    // Of a mailbox that could not be had lately there may be an earlier state.
    const known = new Set(mailboxes.flatMap(({ name, uniqueid }) => [name, uniqueid]));
    for (const { name, uniqueid } of entries.lastRun()?.missing ?? []) {
      if (known.has(uniqueid ?? name)) continue;
      const text = `${name} could not be had when ${this.locator} was made`;
      const one = { name, refusal: refused("damaged", text) };
      unreadable.push(uniqueid === undefined ? one : { ...one, uniqueid });
    }
    return unreadable.length === 0 ? { mailboxes } : { mailboxes, unreadable };
  }

  /** `told` is the name as the files have it: that in the link has lost a domain. */
  #nameOf({ link }: LinkInForce, told: string | null | undefined): string {
    const { owner } = this.#options;
    const isIt = told && isOwnedBy(told, owner) && linkOf(told, owner) === link;
    return isIt ? told : internalOfLink(link, owner);
  }

  /** The state by its line, or by the files where another program has written them. */
  async #stateOf(link: LinkInForce, line: FileInForce | undefined): Promise<Outcome<MailboxState>> {
    const { uniqueid } = link;
    if (line !== undefined) {
      const parsed = await this.#sound(() => parseStateLine(this.#options.entries.content(line)));
      if (parsed.kind === "refused") return parsed;
      const name = this.#nameOf(link, parsed.value.name);
      return this.#withoutLacking(link, { ...parsed.value, name, uniqueid });
    }
    const files = await this.#sound(() => {
      const raw = this.#rawFiles(link);
      const told = raw.header && parseHeaderFile(raw.header).name;
      return { raw, name: this.#nameOf(link, told), annotations: this.#annotationsOf(link) };
    });
    if (files.kind === "refused") return files;
    const { raw, name, annotations } = files.value;
    const reading = readingOfRaw(name, raw, { annotations, uniqueid });
    if (reading.kind === "refused") return reading;
    return this.#withoutLacking(link, reading.value.state);
  }

  /** The state as that of a mailbox without the messages that the archive should hold. */
  async #withoutLacking(link: LinkInForce, state: MailboxState): Promise<Outcome<MailboxState>> {
    const lacking = this.#lackingIn(link);
    if (lacking.size === 0) return ok(state);
    const reading = await this.#readFiles(link, state.name);
    if (reading.kind === "refused") return reading;
    let { syncCrc = 0 } = reading.value.state;
    for await (const batch of reading.value.records.batches()) {
      for (const record of batch) {
        if (record.expunged || !lacking.has(record.uid)) continue;
        syncCrc = (syncCrc ^ basicRecordCrc(record, flagsCrc(record.flags))) >>> 0;
      }
    }
    return ok({ ...state, syncCrc, syncCrcAnnot: 0 });
  }

  #lackingIn(link: LinkInForce): ReadonlySet<number> {
    const { isTarget, entries } = this.#options;
    return isTarget === true ? entries.lacking(link) : new Set();
  }

  async #readFiles(link: LinkInForce, name: string): Promise<Outcome<MailboxReading>> {
    const files = await this.#sound(() => this.#rawFiles(link));
    return files.kind === "refused" ? files : readingOfRaw(name, files.value);
  }

  #rawFiles(link: LinkInForce): RawFiles {
    const { entries } = this.#options;
    const files = entries.files(link);
    const bytes = (name: string) => {
      const file = files.get(name);
      return file && entries.content(file);
    };
    const { header, index, annotations } = FOLDER_FILE;
    return { header: bytes(header), index: bytes(index), annotations: bytes(annotations) };
  }

  #annotationsOf(link: LinkInForce): Annotation[] {
    const { entries } = this.#options;
    const file = entries.files(link).get(FOLDER_FILE.mailboxAnnotations);
    return file === undefined ? [] : parseMailboxAnnotations(entries.content(file));
  }

  async mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const { entries, owner } = this.#options;
    const own = names.filter((name) => isOwnedBy(name, owner));
    const found = await this.#states(own.map((name) => entries.link(linkOf(name, owner))));
    if (found.kind === "refused") return found;
    return ok(found.value.filter(({ name }) => names.includes(name)));
  }

  async mailboxesByUniqueid(ids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    return this.#states([...new Set(ids)].map((id) => this.#options.entries.linkTo(id)));
  }

  async #states(
    links: readonly (LinkInForce | undefined)[],
  ): Promise<Outcome<readonly MailboxState[]>> {
    const found = new Map(links.filter((one) => one !== undefined).map((one) => [one.link, one]));
    const states: MailboxState[] = [];
    for (const link of found.values()) {
      const line = this.#options.entries.files(link).get(FOLDER_FILE.state);
      const state = await this.#stateOf(link, line);
      if (state.kind === "ok") states.push(state.value);
      else if (this.#options.isTarget !== true) return state;
    }
    return ok(states);
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const states = await this.mailboxes([name]);
    if (states.kind === "refused") return states;
    const [state] = states.value;
    const link = this.#options.entries.link(linkOf(name, this.#options.owner));
    if (state === undefined || link === undefined) {
      return refused("nonexistent", `There is no mailbox ${name}`);
    }
    if (isIntermediate(state)) return ok({ state, records: { batches: () => [] } });
    const reading = await this.#readFiles(link, name);
    if (reading.kind === "refused") return reading;
    const lacking = this.#lackingIn(link);
    if (lacking.size === 0) return ok({ ...reading.value, state });
    const isHeld = ({ uid, expunged }: MailRecord) => expunged || !lacking.has(uid);
    return ok({ state, records: recordsWhere(reading.value.records, isHeld) });
  }

  async message({ guid, mailbox, uid }: MessageAddress): Promise<Outcome<MessageContent>> {
    const where = `message ${uid} of ${mailbox}`;
    const found = await this.#sound(() => this.#options.entries.message(guid));
    if (found.kind === "refused") return found;
    const bytes = found.value;
    if (bytes === undefined) return refused("nonexistent", `There is no ${where}`);
    const digest = sha1Of(bytes);
    if (digest !== guid) return refused("damaged", `${where} should be ${guid} and is ${digest}`);
    return ok({ size: bytes.length, chunks: () => [bytes] });
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    const states = await this.mailboxes([name]);
    return states.kind === "refused" ? states : ok(states.value[0]?.annotations ?? []);
  }

  async quota(root: string): Promise<Outcome<Quota | undefined>> {
    const { contents, flawed } = this.#settings();
    const flaw = flawed.find(({ setting }) => setting === "quotas");
    return flaw?.refusal ?? ok(contents.quotas.get(root));
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    const { contents, flawed } = this.#settings();
    const script = contents.scripts.get(filename);
    if (script !== undefined) return ok(script.content);
    const flaw = flawed.find(({ setting }) => setting === "scripts");
    if (flaw !== undefined) return flaw.refusal;
    return refused("nonexistent", `User ${userid} has no script ${filename}`);
  }

  close(): Promise<void> {
    return this.#options.close();
  }
}
