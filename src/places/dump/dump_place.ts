/**
 * A dump as a place: a file, or stdin and stdout. A dump is read once from end to end. Where it was
 * cut off or altered, its checksums tell, and owners who were not complete before that point are
 * left out. Records, messages and scripts are then read from where they stand in the file.
 *
 * A dump that is written is a log of what was sent. `finished` writes that an owner is complete,
 * and what of this owner could not be read at the source: a reader of the dump takes that for
 * mailboxes that cannot be read. An owner for whom `finished` was never called is not in the dump.
 * Commands must fit the ones before them, and every message must have been sent; sums and states
 * are checked by the place to which the dump is brought.
 */
import { closeSync } from "node:fs";
import { AppError } from "../../core/errors.ts";
import { chunksOf } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { MissingInDump } from "../../formats/sync/dump_line.ts";
import { beginSha1 } from "../../hash/sha1.ts";
import type { Annotation } from "../../model/annotation.ts";
import type {
  Lost,
  MailboxState,
  OwnedMailboxes,
  UnreadableMailbox,
  UserMeta,
  UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner, parseName, sameOwner } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import {
  noContents,
  recordsOfContents,
  stateOfContents,
  userStateOf,
} from "../../model/owner_contents.ts";
import {
  ALL_HELD,
  type MailboxReading,
  type MessageAddress,
  type MessageContent,
  type Place,
  type PlaceSession,
  type WritablePlace,
} from "../place.ts";
import { DumpContents, type DumpedOwner } from "./dump_contents.ts";
import {
  createDumpFile,
  createSpool,
  DumpFile,
  dropDumpFile,
  hasEarlierDump,
  keepDumpFile,
} from "./dump_file.ts";
import { DumpSession } from "./dump_session.ts";
import { type DumpDamage, openDumpFile, readDump } from "./read_dump.ts";

/**
 * Opens a dump to be read, of which `fd` may be open already (`openDump`). A damaged dump holds the
 * owners who were complete before the damage; `owners()` ends with an error that tells of it, and
 * every owner who is not found is refused as damaged. Throws AppError (not_found, io), or
 * (bad_data) for a file that is no dump at all.
 */
export function openDumpPlace(path: string, fd: number = openDumpFile(path)): Place {
  const locator = `dump:${path}`;
  try {
    const contents = new DumpContents();
    const damage = readDump(fd, { contents, locator, limits: DEFAULT_LIMITS });
    return new DumpPlace({ fd, locator, contents, damage, output: undefined });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Begins a dump; `-` is stdout. `close` completes the dump and gives it the name, unless an earlier
 * dump has it that is to stay. Throws AppError (io), or (cannot_create) also where a file that is
 * no dump has the name.
 */
export function createDumpPlace(path: string): WritablePlace {
  const toStdout = path === "-";
  const hasEarlier = !toStdout && hasEarlierDump(path);
  let mayReplace = false;
  const replace = () => {
    mayReplace = true;
  };
  const fd = toStdout ? createSpool() : createDumpFile(path);
  const locator = `dump:${path}`;
  const ended = () => {
    if (toStdout) return;
    if (!hasEarlier && hasEarlierDump(path)) {
      throw new AppError("cannot_create", `Cannot write dump ${path}: another run has made it`);
    }
    if (hasEarlier && !mayReplace) dropDumpFile(fd, path);
    else keepDumpFile(fd, path);
  };
  const dropped = () => {
    if (!toStdout) dropDumpFile(fd, path);
  };
  try {
    const output = new DumpFile({ fd, locator, toStdout, ended, dropped });
    const contents = new DumpContents();
    const options = { fd, locator, contents, damage: undefined, output };
    return new DumpPlace({ ...options, ...(hasEarlier && { earlier: { replace } }) });
  } catch (error) {
    dropped();
    closeSync(fd);
    throw error;
  }
}

/**
 * The empty dump that a dry run writes to. Throws AppError (cannot_create) as `createDumpPlace`.
 */
export function unwrittenDumpPlace(path: string): Place {
  if (path !== "-") hasEarlierDump(path);
  const [contents, locator] = [new DumpContents(), `dump:${path}`];
  return new DumpPlace({
    fd: createSpool(),
    locator,
    contents,
    damage: undefined,
    output: undefined,
  });
}

interface DumpPlaceOptions {
  readonly fd: number;
  readonly locator: string;
  readonly contents: DumpContents;
  readonly damage: DumpDamage | undefined;
  readonly output: DumpFile | undefined;
  readonly earlier?: WritablePlace["earlier"];
}

class DumpPlace implements WritablePlace {
  readonly locator: string;
  readonly holds = ALL_HELD;
  readonly bytecode = "kept";
  readonly earlier: WritablePlace["earlier"];
  readonly #options: DumpPlaceOptions;

  constructor(options: DumpPlaceOptions) {
    this.locator = options.locator;
    this.earlier = options.earlier;
    this.#options = options;
  }

  get #contents(): DumpContents {
    return this.#options.contents;
  }

  owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    return Promise.resolve(ok(this.#owners()));
  }

  async *#owners(): AsyncGenerator<Owner> {
    for (const { owner } of this.#contents.owners()) yield owner;
    const { damage } = this.#options;
    if (damage === undefined) return;
    throw new AppError("bad_data", damage.text, { hint: "Those before the damage are complete" });
  }

  async user(userid: string): Promise<Outcome<UserState>> {
    const found = this.#find({ kind: "user", userid });
    if (found.kind === "refused") return found;
    return ok({ ...stateOf(found.value), ...this.#owned(found.value) });
  }

  async meta(userid: string): Promise<Outcome<UserMeta>> {
    const found = this.#find({ kind: "user", userid });
    if (found.kind === "refused") return found;
    const { seen, subscriptions, sieve } = stateOf(found.value);
    return ok({ seen, subscriptions, sieve });
  }

  /**
   * An owner who is not found may stand behind the damage, so the answer is not that there is none.
   */
  #find(owner: Owner): Outcome<DumpedOwner | undefined> {
    const found = this.#contents.find(owner);
    const { damage } = this.#options;
    if (damage === undefined) return ok(found);
    const isCut = damage.owners.some((one) => sameOwner(one, owner));
    return found === undefined || isCut ? this.#damaged() : ok(found);
  }

  #owned(owner: DumpedOwner | undefined): OwnedMailboxes {
    if (owner === undefined) return { mailboxes: [] };
    const { mailboxes } = stateOf(owner);
    const here = new Set(mailboxes.map(({ uniqueid }) => uniqueid));
    const missing = owner.missing.map((one) => ({ ...one, refusal: this.#missing(one) }));
    const isHere = ({ uniqueid }: MissingInDump) => uniqueid !== undefined && here.has(uniqueid);
    const { salvaged, unreadable } = Object.groupBy(missing, (one) =>
      isHere(one) ? "salvaged" : "unreadable",
    );
    return { mailboxes, ...(unreadable && { unreadable }), ...(salvaged && { salvaged }) };
  }

  #missing({ name }: MissingInDump): Refusal {
    const text = `${externalName(name)} could not be had when ${this.locator} was made`;
    return refused("damaged", text);
  }

  #damaged(): Refusal {
    return refused("damaged", this.#options.damage?.text ?? this.locator);
  }

  async mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const found = [...new Set(names)].map((name) => this.#contents.mailbox(name));
    return ok(found.filter((one) => one !== undefined).map(stateOfContents));
  }

  async mailboxesByUniqueid(ids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const found = [...new Set(ids)].map((id) => this.#contents.mailboxById(id));
    return ok(found.filter((one) => one !== undefined).map(stateOfContents));
  }

  async sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    const found = this.#find({ kind: "shared", toplevel });
    return found.kind === "refused" ? found : ok(this.#owned(found.value));
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const mailbox = this.#contents.mailbox(name);
    if (mailbox === undefined) return this.#nothing(`There is no mailbox ${name}`);
    const reading = { state: stateOfContents(mailbox), records: recordsOfContents(mailbox) };
    const { uniqueid } = reading.state;
    const owner = this.#contents.find(parseName(name).owner);
    const isPart = owner?.missing.some((one) => one.uniqueid === uniqueid) === true;
    return ok(isPart ? { ...reading, lost: ANYTHING } : reading);
  }

  #nothing(text: string): Refusal {
    return this.#options.damage === undefined ? refused("nonexistent", text) : this.#damaged();
  }

  async message({ guid, mailbox, uid }: MessageAddress): Promise<Outcome<MessageContent>> {
    const range = this.#contents.message(guid);
    const where = `message ${uid} of ${mailbox}`;
    if (range === undefined) return this.#nothing(`There is no ${where}`);
    const chunks = () => chunksOf(this.#options.fd, { ...range, name: this.locator });
    const hash = beginSha1();
    for (const chunk of chunks()) hash.update(chunk);
    const digest = hash.digest();
    if (digest !== guid) return refused("damaged", `${where} should be ${guid} and is ${digest}`);
    return ok({ size: range.end - range.start, chunks });
  }

  async annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return ok(this.#contents.mailbox(name)?.annotations.values() ?? []);
  }

  async quota(root: string): ReturnType<WritablePlace["quota"]> {
    return ok(this.#contents.find(parseName(root).owner)?.contents.quotas.get(root));
  }

  async sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    const found = this.#find({ kind: "user", userid });
    if (found.kind === "refused") return found;
    const script = found.value?.contents.scripts.get(filename);
    if (script !== undefined) return ok(script.content);
    return refused("nonexistent", `User ${userid} has no script ${filename}`);
  }

  async openSession(): Promise<PlaceSession> {
    const { output, contents } = this.#options;
    if (output !== undefined) return new DumpSession({ output, contents });
    throw new AppError("refused", `${this.locator} was opened to be read`);
  }

  async finished(owner: Owner, unread: readonly UnreadableMailbox[]): Promise<void> {
    const { output, contents } = this.#options;
    if (output === undefined) return;
    const missing = listOfMissing(unread);
    if (contents.find(owner) === undefined && missing.length === 0) return;
    await output.complete(owner, missing);
    contents.complete(owner, missing);
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

/** Of a mailbox that could not be had whole nobody knows what is missing. */
const ANYTHING: Lost = {
  parts: [],
  uids: [{ first: 1, last: Number.POSITIVE_INFINITY }],
  fields: true,
};

/**
 * A CHECK has room for a limited list. Of a longer one, the last entry has no uniqueid: it stands
 * for any mailbox of the owner.
 */
function listOfMissing(unread: readonly UnreadableMailbox[]): MissingInDump[] {
  const missing = unread
    .slice(0, MOST_MISSING)
    .map(({ name, uniqueid }) => (uniqueid === undefined ? { name } : { name, uniqueid }));
  const [last] = unread.slice(MOST_MISSING);
  return last === undefined ? missing : [...missing, { name: last.name }];
}

const MOST_MISSING = 100;

function stateOf(owner: DumpedOwner | undefined): UserState {
  return userStateOf(owner?.contents ?? noContents());
}
