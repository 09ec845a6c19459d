/**
 * The files of `APPLY MESSAGE`, on their way from the wire into the staging of a place. Whatever
 * goes wrong, all announced bytes are taken off the wire, and the answer comes with the end of the
 * command.
 */
import type { FileStartEvent } from "../../formats/dlist/parser_events.ts";
import type { ReaderEvent } from "../../formats/dlist/reader.ts";
import type { Guid } from "../../model/guid.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import { type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import type { ByteBudget } from "../../net/byte_budget.ts";
import type { MessageWriter, PlaceSession } from "../../places/place.ts";
import type { HasRoom } from "../../storage/free_space.ts";

export type FileEvent = Extract<ReaderEvent, { kind: "fileStart" | "fileData" | "fileEnd" }>;

export interface StagingBounds {
  /** That of the session. Each message counts in it until a mailbox has it. */
  readonly budget: ByteBudget;
  readonly hasRoom: HasRoom;
  /** Told of each message that is taken, with its bytes. */
  readonly onMessage: (bytes: number) => void;
}

export class IncomingFiles {
  readonly #session: PlaceSession;
  readonly #bounds: StagingBounds;
  /** Bytes paid for each message that no mailbox has yet, by GUID. */
  readonly #paid = new Map<Guid, number>();
  /** Takes the file that is coming; undefined while bytes are not wanted. */
  #writer: MessageWriter | undefined;
  #refusal: Refusal | undefined;

  constructor(session: PlaceSession, bounds: StagingBounds) {
    this.#session = session;
    this.#bounds = bounds;
  }

  /** Takes one event of the reader; `verb` is that of its line, in capitals. */
  take(event: FileEvent, verb: string): Promise<void> | undefined {
    switch (event.kind) {
      case "fileStart":
        this.#writer = undefined;
        // Files in other commands are read and dropped.
        if (verb === "APPLY" && event.name.toUpperCase() === "MESSAGE") this.#start(event);
        return undefined;
      case "fileData":
        return this.#writer?.write(event.bytes);
      case "fileEnd": {
        const ended = this.#writer?.end();
        this.#writer = undefined;
        return ended;
      }
    }
  }

  /** The answer to the command: whether everything is staged. */
  async finish(): Promise<Outcome> {
    const refusal = this.#refusal;
    this.#refusal = undefined;
    const flushed = await this.#session.flush();
    return refusal ?? flushed;
  }

  /**
   * The command was broken off: a file that was being written is dropped, whole ones stay staged.
   */
  abort(): void {
    this.#writer?.abort();
    this.#writer = undefined;
    this.#refusal = undefined;
  }

  /** Says that a mailbox has the messages of these records now: they count no longer. */
  async applied(records: RecordSource): Promise<void> {
    if (this.#paid.size === 0) return;
    for await (const batch of records.batches()) {
      for (const { guid } of batch) this.#giveBack(guid);
    }
  }

  /** Says that nothing is staged any more, after RESTART or at the end of the session. */
  release(): void {
    this.abort();
    for (const guid of [...this.#paid.keys()]) this.#giveBack(guid);
  }

  #start(file: FileStartEvent): void {
    const refusal = this.#whyNot(file);
    if (refusal !== undefined) {
      this.#refusal ??= refusal;
      return;
    }
    this.#bounds.onMessage(file.size);
    this.#writer = this.#session.stage(file);
  }

  #whyNot({ guid, size }: FileStartEvent): Refusal | undefined {
    if (!this.#bounds.hasRoom(size))
      return refused("noSpace", `the disk is nearly full, at message ${guid}`);
    if (this.#pay(guid, size)) return undefined;
    return refused("noSpace", `more than may be staged, at message ${guid}`);
  }

  #pay(guid: Guid, bytes: number): boolean {
    if (!this.#bounds.budget.take(bytes)) return false;
    this.#paid.set(guid, (this.#paid.get(guid) ?? 0) + bytes);
    return true;
  }

  #giveBack(guid: Guid): void {
    const bytes = this.#paid.get(guid);
    if (bytes === undefined) return;
    this.#bounds.budget.give(bytes);
    this.#paid.delete(guid);
  }
}
