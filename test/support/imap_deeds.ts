/** What a user does over IMAP and with scripts, at random: each deed is granted by the server. */
import { type ImapClient, imapClient } from "./imap.ts";
import { type Lab, talkTo } from "./lab.ts";
import { randomOf } from "./spool/random.ts";

/** A mailbox that the user has, and how many messages are in it. */
interface Folder {
  name: string;
  messages: number;
}

/** Gives the commands of a deed, and keeps in mind what they do; none where it cannot be done. */
type Deed = (user: ImapUser) => readonly string[];

const DEEDS: Readonly<Record<string, Deed>> = {
  append: (user) => [user.append(user.any())],
  flag: (user) => user.store(`${user.coin() ? "+" : "-"}FLAGS (\\Flagged \\Answered)`),
  seen: (user) => user.store("+FLAGS (\\Seen)"),
  keyword: (user) => user.store(`+FLAGS (word${user.below(7)} $Label${user.below(3)})`),
  note: (user) => user.store(`ANNOTATION (/comment (value.shared "note ${user.next()}"))`),
  expunge: (user) => {
    const done = user.store("+FLAGS (\\Deleted)", (folder) => {
      folder.messages -= 1;
    });
    return done.length === 0 ? [] : [...done.slice(0, 2), "EXPUNGE", "UNSELECT"];
  },
  move: (user) => {
    const from = user.anyWithMail();
    const to = user.any();
    if (from === undefined || from === to) return [];
    const number = 1 + user.below(from.messages);
    from.messages -= 1;
    to.messages += 1;
    return [`SELECT "${from.name}"`, `MOVE ${number} "${to.name}"`, "UNSELECT"];
  },
  create: (user) => {
    const above = user.any();
    // Names of the tree between the INBOX and a mailbox may have no mailbox themselves.
    const parent = above.name === "INBOX" ? "tree/of" : above.name;
    const name = `${user.coin() ? "" : `${parent}/`}made ${user.next()}`;
    const folder = { name, messages: 0 };
    user.folders.push(folder);
    return [`CREATE "${name}"`, user.append(folder)];
  },
  rename: (user) => {
    const one = user.anyOther();
    if (one === undefined) return [];
    const [before, after] = [one.name, `moved ${user.next()}`];
    for (const folder of user.folders) {
      if (folder.name !== before && !folder.name.startsWith(`${before}/`)) continue;
      folder.name = `${after}${folder.name.slice(before.length)}`;
    }
    return [`RENAME "${before}" "${after}"`];
  },
  remove: (user) => {
    const one = user.anyToDelete();
    if (one === undefined) return [];
    user.folders.splice(user.folders.indexOf(one), 1);
    return [`DELETE "${one.name}"`];
  },
  again: (user) => {
    const one = user.anyToDelete();
    if (one === undefined) return [];
    one.messages = 0;
    return [`DELETE "${one.name}"`, `CREATE "${one.name}"`, user.append(one)];
  },
  grant: (user) => [`SETACL "${user.any().name}" bob ${user.coin() ? "lrs" : '""'}`],
  describe: (user) => [
    `SETMETADATA "${user.any().name}" (/shared/comment {{of ${user.next()}\n"so"}})`,
  ],
  subscribe: (user) => [`${user.coin() ? "SUBSCRIBE" : "UNSUBSCRIBE"} "${user.any().name}"`],
  look: (user) => [
    `SELECT "Other Users/bob"`,
    `STORE ${1 + user.below(user.others)} ${user.coin() ? "+" : "-"}FLAGS (\\Seen)`,
    "UNSELECT",
  ],
};

export const KINDS: readonly string[] = [...Object.keys(DEEDS), "script"];

export class ImapUser {
  readonly folders: Folder[] = [{ name: "INBOX", messages: 0 }];
  /** Messages of bob's that the user may read. */
  readonly others: number;
  readonly below: (bound: number) => number;
  readonly #lab: Lab;
  readonly #userid: string;
  readonly #client: ImapClient;
  readonly #queue: string[] = [];
  readonly #deleted = new Set<string>();
  #number = 0;

  private constructor(lab: Lab, client: ImapClient, options: UserOptions) {
    this.#lab = lab;
    this.#client = client;
    this.#userid = options.userid;
    this.below = randomOf(options.seed).below;
    this.others = options.others;
  }

  static async signedIn(lab: Lab, options: UserOptions): Promise<ImapUser> {
    return new ImapUser(lab, await imapClient(lab.imapPort, options.userid), options);
  }

  next(): number {
    this.#number += 1;
    return this.#number;
  }

  coin(): boolean {
    return this.below(2) === 0;
  }

  any(): Folder {
    return this.folders[this.below(this.folders.length)] ?? { name: "INBOX", messages: 0 };
  }

  /** Any but the INBOX, which cannot be renamed or deleted. */
  anyOther(): Folder | undefined {
    return this.folders[1 + this.below(this.folders.length - 1)];
  }

  /**
   * One with none below it, as the server demands; each name once, since a deleted mailbox gets a
   * name with the second in it.
   */
  anyToDelete(): Folder | undefined {
    const one = this.anyOther();
    if (one === undefined || this.#deleted.has(one.name)) return undefined;
    if (this.folders.some(({ name }) => name.startsWith(`${one.name}/`))) return undefined;
    this.#deleted.add(one.name);
    return one;
  }

  anyWithMail(): Folder | undefined {
    const some = this.folders.filter(({ messages }) => messages > 0);
    return some[this.below(some.length)];
  }

  append(folder: Folder): string {
    folder.messages += 1;
    const number = this.next();
    const lines = `line of ${number}\r\n`.repeat(1 + this.below(200));
    const mail = `From: a@example.org\r\nSubject: number ${number}\r\n\r\n${lines}`;
    const flags = this.coin() ? "(\\Seen)" : "($Junk)";
    return `APPEND "${folder.name}" ${flags} "11-Mar-2021 10:11:12 +0000" {{${mail}}}`;
  }

  /** Stores `what` at any message. */
  store(what: string, then: (folder: Folder) => void = () => undefined): string[] {
    const folder = this.anyWithMail();
    if (folder === undefined) return [];
    const number = 1 + this.below(folder.messages);
    then(folder);
    return [`SELECT "${folder.name}"`, `STORE ${number} ${what}`, "UNSELECT"];
  }

  /** Does `count` deeds; every kind comes once before any comes again. */
  async act(count: number): Promise<void> {
    for (let done = 0; done < count; ) {
      if (this.#queue.length === 0) this.#queue.push(...KINDS);
      const [kind = ""] = this.#queue.splice(this.below(this.#queue.length), 1);
      const commands = DEEDS[kind]?.(this);
      if (commands === undefined) await this.#script();
      for (const command of commands ?? []) await this.#client.command(command);
      if (commands?.length !== 0) done += 1;
    }
  }

  async #script(): Promise<void> {
    const name = `script${this.below(3)}`;
    const text = `keep; /* ${this.next()} */`;
    const commands = [`PUTSCRIPT "${name}" {{${text}}}`, `SETACTIVE "${name}"`];
    await talkTo(this.#lab, "sieve", this.#userid, commands);
  }

  close(): void {
    this.#client.close();
  }
}

export interface UserOptions {
  readonly userid: string;
  readonly seed: number;
  /** Messages in the INBOX of bob, who must let the user read and keep what was seen there. */
  readonly others: number;
}
