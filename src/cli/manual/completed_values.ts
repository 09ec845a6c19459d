/** The values that an argument or an option can have, by the name that help gives it. */
import { readdirSync } from "node:fs";
import { readAccounts } from "../../accounts/users_file.ts";
import { AppError, errnoOf } from "../../core/errors.ts";
import { leadsToFolder } from "../../core/files.ts";
import { pushAll } from "../../core/lists.ts";
import { externalName, type Owner, ownerName, parseName } from "../../model/names.ts";
import { parseLocator, parsePlace } from "../../places/locator.ts";
import type { Place } from "../../places/place.ts";
import { tombstones } from "../../places/store/catalogue/mailbox_rows.ts";
import { Store } from "../../places/store/store.ts";
import type { CommandEnv } from "../command.ts";
import { readOwner } from "../commands/place_contents.ts";
import { ownerOfArgument, textOfName } from "../mailbox_names.ts";
import { openPlace } from "../open_place.ts";
import { granted } from "../refusal_error.ts";
import { PLACE_KINDS } from "./place_kinds.ts";
import type { Candidate, Typed, Wanted } from "./typed_line.ts";

/** Candidates of one kind; a shell asks for more of them than it can show anyway. */
const CANDIDATES = 2000;
/** Users of whom a place is asked, and how long. */
const OWNERS = 20_000;
const PATIENCE_MS = 2000;

type Values = (wanted: Wanted) => readonly Candidate[] | Promise<readonly Candidate[]>;

const files: Values = ({ current }) => paths(current);
const folders: Values = ({ current }) => paths(current).filter(({ word }) => word.endsWith("/"));

/** Keyed by the name of an argument, or of an option's value. */
const VALUES = {
  ...{ place: places, a: places, b: places, store: places, archive: places },
  ...{ user: users, mailbox: mailboxes, from: mailboxes, to: mailboxes, message: mailboxes },
  ...{ account: accounts },
  ...{ file: files, socket: files, dir: folders, folder: folders },
} satisfies Record<string, Values>;

const PLACES: ReadonlySet<string> = new Set(["place", "a", "store", "archive"]);

/** Which kinds of places a command works on, where it is not all of them. */
const KINDS_OF_COMMAND: Readonly<Record<string, readonly string[]>> = {
  ...{ list: ["backup"], verify: ["backup"], compact: ["backup"], rebuild: ["backup"] },
  fsck: ["cyrus", "store", "backup"],
  serve: ["store"],
  talk: ["sync"],
};

/** The values that go by `name`; none where it is not known, or where nothing can be read. */
export async function valuesOf(name: string, wanted: Wanted): Promise<readonly Candidate[]> {
  const values = Object.hasOwn(VALUES, name) ? VALUES[name as keyof typeof VALUES] : undefined;
  try {
    return (await values?.(wanted)) ?? [];
  } catch (error) {
    if (error instanceof AppError || errnoOf(error) !== undefined) return []; // Tab says nothing
    throw error;
  }
}

function places({ current, typed }: Wanted): readonly Candidate[] {
  const { command } = typed;
  const kinds = command.parent?.name() === "store" ? ["store"] : KINDS_OF_COMMAND[command.name()];
  const schemes = PLACE_KINDS.filter(({ kind }) => kinds?.includes(kind) ?? true);
  const [, scheme, path] = /^(cyrus:|store:|dump:|backup:)(.*)$/s.exec(current) ?? [];
  if (scheme !== undefined && path !== undefined) {
    return paths(path).map(({ word }) => ({ word: `${scheme}${word}` }));
  }
  return [...schemes.map(({ scheme: word, is }) => ({ word, tells: is })), ...paths(current)];
}

/** Files and folders that begin with `current`; hidden ones only where it asks for them. */
function paths(current: string): readonly Candidate[] {
  const at = current.lastIndexOf("/") + 1;
  const [folder, start] = [current.slice(0, at), current.slice(at)];
  const home = process.env["HOME"] ?? "~";
  const found = readdirSync(folder === "" ? "." : folder.replace(/^~(?=\/)/, home), {
    withFileTypes: true,
  });
  const named = found.filter(
    ({ name }) => name.startsWith(start) && (start !== "" || !name.startsWith(".")),
  );
  return named.slice(0, CANDIDATES).map((entry) => {
    const isFolder =
      entry.isDirectory() || (entry.isSymbolicLink() && leadsToFolder(`${folder}${entry.name}`));
    return { word: `${folder}${entry.name}${isFolder ? "/" : ""}` };
  });
}

function accounts({ typed }: Wanted): readonly Candidate[] {
  const path = typed.values.get("--users-file");
  return path === undefined ? [] : [...readAccounts(path).byName.keys()].map((word) => ({ word }));
}

async function users({ typed, env }: Wanted): Promise<readonly Candidate[]> {
  const kind = typed.flags.has("--shared") ? "shared" : "user";
  return withPlace(typed, env, async (place) => {
    const owners = (await ownersOf(place)).filter((owner) => owner.kind === kind);
    return owners.map((owner) => ({ word: textOfName(ownerName(owner)) }));
  });
}

/** Names of mailboxes: of the user who is named before, else of those whom `current` may mean. */
async function mailboxes({ current, typed, env }: Wanted): Promise<readonly Candidate[]> {
  const { command, args, values } = typed;
  const at = command.registeredArguments.findIndex((one) => one.name() === "user");
  const user = values.get("--user") ?? args[at];
  if (command.name() === "undelete") return deletedMailboxes(typed, current);
  const end = command.name() === "cat" ? "/" : ""; // the UID follows
  return withPlace(typed, env, async (place) => {
    if (user !== undefined) {
      const owner = ownerOfArgument(user, { shared: typed.flags.has("--shared") });
      const names = await mailboxesOf(owner, place);
      const short = names.map(withoutUser);
      const isShort = short.some((name) => name.startsWith(current));
      return (isShort ? short : names).map((word) => ({ word }));
    }
    const owners = (await ownersOf(place)).filter((owner) => mayMean(current, owner));
    if (owners.length > FEW) return owners.map((owner) => ({ word: rootOf(owner) }));
    const names: string[] = [];
    for (const owner of owners) pushAll(names, await mailboxesOf(owner, place));
    return names.map((word) => ({ word: `${word}${end}` }));
  });
}

/** Names of mailboxes that can be undeleted. */
function deletedMailboxes({ args }: Typed, current: string): readonly Candidate[] {
  const store = new Store(parseLocator(args[0] ?? "").path, { access: "read" });
  try {
    const owners = store.owners().filter((owner) => mayMean(current, owner));
    const found = owners.flatMap((owner) => store.find(owner)?.read(tombstones) ?? []);
    return found.slice(0, CANDIDATES).map(({ name }) => ({ word: externalName(name) }));
  } finally {
    store.close();
  }
}

/** Up to so many users are listed with their mailboxes, more by their names alone. */
const FEW = 5;

/** True where the name of a mailbox that begins with `current` may be one of this owner's. */
function mayMean(current: string, owner: Owner): boolean {
  const names = [rootOf(owner), `user/${textOfName(ownerName(owner))}`];
  return names.some((name) => name.startsWith(current) || current.startsWith(`${name}/`));
}

/** The name of an owner's first mailbox, mostly. */
function rootOf(owner: Owner): string {
  const name = textOfName(ownerName(owner));
  return owner.kind === "shared" || name.includes("@") ? name : `user/${name}`;
}

/** `Sent` for `user/ann/Sent`, as a command takes it after the user's name. */
function withoutUser(name: string): string {
  const [, ...folders] = name.replace(/^user\//, "").split("/");
  return folders.length === 0 ? "INBOX" : folders.join("/");
}

async function mailboxesOf(owner: Owner, place: Place): Promise<readonly string[]> {
  const { states } = await readOwner(owner, place);
  const live = states.filter(({ name }) => !parseName(name).isDeleted);
  return live.slice(0, CANDIDATES).map(({ name }) => externalName(name));
}

async function ownersOf(place: Place): Promise<readonly Owner[]> {
  const owners: Owner[] = [];
  if (!place.holds.userList) return owners;
  const endMs = performance.now() + PATIENCE_MS;
  for await (const owner of granted(await place.owners())) {
    owners.push(owner);
    if (owners.length >= OWNERS || performance.now() > endMs) break;
  }
  return owners;
}

/** Opens the place that was typed. One on another machine is left alone: Tab uses no network. */
async function withPlace(
  { command, args, values }: Typed,
  env: CommandEnv,
  list: (place: Place) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const at = command.registeredArguments.findIndex((one) => PLACES.has(one.name()));
  const text = values.get("--from") ?? args[at];
  if (text === undefined || parsePlace(text).kind === "sync" || text === "dump:-") return [];
  const output = { ...env.output, talk: () => undefined };
  const place = await openPlace(text, { output });
  try {
    return await list(place);
  } finally {
    await place.close();
  }
}
