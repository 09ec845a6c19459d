/** What a server of some version holds and takes (sync-protocol.md 4.3 and 6). */
import { type MailboxState, QUOTA_RESOURCES } from "../../model/mailbox.ts";
import { nameProblem } from "../../model/names.ts";
import { type Refusal, refused } from "../../model/outcome.ts";
import { ALL_HELD, type Holds } from "../place.ts";
import type { Peer } from "./peer.ts";
import { can, ENTRIES_OF_24, refusesName, typeLettersOf, versionOf } from "./versions.ts";

/** In which forms scripts are asked for and sent. */
export type SieveForms = Pick<Holds, "sieveFiles" | "sieveMailboxes">;

/** What a peer of this software and version holds. */
export function holdsOf(peer: Peer, sieve: SieveForms): Holds {
  const isBobbin = peer.software === "bobbin";
  const annotations = can(peer, "annotations within MAILBOX");
  const fields = can(peer, "fields of 3.2");
  return {
    ...ALL_HELD,
    userList: isBobbin,
    internaldateNsec: can(peer, "fields of master"),
    savedates: fields,
    createdmodseqs: fields,
    threadIds: can(peer, "thread ids"),
    pop3ShowAfter: can(peer, "POP3_SHOW_AFTER"),
    placeholders: can(peer, "placeholders"),
    conversationModseqs: isBobbin,
    gapsInTree: isBobbin,
    annotations,
    mailboxEntries: annotations ? "all" : ENTRIES_OF_24,
    quotas: can(peer, "all quotas") ? QUOTA_RESOURCES : ["STORAGE"],
    ...sieve,
  };
}

/** The longest literal that the server takes: a new Cyrus ends at over 128 KiB (2.3). */
export function literalLimitOf(peer: Peer): number {
  return peer.software === "bobbin" ? 64 * 1024 * 1024 : 128 * 1024 - 1;
}

const LEGACY_DIRECTORIES = /l/g;

/**
 * The MBOXTYPE to send: undefined for plain mail, for then the key is left out. A type that the
 * server does not know is refused here, for some die of it.
 */
export function typeFor(peer: Peer, type: string | undefined): string | Refusal | undefined {
  if (peer.software === "bobbin") return type;
  const letters = (type ?? "").replace(LEGACY_DIRECTORIES, "");
  if (letters === "" || letters === "e") return undefined;
  const known = typeLettersOf(peer);
  const sent = known.includes("e") ? letters : letters.replace(/^e/, "");
  if ([...sent].every((letter) => known.includes(letter))) return sent;
  return refused("notSupported", `${nameOf(peer)} has no mailboxes of type ${letters}`);
}

function nameOf(peer: Peer): string {
  return `Cyrus ${versionOf(peer)?.join(".") ?? "of unknown version"}`;
}

/** Why the server will not take this mailbox, as far as that is known before it is asked. */
export function objectionTo(
  peer: Peer,
  { name, type }: Pick<MailboxState, "name" | "type">,
): Refusal | undefined {
  const known = typeFor(peer, type);
  if (typeof known === "object") return { ...known, text: `${name}: ${known.text}` };
  const problem = peer.software === "bobbin" ? nameProblem(name) : undefined;
  if (problem !== undefined) return refused("notSupported", `${name}: ${problem}`);
  if (!refusesName(peer, name)) return undefined;
  return refused("notSupported", `${name}: ${nameOf(peer)} takes no mailbox of such a name`);
}
