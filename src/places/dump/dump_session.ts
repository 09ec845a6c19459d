/** The APPLY half of a dump: each command becomes a line of the file. */
import { concat, utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { printFileHead, printLine } from "../../formats/dlist/print.ts";
import { printSieve, putMailbox } from "../../formats/sync/apply_bytes.ts";
import { printApply } from "../../formats/sync/apply_command.ts";
import type { ApplyCommand, ApplyMailbox } from "../../model/apply.ts";
import { flawOfMailbox, flawOfRecord, flawOfSetting } from "../../model/flaws.ts";
import type { Guid } from "../../model/guid.ts";
import { isIntermediate } from "../../model/mailbox.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { IncomingMessage, MessageWriter, PlaceSession, ReserveRequest } from "../place.ts";
import { type ReceivedMessage, receiving } from "../received_message.ts";
import type { DumpContents } from "./dump_contents.ts";
import type { DumpFile } from "./dump_file.ts";
import type { Range } from "./scan.ts";

const OPENING = utf8("MESSAGE (");
const CLOSING = utf8(")");

export interface DumpSessionOptions {
  readonly output: DumpFile;
  readonly contents: DumpContents;
}

export class DumpSession implements PlaceSession {
  readonly #options: DumpSessionOptions;
  #trouble: Refusal | undefined;

  constructor(options: DumpSessionOptions) {
    this.#options = options;
  }

  /** A message that is in the dump already, sent by any session, is not written twice. */
  async reserve({ guids }: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    const { contents } = this.#options;
    return ok(guids.filter((guid) => contents.message(guid) === undefined));
  }

  stage(message: IncomingMessage): MessageWriter {
    return receiving(message, (received) => this.#keep(message, received));
  }

  async #keep(message: IncomingMessage, received: ReceivedMessage): Promise<void> {
    const { guid, size, partition } = message;
    const digest = received.digest();
    if (digest !== guid) {
      this.#trouble ??= refused("damaged", `Message ${guid} has the SHA-1 ${digest}`);
      received.release();
      return;
    }
    const { contents, output } = this.#options;
    const content = received.content();
    const head = printFileHead({ kind: "file", partition, guid, size }, { from: "client" });
    let skipped = 0;
    const line = await output.command(async (put) => {
      const opening = concat([OPENING, head]);
      skipped = "APPLY ".length + opening.length;
      put(opening);
      for await (const chunk of content.chunks()) put(chunk);
      put(CLOSING);
    });
    const start = line.start + skipped;
    contents.addMessage(guid, { start, end: start + size });
  }

  flush(): Promise<Outcome> {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    return Promise.resolve(trouble ?? DONE);
  }

  async apply(command: ApplyCommand): Promise<Outcome> {
    const { contents, output } = this.#options;
    const objection = contents.objectionTo(command);
    if (objection.kind === "refused") return objection;
    const flaw = flawOfSetting(command);
    if (flaw !== undefined) return refused("notSupported", flaw);
    if (command.kind === "mailbox") {
      const objection = await this.#objectionTo(command);
      if (objection !== undefined) return objection;
    }
    try {
      const line = await this.#write(command);
      contents.apply(command, output.recordsAt(line));
      return DONE;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const what = "state" in command ? command.state.name : command.kind;
      return refused("notSupported", `${what} could not be read back: ${error.message}`);
    }
  }

  /** A dump takes nothing that no place would take out of it. */
  async #objectionTo(command: ApplyMailbox): Promise<Refusal | undefined> {
    const { contents } = this.#options;
    const { name } = command.state;
    if (isIntermediate(command.state)) return undefined;
    const flaw = flawOfMailbox(command.state);
    if (flaw !== undefined) return refused("notSupported", flaw);
    for await (const batch of command.records.batches()) {
      for (const record of batch) {
        const flaw = flawOfRecord(record, name);
        if (flaw !== undefined) return refused("notSupported", flaw);
      }
      const lost = batch.find(({ guid, expunged }) => !expunged && !contents.message(guid));
      if (lost === undefined) continue;
      return refused("checksum", `Message ${lost.uid} of ${name} was not sent: ${lost.guid}`);
    }
    return undefined;
  }

  #write(command: ApplyCommand): Promise<Range> {
    return this.#options.output.command(async (put) => {
      if (command.kind === "mailbox") return putMailbox(command, put);
      const { name, value } = printApply(command);
      put(
        command.kind === "sieve" ? printSieve(command) : printLine(name, value, { from: "client" }),
      );
    });
  }

  /** Messages that were sent stay, since they are in the file. */
  restart(): Promise<void> {
    this.#trouble = undefined;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
