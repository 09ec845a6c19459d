/**
 * What is known of the server from its own answers: names of partitions, for Cyrus dies of an
 * unknown one, and how far each mailbox goes, for it dies of a new message that was not sent
 * (sync-protocol.md 2.4, 5.5).
 */
import type { MailboxState } from "../../model/mailbox.ts";

export interface KnownMailbox {
  readonly partition: string | null;
  readonly lastUid: number;
  readonly createdmodseq: bigint | undefined;
}

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

  /**
   * `isFree`: the server takes any partition (Bobbin's). `fallback`: what an administrator has
   * said.
   */
  constructor(options: { readonly isFree: boolean; readonly fallback: string | undefined }) {
    this.#isFree = options.isFree;
    this.#fallback = options.fallback;
  }

  learn(state: MailboxState): void {
    const { name, partition, lastUid, createdmodseq } = state;
    this.note(name, { partition, lastUid, createdmodseq });
  }

  note(name: string, mailbox: KnownMailbox): void {
    const { partition } = mailbox;
    if (partition !== null && partition !== "") this.#partitions.add(partition);
    this.#mailboxes.delete(name);
    this.#mailboxes.set(name, mailbox);
    if (this.#mailboxes.size <= MAILBOXES) return;
    for (const oldest of this.#mailboxes.keys()) {
      this.#mailboxes.delete(oldest);
      break;
    }
  }

  forget(name: string): void {
    this.#mailboxes.delete(name);
  }

  forgetAll(): void {
    this.#mailboxes.clear();
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
