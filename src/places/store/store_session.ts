/** A session of the store in this thread: what it stages, and what it applies of that. */
import type { ApplyCommand } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import { outcomeOf } from "../outcome_of.ts";
import type {
  ApplyOptions,
  IncomingMessage,
  MessageWriter,
  PlaceSession,
  ReserveRequest,
} from "../place.ts";
import type { KnownMessage } from "./messages/message_file.ts";
import type { Staging } from "./messages/staging.ts";
import { StagingSession } from "./messages/staging_session.ts";

/** What a session asks of its store. */
export interface SessionStore {
  findSound(request: ReserveRequest): Promise<Outcome<readonly KnownMessage[]>>;
  apply(
    command: ApplyCommand,
    records: readonly MailRecord[],
    options: { readonly staging: Pick<Staging, "find">; readonly force: boolean },
  ): Promise<Outcome>;
}

export class StoreSession implements PlaceSession {
  readonly #store: SessionStore;
  readonly #staged: StagingSession;

  constructor(store: SessionStore, staging: Staging) {
    this.#store = store;
    this.#staged = new StagingSession(staging);
  }

  async reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    const { staging } = this.#staged;
    const guids = request.guids.filter((guid) => !staging.has(guid));
    const found = await this.#store.findSound({ ...request, guids });
    if (found.kind === "refused") return found;
    return outcomeOf(() => {
      this.#staged.reserve(found.value);
      return guids.filter((guid) => !staging.has(guid));
    });
  }

  stage(message: IncomingMessage): MessageWriter {
    return this.#staged.begin(message.guid);
  }

  flush(): Promise<Outcome> {
    return outcomeOf(() => {
      this.#staged.flush();
      return undefined;
    });
  }

  async apply(command: ApplyCommand, options: ApplyOptions = {}): Promise<Outcome> {
    const records: MailRecord[] = [];
    if (command.kind === "mailbox") {
      for await (const batch of command.records.batches())
        for (const record of batch) records.push(record);
    }
    const { staging } = this.#staged;
    const outcome = await this.#store.apply(command, records, {
      staging,
      force: options.force ?? false,
    });
    if (outcome.kind === "ok") staging.applied(records.map(({ guid }) => guid));
    return outcome;
  }

  restart(): Promise<void> {
    this.#staged.restart();
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#staged.close();
    return Promise.resolve();
  }
}
