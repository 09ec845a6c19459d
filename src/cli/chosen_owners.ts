/** Whom a command is about: users by name, or all that the places can list. */
import { AppError } from "../core/errors.ts";
import { type Owner, ownerKey } from "../model/names.ts";
import type { Place } from "../places/place.ts";
import { bytesOfArgument } from "./mailbox_names.ts";
import { granted } from "./refusal_error.ts";

export interface OwnerChoice {
  /** As written on the command line; empty for all. */
  readonly users: readonly string[];
  /** The names are those of shared toplevels. */
  readonly shared: boolean;
}

/** Each owner once: those named, or all of the first place and of what the others can list. */
export async function* chosenOwners(
  { users, shared }: OwnerChoice,
  places: readonly Place[],
): AsyncGenerator<Owner, void> {
  const names = new Set(users.map(bytesOfArgument));
  for (const name of names) {
    yield shared ? { kind: "shared", toplevel: name } : { kind: "user", userid: name };
  }
  if (names.size > 0) return;
  const [first] = places;
  if (first === undefined || !first.holds.userList) {
    const whose = first === undefined ? "either place" : first.locator;
    throw new AppError("usage", `Cannot list the users of ${whose}: name them`);
  }
  const seen = new Set<string>();
  for (const place of places.filter(({ holds }) => holds.userList)) {
    for await (const owner of granted(await place.owners())) {
      const key = ownerKey(owner);
      if (seen.has(key)) continue;
      seen.add(key);
      yield owner;
    }
  }
}

/** Everybody on a list. */
export interface ListedOwners {
  readonly owners: readonly Owner[];
  /** Why the list breaks off after them. */
  readonly broken: AppError | undefined;
}

/** The list up to where it breaks off. Throws AppError for one of which nothing can be had. */
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
