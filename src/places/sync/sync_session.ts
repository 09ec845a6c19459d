/**
 * The APPLY half of a sync server: one connection of its own. What is staged lives as long as that:
 * when the connection is lost every call throws, until `restart` begins anew with nothing staged.
 * No change is ever sent twice.
 */
import { AppError } from "../../core/errors.ts";
import { printLine } from "../../formats/dlist/print.ts";
import { printRemoval, printSieve, putMailbox } from "../../formats/sync/apply_bytes.ts";
import { printApply } from "../../formats/sync/apply_command.ts";
import { type GetCommand, printGet } from "../../formats/sync/get_command.ts";
import type { Annotation } from "../../model/annotation.ts";
import {
  type ApplyAnnotation,
  type ApplyCommand,
  type ApplyMailbox,
  type ApplyRename,
  type ApplyUnannotation,
  annotationChanges,
  type RestoreMailbox,
} from "../../model/apply.ts";
import { flawOfMailbox, flawOfRecord, flawOfSetting } from "../../model/flaws.ts";
import type { Guid } from "../../model/guid.ts";
import { isIntermediate, type MailboxState } from "../../model/mailbox.ts";
import { parseName } from "../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import { type StagedGuids, stagedIn } from "../../model/staged_guids.ts";
import { mailSyncCrc } from "../../model/sync_crc.ts";
import type {
  ApplyOptions,
  IncomingMessage,
  MessageWriter,
  PlaceSession,
  ReserveRequest,
} from "../place.ts";
import type { Reply } from "./dialogue.ts";
import { fitMailbox, withType } from "./fit_mailbox.ts";
import type { Peer } from "./peer.ts";
import { literalLimitOf, objectionTo } from "./peer_holds.ts";
import type { PeerMemory } from "./peer_memory.ts";
import { answersOf, refusalIn } from "./refusals.ts";
import { longestString, objectionToRecord } from "./send_limits.ts";
import type { Link } from "./sign_in.ts";
import { type StagedMessage, Upload } from "./upload.ts";
import { can, ENTRIES_OF_24 } from "./versions.ts";

export interface SyncSessionOptions {
  readonly open: () => Promise<Link>;
  readonly memory: PeerMemory;
  /** What error messages call the server. */
  readonly locator: string;
  /** Asks the server for the scripts of a user as files: `memory` knows then what it calls them. */
  readonly listScripts: (userid: string) => Promise<void>;
}

/** GUIDs of one RESERVE; Cyrus' own client asks for no more. */
const RESERVE_GUIDS = 8193;

type ApplyActivate = Extract<ApplyCommand, { kind: "activateSieve" }>;

interface Live {
  readonly link: Link;
  readonly upload: Upload;
}

export class SyncSession implements PlaceSession {
  readonly #options: SyncSessionOptions;
  readonly #staged: StagedGuids = new Map();
  #live: Live | undefined;
  /** Why the connection is lost. */
  #lost: unknown;
  #isForced = false;

  constructor(options: SyncSessionOptions) {
    this.#options = options;
  }

  /** Opens the connection, so that what is wrong with it is known before anything is staged. */
  async connect(): Promise<Live> {
    const link = await this.#options.open();
    this.#isForced = false;
    this.#live = {
      link,
      upload: new Upload({
        dialogue: link.dialogue,
        software: link.peer.software,
        isStaged: (message) => this.#isStaged(message),
        onStaged: (messages) => {
          for (const { partition, guid } of messages) stagedIn(this.#staged, partition).add(guid);
        },
      }),
    };
    return this.#live;
  }

  async reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    const { mailboxes, guids } = request;
    const partition = this.#options.memory.partitionFor(request.partition);
    const unknown = guids.filter((guid) => !this.#isStaged({ partition, guid }));
    // Where there is no mailbox there is nothing to find (sync-protocol.md 5.2).
    if (mailboxes.length === 0 || unknown.length === 0) return ok(unknown);
    const missing = new Set<Guid>();
    for (let at = 0; at < unknown.length; at += RESERVE_GUIDS) {
      const part = unknown.slice(at, at + RESERVE_GUIDS);
      const entry = printApply({ kind: "reserve", partition, mailboxes, guids: part });
      const got = await this.#command("reserve", ({ link }) =>
        link.dialogue.command("APPLY", entry),
      );
      if (got.kind === "refused") return got;
      for (const answer of answersOf(got.value, "missing")) {
        for (const guid of answer.guids) missing.add(guid);
      }
      for (const guid of part) if (!missing.has(guid)) stagedIn(this.#staged, partition).add(guid);
    }
    return ok(guids.filter((guid) => missing.has(guid)));
  }

  stage(message: IncomingMessage): MessageWriter {
    const { upload } = this.#alive();
    const partition = this.#options.memory.partitionFor(message.partition);
    const writer = upload.writer({ ...message, partition });
    return {
      write: (bytes) => this.#watched(writer.write(bytes)),
      end: () => this.#watched(writer.end()),
      abort: () => writer.abort(),
    };
  }

  async flush(): Promise<Outcome> {
    const { upload } = this.#alive();
    if (!upload.isPoisoned) await this.#watched(upload.endBatch());
    const trouble = upload.takeTrouble();
    if (upload.isPoisoned) await this.restart();
    return trouble ?? DONE;
  }

  async apply(command: ApplyCommand, options: ApplyOptions = {}): Promise<Outcome> {
    if (options.force === true && !this.#isForced) {
      const forced = await this.#force();
      if (forced.kind === "refused") return forced;
    }
    const flaw = flawOfSetting(command);
    if (flaw !== undefined) return refused("notSupported", flaw);
    const { memory } = this.#options;
    switch (command.kind) {
      case "mailbox":
        return this.#applyMailbox(command, options);
      case "restore":
        return this.#sendMailbox(command, command.name, options);
      case "sieve":
        return this.#sendPrinted(command, printSieve(command));
      case "rename":
        return this.#rename(command);
      case "annotation":
      case "unannotation":
        return this.#annotate(command);
      case "activateSieve":
        return this.#activate(command);
      case "unsieve":
        return this.#sendPrinted(this.#asCalledThere(command));
      case "unmailbox":
        memory.forget(command.name);
        return this.#sendPrinted(command);
      case "unuser":
        memory.forgetAll();
        return this.#sendPrinted(command);
      default:
        return this.#sendPrinted(command);
    }
  }

  /** Also the way back after the connection was lost. */
  async restart(): Promise<void> {
    this.#staged.clear();
    const live = this.#live;
    if (this.#lost === undefined && live !== undefined && !live.upload.isPoisoned) {
      const got = await this.#command("restart", async ({ link }) => {
        await link.dialogue.begin("RESTART");
        return link.dialogue.finish();
      });
      live.upload.takeTrouble();
      if (got.kind === "ok") return;
    }
    // Also after a message that was sent wrong: a new connection has nothing of it.
    this.#live = undefined;
    await live?.link.dialogue.connection.close();
    this.#lost = undefined;
    await this.#watched(this.connect());
  }

  cut(): void {
    this.#live?.link.dialogue.connection.destroy();
  }

  async close(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    await live?.link.dialogue.connection.close();
  }

  /** FORCE. It lasts as long as the connection: the protocol has no way to end it. */
  async #force(): Promise<Outcome> {
    if (!can(this.#alive().link.peer, "FORCE")) {
      return refused("notSupported", `${this.#options.locator} is too old to be forced`);
    }
    const entry = printApply({ kind: "force" });
    const got = await this.#command("force", ({ link }) => link.dialogue.command("APPLY", entry));
    if (got.kind === "refused") return got;
    this.#isForced = true;
    return DONE;
  }

  async #sendPrinted(command: ApplyCommand, printed?: Uint8Array): Promise<Outcome> {
    const what = whatOf(command);
    const entry = printApply(command);
    const limit = literalLimitOf(this.#alive().link.peer);
    if (longestString(entry) > limit) return refused("notSupported", `${what}: ${tooLong(limit)}`);
    const bytes = printed ?? printLine(entry.name, entry.value, { from: "client" });
    const got = await this.#command(what, async ({ link }) => {
      await link.dialogue.begin("APPLY", bytes);
      return link.dialogue.finish();
    });
    return got.kind === "refused" ? got : DONE;
  }

  #asCalledThere<Command extends { readonly userid: string; readonly filename: string }>(
    command: Command,
  ): Command {
    const { userid, filename } = command;
    return { ...command, filename: this.#options.memory.scriptThere(userid, filename) };
  }

  /**
   * 2.x takes a name without bytecode, and runs no script from then on. 3.6 knows a script that it
   * has made a message of by the words of the Subject, and tells them when it lists files.
   */
  async #activate(command: ApplyActivate): Promise<Outcome> {
    const { userid } = command;
    const { filename } = this.#asCalledThere(command);
    if (!can(this.#alive().link.peer, "compiles scripts")) {
      const got = await this.#get({ kind: "meta", userid }, `scripts of ${userid}`);
      if (got.kind === "refused") return got;
      const isThere = got.value.answers.some(
        (one) => one.kind === "sieve" && one.file.filename === filename,
      );
      const text = `${this.#options.locator} has no ${filename}, and compiles no scripts`;
      if (!isThere) return refused("notSupported", text);
    }
    const done = await this.#sendPrinted({ ...command, filename });
    if (done.kind === "ok") return done;
    await this.#options.listScripts(userid);
    const named = this.#asCalledThere(command);
    return named.filename === filename ? done : this.#sendPrinted(named);
  }

  async #rename(command: ApplyRename): Promise<Outcome> {
    const { memory } = this.#options;
    const partition = memory.partitionFor(command.partition);
    const known = memory.find(command.oldName);
    memory.forget(command.oldName);
    memory.forget(command.newName);
    const outcome = await this.#sendPrinted({ ...command, partition });
    if (outcome.kind === "refused" || known === undefined) return outcome;
    memory.note(command.newName, { ...known, partition });
    return outcome;
  }

  async #applyMailbox(command: ApplyMailbox, options: ApplyOptions): Promise<Outcome> {
    const { memory } = this.#options;
    const { link } = this.#alive();
    const { name } = command.state;
    const { peer } = link;
    const unfit = objectionTo(peer, command.state);
    if (unfit !== undefined) return unfit;
    if (isIntermediate(command.state)) {
      return this.#sendMailbox({ ...command, state: withType(command.state, peer) }, name, options);
    }
    const partition = memory.find(name)?.partition ?? memory.partitionFor(command.state.partition);
    const objection = await this.#objectionTo(command, partition);
    if (objection !== undefined) return objection;
    const summed = await this.#withSum(command);
    if (summed.kind === "refused") return summed;
    const fitted = fitMailbox(summed.value, { peer, memory, partition });
    const isAllInOne = can(peer, "annotations within MAILBOX");
    // What comes after the mailbox must not get between the parts of a message.
    const sent = await this.#sendMailbox(fitted, name, isAllInOne ? options : {});
    const outcome =
      sent.kind === "ok" && !isAllInOne ? await this.#applyAnnotations(command.state) : sent;
    if (outcome.kind === "ok") memory.learn(fitted.state, true);
    else memory.forget(name);
    return outcome.kind === "refused" ? inItsDomain(outcome, name, peer) : outcome;
  }

  /** To a server that is told of annotations one by one: those of a mailbox that differ there. */
  async #applyAnnotations({ name, annotations }: MailboxState): Promise<Outcome> {
    const known = ({ entry }: Annotation) => ENTRIES_OF_24.includes(entry);
    const got = await this.#get({ kind: "annotation", name }, `mailbox ${name}`);
    if (got.kind === "refused") return got;
    const there = answersOf(got.value, "annotation").map(({ annotation }) => annotation);
    const changes = annotationChanges(name, annotations.filter(known), there.filter(known));
    for (const change of changes) {
      const done = await this.apply(change);
      if (done.kind === "refused") return done;
    }
    return DONE;
  }

  /** Removing is a command of its own, or setting to NIL, by the version of the server. */
  async #annotate(command: ApplyAnnotation | ApplyUnannotation): Promise<Outcome> {
    const { peer } = this.#alive().link;
    const isOneByOne = !can(peer, "annotations within MAILBOX");
    if (isOneByOne && command.kind === "unannotation") {
      return this.#sendPrinted(command, printRemoval(command));
    }
    const needed = command.kind === "annotation" ? "APPLY ANNOTATION" : "UNANNOTATION";
    if (isOneByOne || can(peer, needed)) return this.#sendPrinted(command);
    const text = `${this.#options.locator} takes annotations with their mailbox only`;
    return refused("notSupported", text);
  }

  /** What would end a Cyrus' process is refused here (sync-protocol.md 4.4, 5.5). */
  async #objectionTo(command: ApplyMailbox, partition: string): Promise<Refusal | undefined> {
    const { peer } = this.#alive().link;
    const { name } = command.state;
    const limits = { literalBytes: literalLimitOf(peer), isCyrus: peer.software === "cyrus" };
    const entry = printApply(command);
    if (longestString(entry) > limits.literalBytes) {
      return refused("notSupported", `${name}: ${tooLong(limits.literalBytes)}`);
    }
    const flaw = flawOfMailbox(command.state);
    if (flaw !== undefined) return refused("notSupported", flaw);
    let last = 0;
    let unsent: { readonly uid: number; readonly guid: Guid } | undefined;
    for await (const batch of command.records.batches()) {
      for (const record of batch) {
        const { uid, guid } = record;
        const flaw = flawOfRecord(record, name);
        if (flaw !== undefined) return refused("notSupported", flaw);
        const why = uid > last ? objectionToRecord(record, limits) : `it comes after uid ${last}`;
        if (why !== undefined) return refused("notSupported", `Message ${uid} of ${name}: ${why}`);
        last = uid;
        if (!record.expunged && !this.#isStaged({ partition, guid })) unsent = { uid, guid };
      }
    }
    if (unsent === undefined || !limits.isCyrus) return undefined;
    const known = await this.#lastUidOf(name, unsent.uid);
    if (known.kind === "refused") return known;
    if (unsent.uid <= known.value) return undefined;
    const text = `Message ${unsent.uid} of ${name} is new and was not sent: ${unsent.guid}`;
    return refused("checksum", text);
  }

  /** The highest UID the server has, asked for only if what is known is less than `uid`. */
  async #lastUidOf(name: string, uid: number): Promise<Outcome<number>> {
    const { memory } = this.#options;
    const known = memory.find(name)?.lastUid ?? 0;
    if (uid <= known) return ok(known);
    const got = await this.#get({ kind: "mailboxes", names: [name] }, `mailbox ${name}`);
    if (got.kind === "refused") return got.reason === "nonexistent" ? ok(0) : got;
    const [answer] = answersOf(got.value, "mailbox");
    if (answer === undefined) memory.forget(name);
    else memory.learn({ ...answer.state, name });
    return ok(answer?.state.lastUid ?? 0);
  }

  /** 2.4 compares a sum of 0 too, where records come: it is told that of what it will have. */
  async #withSum(command: ApplyMailbox): Promise<Outcome<ApplyMailbox>> {
    const { name, syncCrc = 0 } = command.state;
    if (syncCrc !== 0 || can(this.#alive().link.peer, "no sum")) return ok(command);
    const sent = (await Array.fromAsync(command.records.batches())).flat();
    if (sent.length === 0) return ok(command);
    const got = await this.#get({ kind: "fullmailbox", name }, `mailbox ${name}`);
    if (got.kind === "refused" && got.reason !== "nonexistent") return got;
    const [there] = got.kind === "ok" ? answersOf(got.value, "mailbox") : [];
    const all = new Map([...(there?.records ?? []), ...sent].map((one) => [one.uid, one]));
    return ok({ ...command, state: { ...command.state, syncCrc: mailSyncCrc(all.values()) } });
  }

  async #sendMailbox(
    command: ApplyMailbox | RestoreMailbox,
    name: string,
    { sent }: ApplyOptions,
  ): Promise<Outcome> {
    const verb = command.kind === "restore" ? "RESTORE" : "APPLY";
    const got = await this.#command(`mailbox ${name}`, async ({ link }) => {
      await link.dialogue.begin(verb, new Uint8Array());
      const order = can(link.peer, "fields of master") ? "master" : "3.2";
      await putMailbox(command, (bytes) => link.dialogue.put(bytes), order);
      return link.dialogue.finish({ sent });
    });
    return got.kind === "refused" ? got : DONE;
  }

  #get(command: GetCommand, what: string): Promise<Outcome<Reply>> {
    return this.#command(what, ({ link }) => link.dialogue.command("GET", printGet(command)));
  }

  /** Sends a command after the messages before it. */
  async #command(what: string, send: (live: Live) => Promise<Reply>): Promise<Outcome<Reply>> {
    const live = this.#alive();
    const reply = await this.#watched(live.upload.endBatch().then(() => send(live)));
    return refusalIn(reply.status, `${this.#options.locator}: ${what}`) ?? ok(reply);
  }

  #alive(): Live {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#live !== undefined) return this.#live;
    throw new AppError("unreachable", `The session with ${this.#options.locator} is closed`);
  }

  /** Notes the loss of the connection: what the server has of the last command is unknown. */
  #watched<Value>(work: Promise<Value>): Promise<Value>;
  #watched<Value>(work: Promise<Value> | undefined): Promise<Value> | undefined;
  #watched<Value>(work: Promise<Value> | undefined): Promise<Value> | undefined {
    return work?.catch((error: unknown) => {
      this.#lost ??= error;
      this.#live?.link.dialogue.connection.destroy();
      throw error;
    });
  }

  #isStaged(message: StagedMessage): boolean {
    return this.#staged.get(message.partition)?.has(message.guid) === true;
  }
}

/** A server without domains says `Unknown error` to each name in one: no fault of its disk. */
function inItsDomain(refusal: Refusal, name: string, { software }: Peer): Refusal {
  const isName = software === "cyrus" && parseName(name).domain !== undefined;
  if (!isName || refusal.reason !== "failed") return refusal;
  const hint = "A Cyrus with virtdomains: off takes no mailbox in a domain";
  return { ...refusal, reason: "notSupported", hint };
}

function tooLong(limit: number): string {
  return `a value in it has more than the ${limit} bytes that the server takes`;
}

function whatOf(command: ApplyCommand): string {
  if ("name" in command) return `${command.kind} ${command.name}`;
  if ("userid" in command) return `${command.kind} of ${command.userid}`;
  return command.kind;
}
