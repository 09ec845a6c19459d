/** Many archives as one place: each question goes to the archive of the owner whom it is about. */
import type { Annotation } from "../../../model/annotation.ts";
import type { MailboxState } from "../../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { ALL_HELD, type Holds, type MessageAddress, type Place } from "../../place.ts";

export interface ManyArchivesOptions {
  readonly locator: string;
  /** The archive of an owner, an empty one where there is none. */
  readonly archiveOf: (owner: Owner) => Promise<Place>;
  /** Archives in which uniqueids are looked for, each opened when it is its turn. */
  readonly all: () => Iterable<Promise<Place>>;
  /** Absent where they are not listed. */
  readonly owners?: () => AsyncIterable<Owner>;
  readonly holds?: Holds;
  readonly close: () => Promise<void>;
}

export class ManyArchives implements Place {
  readonly locator: string;
  readonly holds: Holds;
  readonly #options: ManyArchivesOptions;

  constructor(options: ManyArchivesOptions) {
    const { locator, owners, holds = ALL_HELD } = options;
    this.locator = locator;
    this.holds = { ...holds, userList: owners !== undefined };
    this.#options = options;
  }

  #of(name: string): Promise<Place> {
    return this.#options.archiveOf(parseName(name).owner);
  }

  async owners(): ReturnType<Place["owners"]> {
    const { owners } = this.#options;
    if (owners !== undefined) return ok(owners());
    return refused("notSupported", "Archives that are being written are not listed");
  }

  async user(userid: string): ReturnType<Place["user"]> {
    return (await this.#options.archiveOf({ kind: "user", userid })).user(userid);
  }

  async meta(userid: string): ReturnType<Place["meta"]> {
    return (await this.#options.archiveOf({ kind: "user", userid })).meta(userid);
  }

  async sharedMailboxes(toplevel: string): ReturnType<Place["sharedMailboxes"]> {
    return (await this.#options.archiveOf({ kind: "shared", toplevel })).sharedMailboxes(toplevel);
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

  async mailboxesByUniqueid(ids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const states: MailboxState[] = [];
    for (const archive of this.#options.all()) {
      const found = await (await archive).mailboxesByUniqueid(ids);
      if (found.kind === "refused") return found;
      for (const state of found.value) states.push(state);
    }
    return ok(states);
  }

  async readMailbox(name: string): ReturnType<Place["readMailbox"]> {
    return (await this.#of(name)).readMailbox(name);
  }

  async message(address: MessageAddress): ReturnType<Place["message"]> {
    return (await this.#of(address.mailbox)).message(address);
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return (await this.#of(name)).annotations(name);
  }

  async quota(root: string): ReturnType<Place["quota"]> {
    return (await this.#of(root)).quota(root);
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    const archive = await this.#options.archiveOf({ kind: "user", userid });
    return archive.sieveScript(userid, filename);
  }

  close(): Promise<void> {
    return this.#options.close();
  }
}
