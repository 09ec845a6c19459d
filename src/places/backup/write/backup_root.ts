/**
 * A folder of archives to be written, as a place of many owners. The archive of an owner is opened
 * when he is first asked for, and closed when his run has ended.
 */
import { assert } from "../../../core/assert.ts";
import { type ApplyCommand, ownerOfCommand } from "../../../model/apply.ts";
import type { Guid } from "../../../model/guid.ts";
import type { UnreadableMailbox } from "../../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../../model/outcome.ts";
import type {
  ApplyOptions,
  IncomingMessage,
  MessageWriter,
  PlaceSession,
  ReserveRequest,
  WritablePlace,
} from "../../place.ts";
import { archiveFolder } from "../archive_folder.ts";
import { ManyArchives } from "../read/many_archives.ts";
import { ownersBelow } from "../read/open_backup.ts";
import { type OpenArchiveOptions, openArchive } from "./open_archive.ts";

export type BackupRootOptions = Omit<OpenArchiveOptions, "owner">;

/** The archives below `root`, which is made where it is not there. */
export function openBackupRoot(root: string, options: BackupRootOptions): WritablePlace {
  const opened = new Map<string, Promise<WritablePlace>>();
  const archiveOf = (owner: Owner): Promise<WritablePlace> => {
    const key = ownerKey(owner);
    const known = opened.get(key);
    if (known !== undefined) return known;
    const opening = openArchive(archiveFolder(root, owner), { ...options, owner });
    opened.set(key, opening);
    opening.catch(() => opened.delete(key)); // whoever asked is told; the next one tries again
    return opening;
  };
  const place = new ManyArchives({
    ...{ locator: `backup:${root}`, archiveOf, owners: () => ownersIn(root, opened) },
    // A uniqueid does not say whose it is, so only the open archives are asked for it.
    all: () => opened.values(),
    close: async () => {
      const some = [...opened.values()];
      opened.clear();
      const closed = await Promise.allSettled(some.map(async (one) => (await one).close()));
      for (const one of closed) if (one.status === "rejected") throw one.reason;
    },
  });
  return Object.assign(place, {
    fillsGaps: true,
    openSession: async () => new RootSession(archiveOf),
    finished: async (owner: Owner, missing: readonly UnreadableMailbox[]) => {
      const archive = await archiveOf(owner);
      await archive.finished?.(owner, missing);
      opened.delete(ownerKey(owner));
      await archive.close();
    },
  });
}

/** Those whose archives lie below `root`, and those whose first run has not ended. */
async function* ownersIn(
  root: string,
  opened: ReadonlyMap<string, Promise<WritablePlace>>,
): AsyncGenerator<Owner, void> {
  const listed = new Set<string>();
  for await (const owner of ownersBelow(root)) {
    listed.add(ownerKey(owner));
    yield owner;
  }
  for (const [key, archive] of opened) {
    if (listed.has(key)) continue;
    const owners = await (await archive).owners();
    if (owners.kind === "ok") yield* owners.value;
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

  async lacks(guid: Guid, mailbox: string, refusal: Refusal): Promise<void> {
    await (await this.#of(parseName(mailbox).owner)).lacks?.(guid, mailbox, refusal);
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
