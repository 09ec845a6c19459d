/**
 * A folder of archives to be written, as a place of many owners. The archive of an owner is opened
 * when he is first asked for, and closed when his run has ended.
 */
import { join } from "node:path";
import { assert } from "../../../core/assert.ts";
import type { Annotation } from "../../../model/annotation.ts";
import { type ApplyCommand, ownerOfCommand } from "../../../model/apply.ts";
import type { Guid } from "../../../model/guid.ts";
import type { MailboxState, UnreadableMailbox } from "../../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../../model/names.ts";
import { DONE, type Outcome, ok, refused } from "../../../model/outcome.ts";
import {
  ALL_HELD,
  type ApplyOptions,
  type IncomingMessage,
  type MessageAddress,
  type MessageWriter,
  type PlaceSession,
  type ReserveRequest,
  type WritablePlace,
} from "../../place.ts";
import { archiveFolder } from "../archive_folder.ts";
import { type OpenArchiveOptions, openArchive } from "./open_archive.ts";

export type BackupRootOptions = Omit<OpenArchiveOptions, "owner">;

/** The archives below `root`, which is made where it is not there. */
export function openBackupRoot(root: string, options: BackupRootOptions): WritablePlace {
  return new BackupRoot(root, options);
}

class BackupRoot implements WritablePlace {
  readonly locator: string;
  readonly holds = { ...ALL_HELD, userList: false };
  readonly #root: string;
  readonly #options: BackupRootOptions;
  readonly #open = new Map<string, Promise<WritablePlace>>();

  constructor(root: string, options: BackupRootOptions) {
    this.locator = `backup:${root}`;
    this.#root = root;
    this.#options = options;
  }

  archiveOf(owner: Owner): Promise<WritablePlace> {
    const key = ownerKey(owner);
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const folder = join(this.#root, archiveFolder(owner));
    const opening = openArchive(folder, { ...this.#options, owner });
    this.#open.set(key, opening);
    opening.catch(() => this.#open.delete(key)); // whoever asked is told; the next one tries again
    return opening;
  }

  #of(name: string): Promise<WritablePlace> {
    return this.archiveOf(parseName(name).owner);
  }

  async owners(): ReturnType<WritablePlace["owners"]> {
    return refused("notSupported", "Archives that are being written are not listed");
  }

  async user(userid: string): ReturnType<WritablePlace["user"]> {
    return (await this.archiveOf({ kind: "user", userid })).user(userid);
  }

  async meta(userid: string): ReturnType<WritablePlace["meta"]> {
    return (await this.archiveOf({ kind: "user", userid })).meta(userid);
  }

  async sharedMailboxes(toplevel: string): ReturnType<WritablePlace["sharedMailboxes"]> {
    return (await this.archiveOf({ kind: "shared", toplevel })).sharedMailboxes(toplevel);
  }

  async mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const byOwner = Map.groupBy(names, (name) => ownerKey(parseName(name).owner));
    const states: MailboxState[] = [];
    for (const some of byOwner.values()) {
      const found = await (await this.#of(some[0] ?? "")).mailboxes(some);
      if (found.kind === "refused") return found;
      for (const state of found.value) states.push(state);
    }
    return ok(states);
  }

  /** Of those whose archives are open: whose a uniqueid is, no name says. */
  async mailboxesByUniqueid(ids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const states: MailboxState[] = [];
    for (const archive of this.#open.values()) {
      const found = await (await archive).mailboxesByUniqueid(ids);
      if (found.kind === "refused") return found;
      for (const state of found.value) states.push(state);
    }
    return ok(states);
  }

  async readMailbox(name: string): ReturnType<WritablePlace["readMailbox"]> {
    return (await this.#of(name)).readMailbox(name);
  }

  async message(address: MessageAddress): ReturnType<WritablePlace["message"]> {
    return (await this.#of(address.mailbox)).message(address);
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return (await this.#of(name)).annotations(name);
  }

  async quota(root: string): ReturnType<WritablePlace["quota"]> {
    return (await this.#of(root)).quota(root);
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    return (await this.archiveOf({ kind: "user", userid })).sieveScript(userid, filename);
  }

  async openSession(): Promise<PlaceSession> {
    return new RootSession((owner) => this.archiveOf(owner));
  }

  async finished(owner: Owner, missing: readonly UnreadableMailbox[]): Promise<void> {
    const archive = await this.archiveOf(owner);
    await archive.finished?.(owner, missing);
    this.#open.delete(ownerKey(owner));
    await archive.close();
  }

  async close(): Promise<void> {
    const opened = [...this.#open.values()];
    this.#open.clear();
    const closed = await Promise.allSettled(opened.map(async (one) => (await one).close()));
    for (const one of closed) if (one.status === "rejected") throw one.reason;
  }
}

/** A session that brings one owner after the other. */
class RootSession implements PlaceSession {
  readonly #archiveOf: (owner: Owner) => Promise<WritablePlace>;
  #current: { readonly key: string; readonly session: PlaceSession } | undefined;

  constructor(archiveOf: (owner: Owner) => Promise<WritablePlace>) {
    this.#archiveOf = archiveOf;
  }

  async #of(owner: Owner): Promise<PlaceSession> {
    const key = ownerKey(owner);
    if (this.#current?.key === key) return this.#current.session;
    await this.#current?.session.close();
    const session = await (await this.#archiveOf(owner)).openSession();
    this.#current = { key, session };
    return session;
  }

  async reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    const [mailbox] = request.mailboxes;
    if (mailbox === undefined) return ok(request.guids);
    return (await this.#of(parseName(mailbox).owner)).reserve(request);
  }

  /** Where the message goes must be known before its first byte is taken. */
  stage(message: IncomingMessage): MessageWriter {
    const { mailbox } = message;
    assert(mailbox !== undefined, "a message for an archive comes with its mailbox");
    const { owner } = parseName(mailbox);
    const current = this.#current;
    if (current?.key === ownerKey(owner)) return current.session.stage(message);
    const writer = this.#of(owner).then((session) => session.stage(message));
    writer.catch(() => undefined); // it is thrown by what is asked of the writer next
    return {
      write: async (bytes) => (await writer).write(bytes),
      end: async () => (await writer).end(),
      abort: () => void writer.then((one) => one.abort()),
    };
  }

  async flush(): Promise<Outcome> {
    return this.#current?.session.flush() ?? DONE;
  }

  async apply(command: ApplyCommand, options?: ApplyOptions): Promise<Outcome> {
    const owner = ownerOfCommand(command);
    const shared = command.kind === "quota" || command.kind === "unquota";
    const current = shared ? this.#current?.session : undefined;
    if (owner === undefined) return refused("notSupported", "A backup has nothing of a server");
    return (current ?? (await this.#of(owner))).apply(command, options);
  }

  /** Begins with another owner, or anew: the archive may have been closed meanwhile. */
  restart(): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    await this.#current?.session.close();
    this.#current = undefined;
  }
}
