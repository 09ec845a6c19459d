/** The owners that a command works on: those named, or all that the places list. */
import { breathe } from "../core/breathe.ts";
import { AppError } from "../core/errors.ts";
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
    throw new AppError("usage", `Cannot list the users of ${whose}: name them`);
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
