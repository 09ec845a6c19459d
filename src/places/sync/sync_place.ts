/**
 * A sync server as a place: real Cyrus (2.4 to master) or `bobbin serve`, over csync or inside
 * IMAP. Reads share one connection (read_link.ts). Sessions have connections of their own.
 */
import { plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { asAsync, pushAll } from "../../core/lists.ts";
import { decodeScriptName } from "../../formats/sieve/script_files.ts";
import { type GetCommand, printGet } from "../../formats/sync/get_command.ts";
import type { Annotation } from "../../model/annotation.ts";
import {
  isIntermediate,
  type MailboxState,
  type OwnedMailboxes,
  recordsOf,
  type UserMeta,
  type UserState,
} from "../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type {
  Holds,
  MailboxReading,
  MessageAddress,
  MessageContent,
  Place,
  PlaceSession,
  ReadAhead,
  WritablePlace,
} from "../place.ts";
import { ReceivedMessage } from "../received_message.ts";
import { printSyncAddress } from "../sync_address.ts";
import type { FileTaker, Reply } from "./dialogue.ts";
import { listsByImap, listWithinImap } from "./imap_listing.ts";
import type { Peer } from "./peer.ts";
import { holdsOf, objectionTo } from "./peer_holds.ts";
import { PeerMemory } from "./peer_memory.ts";
import { ReadLink } from "./read_link.ts";
import { answersOf } from "./refusals.ts";
import { givesSieveFiles, hasSieveMailbox, openLink } from "./sign_in.ts";
import type { SyncOptions } from "./sync_options.ts";
import { SyncSession } from "./sync_session.ts";
import { bytecodeAt, can } from "./versions.ts";

/** Mailboxes asked for with one command. */
const NAMES = 1000;
/** A round trip of 80 ms then still lets 100 MB a second through, or 3,000 small messages. */
const READ_AHEAD: ReadAhead = { messages: 256, bytes: 8 * 1024 * 1024 };

/** Connects and signs in, so that what is wrong with it is known at once. Throws AppError. */
export async function openSyncPlace(options: SyncOptions): Promise<WritablePlace> {
  const link = await openLink(options, "read");
  const { peer, caveat } = link;
  // An attacker who removes STARTTLS from a later greeting must not get the mail in the clear.
  const isEncrypted = link.dialogue.connection.isEncrypted;
  const later: SyncOptions = isEncrypted ? { ...options, startTls: "always" } : options;
  const memory = new PeerMemory({
    isFree: peer.software === "bobbin",
    fallback: options.partition,
  });
  const asked = { listsByImap: options.address.flavour === "imap" && (await listsByImap(link)) };
  const reads = new ReadLink(link, { options: later, locator: printSyncAddress(options.address) });
  return new SyncPlace({
    ...asked,
    options: later,
    peer,
    caveat,
    memory,
    reads,
    signal: undefined,
  });
}

interface SyncParts {
  readonly options: SyncOptions;
  readonly peer: Peer;
  readonly caveat: string | undefined;
  readonly memory: PeerMemory;
  readonly reads: ReadLink;
  /** The sync protocol lists nobody; LIST of an administrator within IMAP does. */
  readonly listsByImap: boolean;
  /** Until when answers are wanted. */
  readonly signal: AbortSignal | undefined;
}

class SyncPlace implements WritablePlace {
  readonly locator: string;
  readonly holds: Holds;
  readonly caveat?: string;
  readonly readAhead = READ_AHEAD;
  readonly bytecode: Place["bytecode"];
  readonly mailsScripts: boolean;
  readonly #parts: SyncParts;
  readonly #peer: Peer;
  readonly #memory: PeerMemory;
  /** Cyrus shows the mailbox of the scripts also where they are asked for as files. */
  readonly #hidesSieve: boolean;

  constructor(parts: SyncParts) {
    const { options, peer, caveat } = parts;
    if (caveat !== undefined) this.caveat = caveat;
    const sieveFiles = givesSieveFiles(peer, options.sieve);
    this.locator = printSyncAddress(options.address);
    const sieveMailboxes = hasSieveMailbox(peer) && options.sieve !== "files";
    const held = holdsOf(peer, { sieveFiles, sieveMailboxes });
    this.holds = { ...held, userList: held.userList || parts.listsByImap };
    this.#hidesSieve = sieveFiles && peer.software === "cyrus";
    this.mailsScripts = sieveMailboxes && peer.software === "cyrus";
    this.bytecode = bytecodeAt(peer);
    this.#parts = parts;
    this.#peer = peer;
    this.#memory = parts.memory;
  }

  until(signal: AbortSignal): Place {
    return new SyncPlace({ ...this.#parts, signal });
  }

  async owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    if (!this.holds.userList) return this.#noList();
    if (this.#parts.listsByImap) return this.#ownersListed();
    const got = await this.#get({ kind: "owners" });
    if (got.kind === "refused") return got;
    const owners = answersOf(got.value, "owners").flatMap((one) => one.owners);
    return ok(asAsync(owners));
  }

  async sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    if (!this.holds.userList) return this.#noList();
    if (this.#parts.listsByImap) return this.#sharedListed(toplevel);
    const got = await this.#get({ kind: "shared", toplevel });
    if (got.kind === "refused") return nothingIf<OwnedMailboxes>(got, { mailboxes: [] });
    answersOf(got.value, "mailbox");
    const mailboxes = await this.#statesIn(got.value);
    return mailboxes.kind === "ok" ? ok({ mailboxes: mailboxes.value }) : mailboxes;
  }

  async #ownersListed(): Promise<Outcome<AsyncIterable<Owner>>> {
    const names = await this.#namesListed();
    if (names.kind === "refused") return names;
    const owners = names.value.map((name) => parseName(name).owner);
    return ok(asAsync(new Map(owners.map((owner) => [ownerKey(owner), owner])).values()));
  }

  async #sharedListed(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    const names = await this.#namesListed(toplevel);
    const found = names.kind === "refused" ? names : await this.mailboxes(names.value);
    return found.kind === "refused" ? found : ok({ mailboxes: found.value });
  }

  /** Over a link of its own: the answer may be long, and other commands wait for it. */
  async #namesListed(toplevel?: string): Promise<Outcome<string[]>> {
    const { dialogue } = await openLink(this.#parts.options, "read");
    try {
      return await listWithinImap(dialogue, toplevel);
    } finally {
      await dialogue.connection.close();
    }
  }

  #noList(): Refusal {
    return refused(
      "notSupported",
      `${this.locator} cannot list users: Cyrus' sync protocol has no such word, so name them`,
    );
  }

  async user(userid: string): Promise<Outcome<UserState>> {
    const got = await this.#get({ kind: "user", userid });
    if (got.kind === "refused") {
      return nothingIf<UserState>(got, { ...NO_META, mailboxes: [], quotas: [] });
    }
    const answers = answersOf(got.value, ...META_KINDS, "mailbox", "quota");
    const mailboxes = await this.#statesIn(got.value);
    if (mailboxes.kind === "refused") return mailboxes;
    return ok({
      ...this.#metaOf(userid, got.value),
      mailboxes: mailboxes.value,
      quotas: answers.flatMap((one) => (one.kind === "quota" ? [one.quota] : [])),
    });
  }

  async meta(userid: string): Promise<Outcome<UserMeta>> {
    const got = await this.#get({ kind: "meta", userid });
    if (got.kind === "refused") return nothingIf(got, NO_META);
    answersOf(got.value, ...META_KINDS);
    return ok(this.#metaOf(userid, got.value));
  }

  mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    return this.#states([...new Set(names)], (part) => ({ kind: "mailboxes", names: part }));
  }

  mailboxesByUniqueid(uniqueids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    if (!can(this.#peer, "unknown uniqueids")) {
      const text = `${this.locator} cannot be asked for mailboxes by uniqueid`;
      return Promise.resolve(refused("notSupported", text));
    }
    return this.#states([...new Set(uniqueids)], (part) => ({
      kind: "uniqueids",
      uniqueids: part,
    }));
  }

  async #states(
    wanted: readonly string[],
    command: (part: readonly string[]) => GetCommand,
  ): Promise<Outcome<readonly MailboxState[]>> {
    const states: MailboxState[] = [];
    for (let at = 0; at < wanted.length; at += NAMES) {
      const got = await this.#get(command(wanted.slice(at, at + NAMES)));
      if (got.kind === "refused") {
        if (got.reason === "nonexistent") continue;
        return got;
      }
      answersOf(got.value, "mailbox");
      const found = await this.#statesIn(got.value);
      if (found.kind === "refused") return found;
      pushAll(states, found.value);
    }
    return ok(states);
  }

  async #statesIn(reply: Reply): Promise<Outcome<MailboxState[]>> {
    const states = reply.answers.flatMap((one) =>
      one.kind === "mailbox" ? [plain(one.state)] : [],
    );
    for (const state of states) this.#memory.learn(state);
    const shown = this.#hidesSieve
      ? states.filter(({ type }) => type?.startsWith("f") !== true)
      : states;
    const whole: MailboxState[] = [];
    for (const asked of await Promise.all(shown.map((state) => this.#whole(state)))) {
      if (asked.kind === "refused") return asked;
      whole.push(asked.value);
    }
    return ok(whole);
  }

  /** With its annotations, where the server does not tell them in the same line. */
  async #whole(state: MailboxState): Promise<Outcome<MailboxState>> {
    if (can(this.#peer, "annotations within MAILBOX")) return ok(state);
    const got = await this.annotations(state.name);
    return got.kind === "refused" ? got : ok({ ...state, annotations: got.value });
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const got = await this.#get({ kind: "fullmailbox", name });
    if (got.kind === "refused") return this.#placeholder(name, got);
    const answers = answersOf(got.value, "mailbox");
    const [answer] = answers;
    if (answer === undefined || answers.length > 1) {
      const count = plural(answers.length, "mailbox", "mailboxes");
      throw new AppError("protocol", `${this.locator} answers with ${count} for ${name}`);
    }
    this.#memory.learn(answer.state);
    const { records = [] } = answer;
    const state = await this.#whole(plain(answer.state));
    if (state.kind === "refused") return state;
    return ok({ state: state.value, records: recordsOf(ascending(records, name)) });
  }

  /** To a Cyrus a name that only holds a place in the tree is listed, and never read. */
  async #placeholder(name: string, refusal: Refusal): Promise<Outcome<MailboxReading>> {
    if (refusal.reason !== "nonexistent") return refusal;
    const listed = await this.mailboxes([name]);
    if (listed.kind === "refused") return listed;
    const [state] = listed.value;
    if (state === undefined || !isIntermediate(state)) return refusal;
    return ok({ state, records: recordsOf([]) });
  }

  async message(address: MessageAddress): Promise<Outcome<MessageContent>> {
    const { mailbox, uniqueid, uid, guid } = address;
    const partition = this.#memory.partitionFor(
      address.partition ?? this.#memory.find(mailbox)?.partition ?? null,
    );
    const received = new ReceivedMessage();
    const command: GetCommand = { kind: "fetch", mailbox, uniqueid, partition, uid, guid };
    const got = await this.#get(command, received);
    if (got.kind === "refused") return got;
    const where = `message ${uid} of ${mailbox}`;
    const [answer] = answersOf(got.value, "message");
    if (answer === undefined) return refused("nonexistent", `There is no ${where}`);
    if (answer.file === null) {
      return refused("damaged", `${where}: the server cannot give it, or finds it damaged`);
    }
    const digest = received.digest();
    if (received.guid === guid && digest === guid) return ok(received.content());
    received.release();
    return refused("damaged", `${where} should be ${guid} and came as ${digest}`);
  }

  objectionTo(mailbox: MailboxState): Refusal | undefined {
    return objectionTo(this.#peer, mailbox);
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    // 3.6 answers GET ANNOTATION with nothing where a mailbox lies by uuid: its own line does say.
    if (name !== "" && can(this.#peer, "annotations within MAILBOX")) {
      const found = await this.mailboxes([name]);
      return found.kind === "refused" ? found : ok(found.value[0]?.annotations ?? []);
    }
    const got = await this.#get({ kind: "annotation", name });
    if (got.kind === "refused") return nothingIf(got, []);
    return ok(answersOf(got.value, "annotation").map(({ annotation }) => annotation));
  }

  async quota(root: string): ReturnType<WritablePlace["quota"]> {
    const got = await this.#get({ kind: "quota", root });
    if (got.kind === "refused") return nothingIf(got, undefined);
    return ok(answersOf(got.value, "quota")[0]?.quota);
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    const calledThere = this.#memory.scriptThere(userid, filename);
    const got = await this.#get({ kind: "fetchSieve", userid, filename: calledThere });
    if (got.kind === "refused") return got;
    const [script] = answersOf(got.value, "sieveContent");
    if (script !== undefined) return ok(script.content);
    return refused("nonexistent", `User ${userid} has no script ${filename}`);
  }

  #metaOf(userid: string, { answers }: Reply): UserMeta {
    const files = answers.flatMap((one) => (one.kind === "sieve" ? [one.file] : []));
    return {
      seen: answers.flatMap((one) => (one.kind === "seen" ? [one.seen] : [])),
      subscriptions: answers.flatMap((one) => (one.kind === "subscriptions" ? one.names : [])),
      sieve: files.map((file) => {
        const filename = decodeScriptName(file.filename);
        const isOther = filename !== file.filename && this.#peer.software === "cyrus";
        if (!isOther) return file;
        this.#memory.noteScript(userid, filename, file.filename);
        return { ...file, filename };
      }),
    };
  }

  /** Notes what a Cyrus calls the scripts of a user; links that take messages are not told. */
  async #listScripts(userid: string): Promise<void> {
    if (this.#peer.software !== "cyrus") return;
    const { dialogue } = await openLink({ ...this.#parts.options, sieve: "files" }, "read");
    try {
      this.#metaOf(userid, await dialogue.command("GET", printGet({ kind: "meta", userid })));
    } finally {
      await dialogue.connection.close();
    }
  }

  openSession(): Promise<PlaceSession> {
    const session = new SyncSession({
      open: () => openLink(this.#parts.options, "write"),
      memory: this.#memory,
      locator: this.locator,
      listScripts: (userid) => this.#listScripts(userid),
    });
    return session.connect().then(() => session);
  }

  close(): Promise<void> {
    return this.#parts.reads.close();
  }

  #get(command: GetCommand, files?: FileTaker): Promise<Outcome<Reply>> {
    const { reads, signal } = this.#parts;
    return reads.get(command, { files, signal });
  }
}

const META_KINDS = ["seen", "subscriptions", "sieve"] as const;
const NO_META: UserMeta = { seen: [], subscriptions: [], sieve: [] };

/** A placeholder of the tree has no ACL: servers say so as an empty one. */
function plain(state: MailboxState): MailboxState {
  return isIntermediate(state) && state.acl === "" ? { ...state, acl: null } : state;
}

/** What is not there is nothing where a place must not refuse it. */
function nothingIf<Value>(refusal: Refusal, nothing: Value): Outcome<Value> {
  return refusal.reason === "nonexistent" ? ok(nothing) : refusal;
}

/** Records by UID: the protocol promises an order that nobody checks. */
function ascending(records: readonly MailRecord[], name: string): readonly MailRecord[] {
  const sorted = records.toSorted((left, right) => left.uid - right.uid);
  sorted.forEach((record, at) => {
    if (record.uid === sorted[at + 1]?.uid) {
      throw new AppError("protocol", `${name} has two records of uid ${record.uid}`);
    }
  });
  return sorted;
}
