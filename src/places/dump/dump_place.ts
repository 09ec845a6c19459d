/**
 * A dump as a place: a file, or stdin and stdout. It is read once from end to end, and what its sums do not vouch for is
 * not there: owners who were not complete when it was cut or altered. Then each answer comes from where it stands.
 *
 * As a place that is written it is a log of what was sent; `finished` says that an owner is complete, and what of him
 * could not be had: whoever reads the dump is told of that as of what cannot be read. An owner of whom that was never
 * said is not there. It checks identities, and that every message was sent; sums of mailboxes and states are for
 * whoever applies the dump.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { AppError, errnoOf } from "../../core/errors.ts";
import { readAt } from "../../core/files.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import type { MissingInDump } from "../../formats/sync/dump_line.ts";
import { beginSha1, sha1Of } from "../../hash/sha1.ts";
import type { Annotation } from "../../model/annotation.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import type {
  MailboxState,
  OwnedMailboxes,
  SieveFile,
  UnreadableMailbox,
  UserMeta,
  UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner, ownerName, sameOwner } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import {
  ALL_HELD,
  type MailboxReading,
  type MessageAddress,
  type MessageContent,
  type Place,
  type PlaceSession,
  type WritablePlace,
} from "../place.ts";
import { Catalogue, type DumpedOwner } from "./dump_contents.ts";
import { createDumpFile, createSpool, DumpFile, keepDumpFile, requireNoDump } from "./dump_file.ts";
import { dumpedRecords } from "./dump_records.ts";
import { DumpSession } from "./dump_session.ts";
import { type Range, scanDump } from "./scan.ts";

const STDIN = 0;
const CHUNK_BYTES = 256 * 1024;

/** Why the rest of a dump is not believed. */
interface Damage {
  readonly text: string;
  /** Owners of whom something had come, and not all. */
  readonly owners: readonly Owner[];
}

/**
 * Opens a dump to be read; `-` is stdin. One that is damaged is a place with those who were complete before it: asking
 * for the list of owners tells of the damage, and so does asking for anybody who is not there. Throws AppError
 * (not_found, io), (bad_data) for what is no dump at all.
 */
export function openDumpPlace(path: string, limits: Limits = DEFAULT_LIMITS): Place {
  const fd = path === "-" ? spoolOfStdin() : openDump(path);
  const locator = `dump:${path}`;
  try {
    const catalogue = new Catalogue();
    const damage = readDump(fd, { catalogue, locator, limits });
    return new DumpPlace({ fd, locator, catalogue, damage, output: undefined });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Begins a dump; `-` is stdout. The file must not be there yet, and is there once `close` has ended it. Throws AppError
 * (cannot_create).
 */
export function createDumpPlace(path: string): WritablePlace {
  const toStdout = path === "-";
  const fd = toStdout ? createSpool() : createDumpFile(path);
  const locator = `dump:${path}`;
  const ended = () => {
    if (!toStdout) keepDumpFile(fd, path);
  };
  const output = new DumpFile({ fd, locator, toStdout, ended });
  return new DumpPlace({ fd, locator, catalogue: new Catalogue(), damage: undefined, output });
}

/** A dump as it is before anything is written: nobody is in it. Throws AppError (cannot_create) as `createDumpPlace`. */
export function unwrittenDumpPlace(path: string): Place {
  if (path !== "-") requireNoDump(path);
  const [catalogue, locator] = [new Catalogue(), `dump:${path}`];
  return new DumpPlace({
    fd: createSpool(),
    locator,
    catalogue,
    damage: undefined,
    output: undefined,
  });
}

function openDump(path: string): number {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (error) {
    const code = errnoOf(error) === "ENOENT" ? "not_found" : "io";
    throw new AppError(code, `Cannot read dump ${path}: ${errnoOf(error)}`, { cause: error });
  }
  throw new AppError("not_found", `Cannot read dump ${path}: it is no file`);
}

/** A dump is gone through more than once: what comes from a pipe is kept in a file without a name. */
function spoolOfStdin(): number {
  const fd = createSpool();
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const got = readPipe(chunk);
    if (got === 0) return fd;
    for (let at = 0; at < got; ) at += writeSync(fd, chunk, at, got - at);
  }
}

function readPipe(chunk: Uint8Array): number {
  for (;;) {
    try {
      return readSync(STDIN, chunk, 0, chunk.length, null);
    } catch (error) {
      if (errnoOf(error) === "EOF") return 0;
      if (errnoOf(error) !== "EAGAIN") throw error;
      Bun.sleepSync(2);
    }
  }
}

interface Reading {
  readonly catalogue: Catalogue;
  readonly locator: string;
  readonly limits: Limits;
}

function readDump(fd: number, { catalogue, locator, limits }: Reading): Damage | undefined {
  for (const line of scanDump(fd, limits)) {
    switch (line.kind) {
      case "command": {
        for (const file of line.files) catalogue.addMessage(file.guid, file);
        const { command } = line;
        const isPlain = !("guids" in command) && isChange(command);
        if (isPlain) catalogue.apply(ownBytes(command), line);
        break;
      }
      case "complete":
        catalogue.complete(line.owner, line.missing);
        break;
      case "damage": {
        if (line.offset === 0) {
          throw new AppError("bad_data", `${locator} is no dump: ${line.why}`);
        }
        const owners = catalogue.dropIncomplete();
        return { text: `${locator} is damaged at byte ${line.offset}: ${line.why}`, owners };
      }
    }
  }
  const owners = catalogue.dropIncomplete();
  if (owners.length === 0) return undefined;
  const names = owners.map((one) => ownerName(one)).join(", ");
  return { text: `${locator} was not finished for ${names}`, owners };
}

function isChange(command: { readonly kind: string }): command is ApplyCommand {
  return !["reserve", "message", "force", "capabilities"].includes(command.kind);
}

/** Annotations with memory of their own: else each keeps a whole chunk of the file. */
function ownBytes(command: ApplyCommand): ApplyCommand {
  if (command.kind !== "mailbox") return command;
  const annotations = command.state.annotations.map((one) => ({
    ...one,
    value: one.value.slice(),
  }));
  return { ...command, state: { ...command.state, annotations } };
}

interface DumpPlaceOptions {
  readonly fd: number;
  readonly locator: string;
  readonly catalogue: Catalogue;
  readonly damage: Damage | undefined;
  readonly output: DumpFile | undefined;
}

class DumpPlace implements WritablePlace {
  readonly locator: string;
  readonly holds = ALL_HELD;
  readonly #options: DumpPlaceOptions;

  constructor(options: DumpPlaceOptions) {
    this.locator = options.locator;
    this.#options = options;
  }

  get #catalogue(): Catalogue {
    return this.#options.catalogue;
  }

  owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    return Promise.resolve(ok(this.#owners()));
  }

  async *#owners(): AsyncGenerator<Owner> {
    for (const { owner } of this.#catalogue.owners()) yield owner;
    const { damage } = this.#options;
    if (damage === undefined) return;
    throw new AppError("bad_data", damage.text, { hint: "Those before the damage are complete" });
  }

  async user(userid: string): Promise<Outcome<UserState>> {
    const found = this.#find({ kind: "user", userid });
    if (found.kind === "refused") return found;
    const owned = this.#owned(found.value);
    return ok({ ...metaOf(found.value), ...owned, quotas: quotasOf(found.value) });
  }

  async meta(userid: string): Promise<Outcome<UserMeta>> {
    const found = this.#find({ kind: "user", userid });
    return found.kind === "refused" ? found : ok(metaOf(found.value));
  }

  /** Who is not there may be behind the damage: that is not the same as nobody. */
  #find(owner: Owner): Outcome<DumpedOwner | undefined> {
    const found = this.#catalogue.find(owner);
    const { damage } = this.#options;
    if (damage === undefined) return ok(found);
    const isCut = damage.owners.some((one) => sameOwner(one, owner));
    return found === undefined || isCut ? this.#damaged() : ok(found);
  }

  #owned(owner: DumpedOwner | undefined): OwnedMailboxes {
    if (owner === undefined) return { mailboxes: [] };
    const mailboxes = [...owner.mailboxes.values()].map(({ state }) => state);
    const unreadable = owner.missing.map((one) => ({ ...one, refusal: this.#missing(one) }));
    return unreadable.length === 0 ? { mailboxes } : { mailboxes, unreadable };
  }

  #missing({ name }: MissingInDump): Refusal {
    const text = `${externalName(name)} could not be had when ${this.locator} was made`;
    return refused("damaged", text);
  }

  #damaged(): Refusal {
    return refused("damaged", this.#options.damage?.text ?? this.locator);
  }

  async mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const found = [...new Set(names)].map((name) => this.#catalogue.mailbox(name)?.state);
    return ok(found.filter((state) => state !== undefined));
  }

  async mailboxesByUniqueid(ids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const found = [...new Set(ids)].map((id) => this.#catalogue.mailboxById(id)?.state);
    return ok(found.filter((state) => state !== undefined));
  }

  async sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    const found = this.#find({ kind: "shared", toplevel });
    return found.kind === "refused" ? found : ok(this.#owned(found.value));
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const mailbox = this.#catalogue.mailbox(name);
    if (mailbox === undefined) return this.#nothing(`There is no mailbox ${name}`);
    const records = dumpedRecords(this.#options.fd, mailbox.changes);
    return ok({ state: mailbox.state, records });
  }

  #nothing(text: string): Refusal {
    return this.#options.damage === undefined ? refused("nonexistent", text) : this.#damaged();
  }

  async message({ guid, mailbox, uid }: MessageAddress): Promise<Outcome<MessageContent>> {
    const range = this.#catalogue.message(guid);
    const where = `message ${uid} of ${mailbox}`;
    if (range === undefined) return this.#nothing(`There is no ${where}`);
    const { fd } = this.#options;
    const hash = beginSha1();
    for (const chunk of chunksOf(fd, range)) hash.update(chunk);
    const digest = hash.digest();
    if (digest !== guid) return refused("damaged", `${where} should be ${guid} and is ${digest}`);
    return ok({ size: range.end - range.start, chunks: () => chunksOf(fd, range) });
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return ok(this.#catalogue.mailbox(name)?.state.annotations ?? []);
  }

  async quota(root: string): ReturnType<WritablePlace["quota"]> {
    for (const { quotas } of this.#catalogue.owners()) {
      const found = quotas.get(root);
      if (found !== undefined) return ok(found);
    }
    return ok(undefined);
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    const found = this.#find({ kind: "user", userid });
    if (found.kind === "refused") return found;
    const script = found.value?.scripts.get(filename);
    if (script !== undefined) return ok(script.content);
    return refused("nonexistent", `User ${userid} has no script ${filename}`);
  }

  async openSession(): Promise<PlaceSession> {
    const { output, catalogue } = this.#options;
    if (output !== undefined) return new DumpSession({ output, catalogue });
    throw new AppError("refused", `${this.locator} was opened to be read`);
  }

  async finished(owner: Owner, unread: readonly UnreadableMailbox[]): Promise<void> {
    const { output, catalogue } = this.#options;
    if (output === undefined) return;
    const missing = listOfMissing(unread);
    if (catalogue.find(owner) === undefined && missing.length === 0) return;
    await output.complete(owner, missing);
    catalogue.complete(owner, missing);
  }

  async close(): Promise<void> {
    const { output, fd } = this.#options;
    if (output === undefined) return closeSync(fd);
    try {
      await output.end();
    } finally {
      await output.close();
    }
  }
}

/** A CHECK has only so much room: the last of a long list has no uniqueid, and stands for anything. */
function listOfMissing(unread: readonly UnreadableMailbox[]): MissingInDump[] {
  const missing = unread
    .slice(0, MOST_MISSING)
    .map(({ name, uniqueid }) => (uniqueid === undefined ? { name } : { name, uniqueid }));
  const [last] = unread.slice(MOST_MISSING);
  return last === undefined ? missing : [...missing, { name: last.name }];
}

const MOST_MISSING = 100;

function quotasOf(owner: DumpedOwner | undefined) {
  return owner === undefined ? [] : [...owner.quotas.values()];
}

function metaOf(owner: DumpedOwner | undefined): UserMeta {
  if (owner === undefined) return { seen: [], subscriptions: [], sieve: [] };
  return {
    seen: [...owner.seen.values()],
    subscriptions: [...owner.subscriptions],
    sieve: sieveOf(owner),
  };
}

/** The scripts, and the bytecode's name as the bearer of the active mark. */
function sieveOf({ scripts, active }: DumpedOwner): SieveFile[] {
  const files = [...scripts].map(([filename, { lastUpdate, content }]) => {
    return { filename, lastUpdate, guid: sha1Of(content), isActive: false };
  });
  if (active === undefined) return files;
  return [...files, { filename: active, lastUpdate: 0, guid: "0".repeat(40), isActive: true }];
}

function* chunksOf(fd: number, { start, end }: Range): Generator<Uint8Array> {
  for (let at = start; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    const got = readAt(fd, chunk, at);
    if (got === 0) throw new AppError("io", `The dump ends at byte ${at}, within a message`);
    yield chunk.subarray(0, got);
    at += got;
  }
}
