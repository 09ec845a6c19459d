/**
 * The one connection that all reads of a backupcyrusd share, made again where it is lost: reads
 * change nothing. But a request over which the server has gone twice is not sent a third time.
 */
import { AppError } from "../../core/errors.ts";
import { inTurns } from "../../core/in_turns.ts";
import { decodeWord } from "../../formats/backup/wire.ts";
import type { Connection } from "../../net/connection.ts";
import { type FileTaker, type WireAnswer, WireDialogue } from "./wire_dialogue.ts";

/** A connection on which the protocol may begin, and what has come on it already. */
export interface Connected {
  readonly connection: Connection;
  readonly rest?: Uint8Array;
}

export interface LinkOptions {
  /** Connects, and signs in where that is needed. Throws AppError. */
  readonly connect: () => Promise<Connected>;
  /** What error messages call the server. */
  readonly where: string;
  /** The server's own name, which each request has to say; asked of the server if not known. */
  readonly slot?: string | undefined;
  readonly silenceMs?: number;
}

const SILENCE_MS = 600_000;
/** Requests under way at a time: a round trip of 50 ms then costs 1 ms a message. */
const UNDER_WAY = 48;
/** How often the server may go over one request, and over others that are sent with it. */
const DEATHS = 2;
const LOSSES = 5;
const PAUSE_MS = 500;

export class BackupLink {
  readonly #options: LinkOptions;
  readonly #inTurn = inTurns(UNDER_WAY);
  /** Requests over which the server has gone twice, and what was thrown then. */
  readonly #deadly = new Map<string, AppError>();
  #slot: string | undefined;
  #dialogue: Promise<WireDialogue> | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#slot = options.slot;
  }

  /**
   * Asks `VERB SLOT ARGUMENTS`. What `files` takes begins anew where the connection was lost.
   * Throws AppError: unreachable, protocol, not_found for another slot, or what `connect` throws.
   */
  ask(verb: string, args: readonly string[], files?: FileTaker): Promise<WireAnswer> {
    return this.#inTurn(async () => {
      const key = [verb, ...args].join(" ");
      for (let [deaths, losses] = [0, 1]; ; losses++) {
        const deadly = this.#deadly.get(key);
        if (deadly !== undefined) throw deadly;
        const opened = this.#open();
        const dialogue = await opened;
        const words = [verb, this.#slot ?? "", ...args] as const;
        try {
          return this.#taken(await dialogue.ask(words, files));
        } catch (error) {
          if (this.#dialogue === opened) this.#dialogue = undefined;
          if (!(error instanceof AppError) || error.code !== "unreachable") throw error;
          if (dialogue.failedAt === words) deaths++;
          if (deaths === DEATHS) this.#deadly.set(key, error);
          if (deaths === DEATHS || losses === LOSSES) throw error;
          await Bun.sleep(PAUSE_MS);
        }
      }
    });
  }

  async close(): Promise<void> {
    const dialogue = await this.#dialogue;
    await dialogue?.connection.close();
  }

  #open(): Promise<WireDialogue> {
    const opening = this.#dialogue ?? this.#connect();
    this.#dialogue = opening;
    opening.catch(() => {
      if (this.#dialogue === opening) this.#dialogue = undefined;
    });
    return opening;
  }

  async #connect(): Promise<WireDialogue> {
    const { connect, where, silenceMs = SILENCE_MS } = this.#options;
    const { connection, ...rest } = await connect();
    const dialogue = new WireDialogue(connection, { where, silenceMs, ...rest });
    if (this.#slot === undefined) {
      // A server that is called `-` takes this for its name; others tell theirs.
      const { refusal = "iam -" } = await dialogue.ask(["META", "-", "-"]);
      this.#slot = slotIn(refusal);
      if (this.#slot === undefined) {
        connection.destroy();
        throw new AppError("protocol", `${where} does not tell its name: NO ${refusal}`);
      }
    }
    return dialogue;
  }

  #taken(answer: WireAnswer): WireAnswer {
    const slot = answer.refusal === undefined ? undefined : slotIn(answer.refusal);
    if (slot === undefined) return answer;
    const { where } = this.#options;
    throw new AppError("not_found", `${where} is no server ${this.#slot}: it is called ${slot}`, {
      hint: "Leave the name out of the address, or give the server's own",
    });
  }
}

function slotIn(refusal: string): string | undefined {
  const [, slot] = /^iam (\S+)$/.exec(refusal) ?? [];
  return slot === undefined ? undefined : decodeWord(slot);
}
