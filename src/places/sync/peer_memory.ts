/**
 * What is known of the server from its own answers: names of partitions, for Cyrus dies of an
 * unknown one, and how far each mailbox goes, for it dies of a new message that was not sent
 * (sync-protocol.md 2.4, 5.5).
 */
import type { MailboxState } from "../../model/mailbox.ts";
import { ownerKey, parseName } from "../../model/names.ts";

export interface KnownMailbox {
  readonly partition: string | null;
  readonly lastUid: number;
  readonly createdmodseq: bigint | undefined;
  readonly jmapid: string | null | undefined;
  /** It was sent, and the server has not been asked for it since. */
  readonly isSent?: true;
}

/** What no two mailboxes of an owner have alike, unless conversations are off. */
type Origin = Pick<KnownMailbox, "createdmodseq" | "jmapid">;

/** Mailboxes remembered; the oldest are forgotten first and asked for again. */
const MAILBOXES = 100_000;
/** The name that Cyrus' own configuration gives the first partition. */
const DEFAULT_PARTITION = "default";

/** One for each place: its sessions share it. */
export class PeerMemory {
  readonly #isFree: boolean;
  readonly #fallback: string | undefined;
  readonly #partitions = new Set<string>();
  readonly #mailboxes = new Map<string, KnownMailbox>();
  /** What the server calls scripts that have another name, by user and name without its suffix. */
  readonly #scripts = new Map<string, string>();
  /** Names of the mailboxes of an owner that have one CREATEDMODSEQ, or one JMAPID. */
  readonly #origins = new Map<string, Set<string>>();

  /**
   * `isFree`: the server takes any partition (Bobbin's). `fallback`: what an administrator has
   * said.
   */
  constructor(options: { readonly isFree: boolean; readonly fallback: string | undefined }) {
    this.#isFree = options.isFree;
    this.#fallback = options.fallback;
  }

  /** `isSent`: the state is what was sent; otherwise the server has told it. */
  learn(state: MailboxState, isSent?: true): void {
    const { name, partition, lastUid, createdmodseq, jmapid } = state;
    this.note(name, { partition, lastUid, createdmodseq, jmapid, ...(isSent && { isSent }) });
  }

  note(name: string, mailbox: KnownMailbox): void {
    const { partition } = mailbox;
    if (partition !== null && partition !== "") this.#partitions.add(partition);
    this.forget(name);
    this.#mailboxes.set(name, mailbox);
    for (const key of originKeys(name, mailbox)) {
      const names = this.#origins.get(key) ?? new Set();
      this.#origins.set(key, names.add(name));
    }
    if (this.#mailboxes.size <= MAILBOXES) return;
    for (const oldest of this.#mailboxes.keys()) {
      this.forget(oldest);
      break;
    }
  }

  forget(name: string): void {
    const known = this.#mailboxes.get(name);
    this.#mailboxes.delete(name);
    for (const key of known === undefined ? [] : originKeys(name, known)) {
      const names = this.#origins.get(key);
      names?.delete(name);
      if (names?.size === 0) this.#origins.delete(key);
    }
  }

  forgetAll(): void {
    this.#mailboxes.clear();
    this.#origins.clear();
  }

  /** True where another mailbox of the owner of `name` has something of this. */
  isTaken(name: string, origin: Origin): boolean {
    return originKeys(name, origin).some((key) => this.#othersWith(key, name).length > 0);
  }

  /**
   * True where one other mailbox that the server has told of has something of this. Where several
   * share it, they do so by themselves: a server without conversations gives all the same.
   */
  isTakenThere(name: string, origin: Origin): boolean {
    return originKeys(name, origin).some((key) => {
      const others = this.#othersWith(key, name);
      return others.length === 1 && others[0]?.isSent !== true;
    });
  }

  #othersWith(key: string, name: string): readonly KnownMailbox[] {
    const names = [...(this.#origins.get(key) ?? [])].filter((other) => other !== name);
    return names.flatMap((other) => this.#mailboxes.get(other) ?? []);
  }

  /** A script that the server calls something else than a person does. */
  noteScript(userid: string, filename: string, calledThere: string): void {
    this.#scripts.set(`${userid}\0${stemOf(filename)}`, stemOf(calledThere));
  }

  /** What the server calls a script, or its bytecode. */
  scriptThere(userid: string, filename: string): string {
    const stem = stemOf(filename);
    const there = this.#scripts.get(`${userid}\0${stem}`) ?? stem;
    return there + filename.slice(stem.length);
  }

  find(name: string): KnownMailbox | undefined {
    return this.#mailboxes.get(name);
  }

  /** The partition to name where the sender has `wanted`. */
  partitionFor(wanted: string | null): string {
    const name = wanted ?? "";
    if (name !== "" && (this.#isFree || this.#partitions.has(name))) return name;
    if (this.#fallback !== undefined) return this.#fallback;
    const { value } = this.#partitions.values().next();
    return this.#partitions.has(DEFAULT_PARTITION)
      ? DEFAULT_PARTITION
      : (value ?? DEFAULT_PARTITION);
  }
}

function originKeys(name: string, { createdmodseq, jmapid }: Origin): string[] {
  const owner = ownerKey(parseName(name).owner);
  return [
    ...(createdmodseq === undefined ? [] : [`${owner}\0${createdmodseq}`]),
    ...(typeof jmapid === "string" ? [`${owner}\0${jmapid}`] : []),
  ];
}

function stemOf(filename: string): string {
  return filename.replace(/\.(?:script|bc)$/, "");
}
