/** The owners that a command works on: those named, or all that the places list. */
import type { Command } from "commander";
import { breathe } from "../core/breathe.ts";
import { textOf } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { readToEnd } from "../core/given_file.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { type Owner, ownerKey } from "../model/names.ts";
import { parsePlace } from "../places/locator.ts";
import type { Place } from "../places/place.ts";
import { ownerOfArgument } from "./mailbox_names.ts";
import { granted } from "./refusal_error.ts";

export interface OwnerChoice {
  /** Names from the command line; empty means all. */
  readonly users: readonly string[];
  /** The names are those of shared top levels, not of users. */
  readonly shared: boolean;
}

/** Declares the option whose value `namedUsers` reads. */
export function usersFromOption(command: Command): Command {
  return command.option(
    "--users-from <file>",
    "users, one a line, for places that cannot list theirs; - is stdin",
  );
}

/**
 * The users that arguments and the file of `--users-from` name; empty lines and those that begin
 * with # are passed over. Throws AppError: io, or not_found where the file names nobody.
 */
export async function namedUsers(
  users: readonly string[],
  { usersFrom, ...options }: Readonly<Record<string, unknown>>,
): Promise<readonly string[]> {
  if (typeof usersFrom !== "string") return users;
  if (usersFrom === "-" && Object.values(options).includes("-")) {
    throw new AppError("usage", "Cannot read both users and a password from stdin");
  }
  const given = await readToEnd(usersFrom, DEFAULT_LIMITS.userListBytes);
  if ("problem" in given) {
    const text = `Cannot read the users in ${usersFrom}: ${given.problem}`;
    throw new AppError("io", text, { cause: given.cause });
  }
  const lines = (textOf(given.bytes) ?? "").split("\n").map((line) => line.trim());
  const listed = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (listed.length > 0) return [...users, ...listed];
  throw new AppError("not_found", `Cannot find the name of any user in ${usersFrom}`);
}

/** Yields each owner once: those named, or all that the places can list. */
export async function* chosenOwners(
  { users, shared }: OwnerChoice,
  places: readonly Place[],
): AsyncGenerator<Owner, void> {
  const seen = new Set<string>();
  const isFirst = (owner: Owner): boolean => {
    const key = ownerKey(owner);
    return !seen.has(key) && seen.add(key).has(key);
  };
  yield* users.map((user) => ownerOfArgument(user, { shared })).filter(isFirst);
  if (users.length > 0) return;
  const [first] = places;
  if (first === undefined || !first.holds.userList) {
    const whose = first === undefined ? "either place" : first.locator;
    throw new AppError("usage", `Cannot list the users of ${whose}: name them`, {
      hint: "--users-from FILE takes the names from a file, one a line",
    });
  }
  for (const place of places.filter(({ holds }) => holds.userList)) {
    for await (const owner of granted(await place.owners())) {
      await breathe();
      if (isFirst(owner)) yield owner;
    }
  }
}

/**
 * Throws AppError (not_found) for a place that can list its users and has none: a disk may be
 * missing. A store proves itself by a file of its own, so that nobody means nobody there.
 */
export async function requireSomebody(place: Place): Promise<void> {
  if (!place.holds.userList || parsePlace(place.locator).kind === "store") return;
  for await (const _ of granted(await place.owners())) return;
  throw new AppError("not_found", `Cannot find any user or shared mailbox in ${place.locator}`, {
    hint: "If that is as it should be, replicate takes it with --allow-empty",
  });
}

/** The owners that a place has listed. */
export interface ListedOwners {
  readonly owners: readonly Owner[];
  /** The error that ended the list early, if there was one. */
  readonly broken: AppError | undefined;
}

/** Reads a list up to its first error, which is thrown if nobody was listed before it. */
export async function listOwners(list: AsyncIterable<Owner>): Promise<ListedOwners> {
  const owners: Owner[] = [];
  try {
    for await (const owner of list) owners.push(owner);
  } catch (error) {
    if (!(error instanceof AppError) || owners.length === 0) throw error;
    return { owners, broken: error };
  }
  return { owners, broken: undefined };
}
