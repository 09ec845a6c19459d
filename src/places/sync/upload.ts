/**
 * APPLY MESSAGE: messages on their way to a server, in batches of bounded number and bytes, none of
 * them held but small ones. Unless the sender has done so, a message's SHA-1 is found before the
 * server hears of a small one, and while a large one is under way: Cyrus believes what it is told
 * and ends its process over it later (sync-protocol.md 2.4, 5.5).
 */
import { assert } from "../../core/assert.ts";
import { utf8 } from "../../core/bytes.ts";
import { printFileHead } from "../../formats/dlist/print.ts";
import { beginSha1, type Sha1 } from "../../hash/sha1.ts";
import type { Guid } from "../../model/guid.ts";
import { type Refusal, refused } from "../../model/outcome.ts";
import type { IncomingMessage, MessageWriter } from "../place.ts";
import type { Dialogue, Status } from "./dialogue.ts";
import type { Peer } from "./peer.ts";

interface BatchLimits {
  /** Of one command; it is ended by the file with which it gets there. */
  readonly files: number;
  /** What a lost connection makes worthless. */
  readonly bytes: number;
}

/**
 * Cyrus' own client sends no more files; Bobbin takes one command while it does another, so that
 * should be a long one.
 */
const BATCHES: Readonly<Record<Peer["software"], BatchLimits>> = {
  cyrus: { files: 1024, bytes: 32 * 1024 * 1024 },
  bobbin: { files: 8192, bytes: 128 * 1024 * 1024 },
};
/** Messages up to here are checked before they are sent. */
const HELD_BYTES = 4 * 1024 * 1024;

const OPENING = utf8("MESSAGE (");
const SPACE = utf8(" ");
const CLOSING = utf8(")");

export interface UploadOptions {
  readonly dialogue: Dialogue;
  readonly software: Peer["software"];
  /** Called for each batch that the server has taken. */
  readonly onStaged: (messages: readonly StagedMessage[]) => void;
  /** True for a message that need not be sent again. */
  readonly isStaged: (message: StagedMessage) => boolean;
}

export interface StagedMessage {
  readonly partition: string;
  readonly guid: Guid;
}

/** The uploads of one connection. */
export class Upload {
  readonly #options: UploadOptions;
  /** Files of the command that is being sent. */
  #batch: StagedMessage[] = [];
  #batchBytes = 0;
  #isOpen = false;
  #trouble: Refusal | undefined;
  #isPoisoned = false;

  constructor(options: UploadOptions) {
    this.#options = options;
  }

  /** A large file that is not its GUID's has been sent: all that is staged must be forgotten. */
  get isPoisoned(): boolean {
    return this.#isPoisoned;
  }

  /** What went wrong since the last call. */
  takeTrouble(): Refusal | undefined {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    return trouble;
  }

  /** `message.partition` is one that the server knows. */
  writer(message: IncomingMessage): MessageWriter {
    const { guid, size } = message;
    if (size === 0) return this.#refusing(refused("notSupported", `Message ${guid} has no bytes`));
    if (this.#options.isStaged(message)) return NOWHERE;
    const isKnown = message.isVerified === true;
    return isKnown || size > HELD_BYTES ? this.#streaming(message) : this.#held(message);
  }

  /**
   * Ends the command that is under way, if there is one. Throws AppError when the server has gone.
   */
  async endBatch(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    await this.#options.dialogue.put(CLOSING);
    const { status } = await this.#options.dialogue.finish();
    if (status.kind === "OK") this.#options.onStaged(batch);
    else this.#trouble ??= troubleOf(status);
  }

  #refusing(refusal: Refusal): MessageWriter {
    this.#trouble ??= refusal;
    return NOWHERE;
  }

  #held(message: IncomingMessage): MessageWriter {
    const hash = beginSha1();
    const parts: Uint8Array[] = [];
    let length = 0;
    return {
      write: (bytes) => {
        hash.update(bytes);
        parts.push(bytes);
        length += bytes.length;
        return undefined;
      },
      end: () => {
        assert(length === message.size, `message ${message.guid} has as many bytes as announced`);
        if (this.#isRight(message, hash)) return this.#send(message, parts);
        return undefined;
      },
      abort: () => {},
    };
  }

  #isRight(message: IncomingMessage, hash: Sha1): boolean {
    const digest = hash.digest();
    if (digest === message.guid) return true;
    this.#trouble ??= refused("damaged", `Message ${message.guid} has the SHA-1 ${digest}`);
    return false;
  }

  /** Small messages are most of all mail: nothing is waited for unless the connection is full. */
  #send(message: IncomingMessage, parts: readonly Uint8Array[]): Promise<void> | undefined {
    let waiting = this.#openFile(message);
    for (const part of parts) {
      const { dialogue } = this.#options;
      waiting = waiting === undefined ? dialogue.put(part) : waiting.then(() => dialogue.put(part));
    }
    return this.#endFile(waiting);
  }

  #streaming(message: IncomingMessage): MessageWriter {
    const { dialogue } = this.#options;
    const hash = message.isVerified === true ? undefined : beginSha1();
    let opening = this.#openFile(message);
    let length = 0;
    return {
      write: (bytes) => {
        hash?.update(bytes);
        length += bytes.length;
        const first = opening;
        opening = undefined;
        return first === undefined ? dialogue.put(bytes) : first.then(() => dialogue.put(bytes));
      },
      end: () => {
        assert(length === message.size, `message ${message.guid} has as many bytes as announced`);
        if (hash !== undefined && !this.#isRight(message, hash)) this.#isPoisoned = true;
        return this.#endFile(opening);
      },
      abort: () => {
        // The server waits for the rest of a file that nobody has: only a cut connection ends that.
        this.#isOpen = false;
        this.#isPoisoned = true;
        this.#trouble ??= refused("failed", `Message ${message.guid} was broken off`);
        dialogue.connection.destroy();
      },
    };
  }

  #openFile(message: IncomingMessage): Promise<void> | undefined {
    const { dialogue } = this.#options;
    const { partition, guid, size } = message;
    const isFirst = !this.#isOpen;
    this.#isOpen = true;
    this.#batch.push({ partition, guid });
    this.#batchBytes += size;
    const head = printFileHead({ kind: "file", partition, guid, size }, { from: "client" });
    const before = isFirst ? dialogue.begin("APPLY", OPENING) : dialogue.put(SPACE);
    return before === undefined ? dialogue.put(head) : before.then(() => dialogue.put(head));
  }

  #endFile(waiting: Promise<void> | undefined): Promise<void> | undefined {
    const { files, bytes } = BATCHES[this.#options.software];
    const isFull = this.#batch.length >= files || this.#batchBytes >= bytes;
    if (!isFull) return waiting;
    return waiting === undefined ? this.endBatch() : waiting.then(() => this.endBatch());
  }
}

const NOWHERE: MessageWriter = {
  write: () => undefined,
  end: () => undefined,
  abort: () => {},
};

/** BAD is what Cyrus says of files that it could not write. */
function troubleOf({ kind, text }: Status): Refusal {
  return refused("failed", `The server has not taken the messages: ${kind} ${text}`);
}
