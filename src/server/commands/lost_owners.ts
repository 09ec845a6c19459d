/**
 * Owners whose mail the store has lost: its registry knows of their mailboxes, and their folder is
 * gone. They are answered as absent to clients that push, which brings them anew, and refused to
 * clients that take absence for a deletion (`LOST_OWNERS`).
 */
import { mayTouchMailbox } from "../../accounts/scope.ts";
import type { ApplyRequest } from "../../formats/sync/apply_command.ts";
import { LOST_OWNERS } from "../../formats/sync/capabilities.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { type Owner, parseName } from "../../model/names.ts";
import { type Outcome, ok, type Refusal } from "../../model/outcome.ts";
import type { UnreadableOwner, WritablePlace } from "../../places/place.ts";
import type { CommandContext } from "../session/context.ts";

type Readable = Pick<WritablePlace, "owners" | "lost">;

/** Why `owners` cannot be read: one of them is lost. */
export async function refusalIfLost(
  owners: readonly Owner[],
  place: Readable,
): Promise<Refusal | undefined> {
  const lost = owners.length === 0 ? undefined : await place.lost?.(owners);
  return lost?.kind === "ok" ? lost.value[0]?.refusal : lost;
}

/** All owners of a place, those who are lost too. */
export async function ownersAndLost(place: Readable): Promise<Outcome<AsyncIterable<Owner>>> {
  const [owners, lost] = [await place.owners(), (await place.lost?.()) ?? ok([])];
  if (owners.kind === "refused") return owners;
  return lost.kind === "refused" ? lost : ok(joined(owners.value, lost.value));
}

async function* joined(
  owners: AsyncIterable<Owner>,
  lost: readonly UnreadableOwner[],
): AsyncGenerator<Owner> {
  yield* owners;
  for (const { owner } of lost) yield owner;
}

/** Why a command that reads is not answered: an owner that it names is lost. */
export async function lostIn(
  command: GetCommand | ApplyRequest,
  { place, modes, scope }: Pick<CommandContext, "place" | "modes" | "scope">,
): Promise<Refusal | undefined> {
  if (!modes.enabled.has(LOST_OWNERS)) return undefined;
  return refusalIfLost(
    ownersNamed(command, (name) => mayTouchMailbox(scope, name)),
    place,
  );
}

/** Those whose absence the answer could tell. What is fetched is refused where it is not there. */
function ownersNamed(
  command: GetCommand | ApplyRequest,
  isAllowed: (name: string) => boolean,
): readonly Owner[] {
  switch (command.kind) {
    case "user":
    case "meta":
      return [{ kind: "user", userid: command.userid }];
    case "shared":
      return [{ kind: "shared", toplevel: command.toplevel }];
    case "mailboxes":
      return command.names.filter(isAllowed).map((name) => parseName(name).owner);
    case "fullmailbox":
    case "annotation":
      return command.name === "" ? [] : [parseName(command.name).owner];
    default:
      return [];
  }
}

/** Says in the log that a user who is answered as absent is none who has never been here. */
export async function tellIfLost(
  userid: string,
  { place, log }: Pick<CommandContext, "place" | "log">,
): Promise<void> {
  const lost = await refusalIfLost([{ kind: "user", userid }], place);
  if (lost === undefined) return;
  const facts = { user: userid, why: lost.text };
  log.write("error", "Mail of a user is lost: it is answered as absent, to be sent anew", facts);
}
