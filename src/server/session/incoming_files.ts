/**
 * The files of `APPLY MESSAGE`, from the wire into the staging of a place as they come. Whatever goes wrong, every byte
 * that was announced is taken, and the answer comes with the end of the command.
 */
import type { FileStartEvent } from "../../formats/dlist/parser.ts";
import type { ReaderEvent } from "../../formats/dlist/reader.ts";
import type { Guid } from "../../model/guid.ts";
import { type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import type { MessageWriter, PlaceSession } from "../../places/place.ts";
import type { ByteBudget } from "../byte_budget.ts";
import type { HasRoom } from "../free_space.ts";

export type FileEvent = Extract<ReaderEvent, { kind: "fileStart" | "fileData" | "fileEnd" }>;

export class IncomingFiles {
  readonly #session: PlaceSession;
  readonly #budgets: readonly ByteBudget[];
  readonly #hasRoom: HasRoom;
  /** Bytes paid for each message that no mailbox has yet, by GUID. */
  readonly #paid = new Map<Guid, number>();
  #writer: MessageWriter | undefined;
  #refusal: Refusal | undefined;

  constructor(
    session: PlaceSession,
    bounds: { readonly budgets: readonly ByteBudget[]; readonly hasRoom: HasRoom },
  ) {
    this.#session = session;
    this.#budgets = bounds.budgets;
    this.#hasRoom = bounds.hasRoom;
  }

  /** Takes one event of the reader. */
  take(event: FileEvent): Promise<void> | undefined {
    switch (event.kind) {
      case "fileStart":
        this.#start(event);
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

  /** The command was broken: what was being written is dropped, what was whole stays staged. */
  abort(): void {
    this.#writer?.abort();
    this.#writer = undefined;
    this.#refusal = undefined;
  }

  /** A mailbox has this message now: it lies in the store, and no more in the way. */
  applied(guid: Guid): void {
    const bytes = this.#paid.get(guid);
    if (bytes === undefined) return;
    for (const budget of this.#budgets) budget.give(bytes);
    this.#paid.delete(guid);
  }

  /** Everything staged has been forgotten: RESTART, or the end of the session. */
  release(): void {
    this.abort();
    for (const guid of [...this.#paid.keys()]) this.applied(guid);
  }

  #start(file: FileStartEvent): void {
    this.#writer = undefined;
    const refusal = this.#whyNot(file);
    if (refusal !== undefined) {
      this.#refusal ??= refusal;
      return;
    }
    this.#writer = this.#session.stage(file);
  }

  #whyNot({ guid, size }: FileStartEvent): Refusal | undefined {
    if (!this.#hasRoom(size))
      return refused("noSpace", `the disk is nearly full, at message ${guid}`);
    if (this.#pay(guid, size)) return undefined;
    return refused("noSpace", `more than may be staged, at message ${guid}`);
  }

  #pay(guid: Guid, bytes: number): boolean {
    const paid: ByteBudget[] = [];
    for (const budget of this.#budgets) {
      if (!budget.take(bytes)) {
        for (const one of paid) one.give(bytes);
        return false;
      }
      paid.push(budget);
    }
    this.#paid.set(guid, (this.#paid.get(guid) ?? 0) + bytes);
    return true;
  }
}
