/**
 * A server that speaks backupcyrusd's protocol, as a place that can be read: a Cyrus that has
 * upstream's backups, or a Bobbin that serves a store. Mailboxes come as their raw files, and
 * messages by UID; each is checked here like those of a spool.
 */
import { asAsync } from "../../core/lists.ts";
import type {
  FlawedSetting,
  MailboxState,
  OwnedMailboxes,
  UnreadableMailbox,
  UserMeta,
  UserState,
} from "../../model/mailbox.ts";
import { externalName, inboxOf, type Owner, useridOf } from "../../model/names.ts";
import { isGone, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { MailboxReading, MessageAddress, MessageContent, Place } from "../place.ts";
import { HELD_BY_FILES } from "../raw_mailbox.ts";
import { settingsOfRaw } from "../raw_settings.ts";
import {
  type FolderReading,
  listFolders,
  readFolder,
  readName,
  readUserFiles,
  type ServerFolder,
} from "./backup_folders.ts";
import { BackupLink, type LinkOptions } from "./backup_link.ts";
import { fetchMessage } from "./backup_messages.ts";

/** Folders that are asked for at a time; each index is in memory then. */
const FOLDERS_AT_A_TIME = 8;
/** A user's folders are listed again where one was renamed meanwhile, at most this often. */
const LISTINGS = 5;
/** Bytes of mailboxes that stay from the look at their user until they are read. */
const KEPT_BYTES = 64 * 1024 * 1024;

export interface BackupcyrusOptions extends LinkOptions {
  readonly locator: string;
}

/** Opens the place; nothing is connected before the first question. */
export function openBackupcyrusPlace(options: BackupcyrusOptions): Place {
  return new BackupcyrusPlace(options);
}

class BackupcyrusPlace implements Place {
  readonly locator: string;
  readonly holds = HELD_BY_FILES;
  readonly caveat = "Of shared mailboxes nothing is seen: backupcyrusd tells users only";
  readonly readAhead = { messages: 48, bytes: 16 * 1024 * 1024 };
  readonly #link: BackupLink;
  /** By internal name, as the user's folders were last seen. */
  readonly #folders = new Map<string, ServerFolder>();
  /** What `user` has read and nobody has asked for yet. */
  readonly #kept = new Map<string, MailboxReading>();
  #keptBytes = 0;

  constructor(options: BackupcyrusOptions) {
    this.locator = options.locator;
    this.#link = new BackupLink(options);
  }

  async owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    const { refusal, lines } = await this.#link.ask("USERS", []);
    if (refusal !== undefined) return refused("failed", `${this.locator} says ${refusal}`);
    const users = lines.map(([, userid = ""]) => ({ kind: "user", userid }) as const);
    return ok(asAsync(users.filter(({ userid }) => userid !== "")));
  }

  async user(userid: string): Promise<Outcome<UserState>> {
    const meta = await this.#settings(userid);
    if (meta.kind === "refused") return meta;
    const owned = await this.#owned(userid);
    if (owned.kind === "refused") return owned;
    return ok({ ...meta.value, ...owned.value, quotas: [] });
  }

  async meta(userid: string): Promise<Outcome<UserMeta>> {
    const meta = await this.#settings(userid);
    const [flawed] = meta.kind === "ok" ? (meta.value.flawed ?? []) : [];
    return flawed?.refusal ?? meta;
  }

  async mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const states: MailboxState[] = [];
    for (const name of new Set(names)) {
      const found = await this.readMailbox(name);
      if (found.kind === "ok") states.push(found.value.state);
      else if (!isGone(found)) return found;
    }
    return ok(states);
  }

  async mailboxesByUniqueid(
    uniqueids: readonly string[],
  ): Promise<Outcome<readonly MailboxState[]>> {
    const wanted = new Set(uniqueids);
    const owners = await this.owners();
    if (owners.kind === "refused") return owners;
    const states: MailboxState[] = [];
    for await (const owner of owners.value) {
      if (owner.kind !== "user") continue;
      const folders = await listFolders(this.#link, owner.userid);
      if (folders.kind === "refused") return folders;
      for (const folder of folders.value.filter(({ uniqueid }) => wanted.has(uniqueid))) {
        const reading = (await readFolder(this.#link, folder))?.reading;
        if (reading?.kind === "ok") states.push(reading.value.state);
        else if (reading !== undefined && !isGone(reading)) return reading;
      }
    }
    return ok(states);
  }

  async sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    return notTold(toplevel);
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const kept = this.#takeKept(name);
    if (kept !== undefined) return ok(kept);
    const known = this.#folders.get(name);
    const read = known && (await readFolder(this.#link, known));
    if (read?.name === name) return read.reading;
    const found = await this.#find(name);
    if (found.kind === "refused") return found;
    return (await readFolder(this.#link, found.value))?.reading ?? absent(name);
  }

  async message(address: MessageAddress): Promise<Outcome<MessageContent>> {
    const { mailbox, uid } = address;
    const known = this.#folders.get(mailbox);
    const content = known && (await fetchMessage(this.#link, known, address));
    if (content !== undefined) return content;
    // The folder may have been renamed, or the message moved by a repack: the index decides.
    const found = await this.#find(mailbox, address.uniqueid);
    if (found.kind === "refused") return found;
    const again = await fetchMessage(this.#link, found.value, address);
    if (again !== undefined) return again;
    const index = await readFolder(this.#link, found.value);
    const isListed = index !== undefined && (await lists(index, uid));
    const where = `message ${uid} of ${externalName(mailbox)}`;
    const text = isListed
      ? `There is no file of ${where}, which the index lists`
      : `${where} is gone`;
    return refused("nonexistent", text);
  }

  async annotations(name: string) {
    if (name === "") return ok([]);
    const found = await this.readMailbox(name);
    return found.kind === "refused" ? found : ok(found.value.state.annotations);
  }

  async quota() {
    return ok(undefined);
  }

  async sieveScript() {
    return refused("notSupported", `${this.locator} gives no sieve scripts`);
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  async #settings(
    userid: string,
  ): Promise<Outcome<UserMeta & { readonly flawed?: readonly FlawedSetting[] }>> {
    const files = await readUserFiles(this.#link, userid);
    if (files.kind === "refused") return files;
    const [seen, sub] = ["seen", "sub"].map((name) => files.value.get(name));
    return ok(settingsOfRaw({ seen, sub }, inboxOf(userid, { virtualDomains: true })));
  }

  /** All folders of a user, listed again where one was renamed or replaced while it was read. */
  async #owned(userid: string): Promise<Outcome<OwnedMailboxes>> {
    for (let listing = 1; listing <= LISTINGS; listing++) {
      const folders = await listFolders(this.#link, userid);
      if (folders.kind === "refused") return folders;
      const mailboxes: MailboxState[] = [];
      const unreadable: UnreadableMailbox[] = [];
      let isOutdated = false;
      const take = (found: FolderReading | undefined, listed: ServerFolder): void => {
        if (found?.where.uniqueid !== listed.uniqueid) isOutdated = true;
        if (found === undefined) return;
        const { name, where, reading } = found;
        this.#folders.set(name, where);
        if (reading.kind === "ok") mailboxes.push(this.#keep(name, reading.value).state);
        else if (!isGone(reading))
          unreadable.push({ name, uniqueid: where.uniqueid, refusal: reading });
      };
      for (let at = 0; at < folders.value.length; at += FOLDERS_AT_A_TIME) {
        const some = folders.value.slice(at, at + FOLDERS_AT_A_TIME);
        // Each is taken when it comes, so that no more than one is held beside those that stay.
        const taking = async (one: ServerFolder) => take(await readFolder(this.#link, one), one);
        await Promise.all(some.map(taking));
      }
      if (!isOutdated) return ok({ mailboxes, ...(unreadable.length > 0 && { unreadable }) });
    }
    return refused("busy", `${userid}: folders are renamed while they are read`);
  }

  /** Keeps what was read until somebody asks for it; what was kept first goes first. */
  #keep(name: string, reading: MailboxReading): MailboxReading {
    this.#takeKept(name);
    this.#kept.set(name, reading);
    this.#keptBytes += reading.keptBytes ?? 0;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= KEPT_BYTES) break;
      this.#takeKept(oldest);
    }
    return reading;
  }

  #takeKept(name: string): MailboxReading | undefined {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    this.#keptBytes -= kept?.keptBytes ?? 0;
    return kept;
  }

  /** The folder with this internal name or this uniqueid, by what the server lists now. */
  async #find(name: string, wanted?: string): Promise<Outcome<ServerFolder>> {
    const userid = useridOf(name);
    if (userid === undefined) return notTold(name);
    const folders = await listFolders(this.#link, userid);
    if (folders.kind === "refused") return folders;
    const same = folders.value.find(({ uniqueid }) => uniqueid === wanted);
    if (same !== undefined) {
      this.#folders.set(name, same);
      return ok(same);
    }
    for (const folder of folders.value) {
      const found = await readName(this.#link, folder);
      if (found !== undefined) this.#folders.set(found, folder);
      if (found === name) return ok(folder);
    }
    return absent(name);
  }
}

async function lists({ reading }: FolderReading, uid: number): Promise<boolean> {
  if (reading.kind === "refused") return false;
  for await (const batch of reading.value.records.batches()) {
    const record = batch.find((one) => one.uid === uid);
    if (record !== undefined) return !record.expunged;
  }
  return false;
}

function notTold(name: string): Refusal {
  const text = `Nothing is known of ${externalName(name)}: backupcyrusd tells users only`;
  return refused("notSupported", text);
}

function absent(name: string): Refusal {
  return refused("nonexistent", `There is no ${externalName(name)}`);
}
