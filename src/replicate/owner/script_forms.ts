/**
 * Sieve scripts are files, or the messages of a mailbox. Where two places do not both keep the same
 * form, scripts are compared and sent as files: a server that keeps them as messages takes files
 * too and makes messages of them, and its files are made here.
 */
import { concat } from "../../core/bytes.ts";
import {
  parseScriptMessage,
  type SieveScript,
  sieveFilesOf,
} from "../../formats/sieve/script_files.ts";
import { isSieveMailbox, type MailboxState, type UserState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { wrapPlace } from "../../places/wrap_place.ts";
import { scriptsOf } from "../plan/scripts.ts";
import { type Both, OTHER_SIDE, SIDES, type Side } from "../plan/sides.ts";

/** What a place holds of an owner. */
export interface Held {
  readonly place: Place;
  readonly state: UserState;
}

/**
 * Both sides with the owner's scripts in a form that both have; the places say which. Files that
 * the other side has beside such a mailbox would grow old there when only the mailbox is brought:
 * for the sides in `beside` they are made of the messages too.
 */
export async function withScriptsAlike(
  owner: Owner,
  sides: Both<Held>,
  { beside = [] }: { readonly beside?: readonly Side[] } = {},
): Promise<Both<Held>> {
  if (owner.kind !== "user") return sides;
  const { userid } = owner;
  const isInstead = goAsFiles(sides);
  const needs = (side: Side) => hasMails(sides[side]) && hasBoth(sides[OTHER_SIDE[side]]);
  const made: readonly Side[] = isInstead ? SIDES : beside.filter(needs);
  if (made.length === 0) return sides;
  const form = { sieveMailboxes: !isInstead };
  const formOf = async (side: Side): Promise<Held> =>
    made.includes(side) ? asFiles(userid, sides[side], form) : sides[side];
  return { a: await formOf("a"), b: await formOf("b") };
}

function hasBoth({ place, state: { sieve, mailboxes } }: Held): boolean {
  const isHeld = place.holds.sieveFiles && place.holds.sieveMailboxes;
  return isHeld && scriptsOf(sieve).length > 0 && mailboxes.some(isSieveMailbox);
}

/** True where the scripts are messages, and there are no files of them. */
function hasMails({ state: { sieve, mailboxes } }: Held): boolean {
  return mailboxes.some(isSieveMailbox) && scriptsOf(sieve).length === 0;
}

function goAsFiles(sides: Both<Held>): boolean {
  const canBe = ({ place, state }: Held): boolean =>
    place.holds.sieveFiles || place.mailsScripts === true || state.mailboxes.some(isSieveMailbox);
  if (!SIDES.every((side) => canBe(sides[side]))) return false;
  if (!SIDES.every((side) => sides[side].place.holds.sieveMailboxes)) {
    return SIDES.some((side) => lacksFiles(sides[side]));
  }
  return SIDES.some((side) => {
    const { sieve, mailboxes } = sides[side].state;
    const hasFilesOnly = scriptsOf(sieve).length > 0 && !mailboxes.some(isSieveMailbox);
    return hasFilesOnly && !sides[OTHER_SIDE[side]].place.holds.sieveFiles;
  });
}

function lacksFiles(held: Held): boolean {
  return hasMails(held) || !held.place.holds.sieveFiles;
}

async function asFiles(
  userid: string,
  { place, state }: Held,
  form: { readonly sieveMailboxes: boolean },
): Promise<Held> {
  const holds = { ...place.holds, sieveFiles: true, ...form };
  const mailbox = lacksFiles({ place, state }) ? state.mailboxes.find(isSieveMailbox) : undefined;
  const found = mailbox === undefined ? ok([]) : await scriptsIn(mailbox, place);
  if (found.kind === "refused") {
    const flawed = [...(state.flawed ?? []), { setting: "scripts", refusal: found } as const];
    return { place: wrapPlace(place, () => ({ holds })), state: { ...state, flawed } };
  }
  const contents = new Map(found.value.map(({ name, content }) => [`${name}.script`, content]));
  const wrapped = wrapPlace(place, (inner) => ({
    holds,
    sieveScript: (asked, filename) => {
      const content = asked === userid ? contents.get(filename) : undefined;
      return content === undefined
        ? inner.sieveScript(asked, filename)
        : Promise.resolve(ok(content));
    },
  }));
  if (mailbox === undefined) return { place: wrapped, state };
  return { place: wrapped, state: { ...state, sieve: sieveFilesOf(found.value) } };
}

/** The scripts that are messages of `mailbox`. */
async function scriptsIn(mailbox: MailboxState, place: Place): Promise<Outcome<SieveScript[]>> {
  const reading = await place.readMailbox(mailbox.name);
  if (reading.kind === "refused") return reading;
  const { name, uniqueid, partition } = reading.value.state;
  const scripts: SieveScript[] = [];
  for await (const batch of reading.value.records.batches()) {
    for (const { uid, guid, flags, internaldate, expunged } of batch) {
      if (expunged) continue;
      const message = await place.message({ mailbox: name, uniqueid, partition, uid, guid });
      if (message.kind === "refused") return message;
      const bytes = concat(await Array.fromAsync(message.value.chunks()));
      const script = parseScriptMessage(bytes);
      if (script === undefined) return refused("damaged", `${name} uid ${uid} is no sieve script`);
      const isActive = flags.includes("\\Flagged");
      scripts.push({ ...script, lastUpdate: internaldate, isActive });
    }
  }
  return ok(scripts);
}
