/**
 * Who is at the other end, and what follows from its version (sync-protocol.md 4.3 and 6). A server
 * that does not say its version is taken for a current Cyrus: newer rules are the stricter ones.
 */
import { QUOTA_RESOURCES } from "../../model/mailbox.ts";
import { type Refusal, refused } from "../../model/outcome.ts";
import { ALL_HELD, type Holds } from "../place.ts";

export interface Peer {
  /** What it calls itself. */
  readonly name: string;
  readonly software: "cyrus" | "bobbin";
  /** Major and minor; undefined if it does not say. */
  readonly version: readonly [number, number] | undefined;
  /** In capitals: SASL mechanisms as `AUTH=PLAIN`, and words such as STARTTLS. */
  readonly capabilities: ReadonlySet<string>;
}

/** The name and version in a greeting such as `beta Cyrus sync server 3.6.1-Debian`. */
export function parseGreeting(text: string): Pick<Peer, "name" | "software" | "version"> {
  const [, name = "", software = "", version = ""] =
    /(\S+) (Cyrus|Bobbin) (?:sync server|IMAP)(?: v?(\S+))?/.exec(text) ?? [];
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})/.exec(version) ?? [];
  return {
    name,
    software: software === "Bobbin" ? "bobbin" : "cyrus",
    version: major === undefined ? undefined : [Number(major), Number(minor)],
  };
}

/** True for Cyrus of this version or later, and for Bobbin, which knows all that Cyrus knows. */
export function isAtLeast(peer: Peer, major: number, minor: number): boolean {
  if (peer.software === "bobbin" || peer.version === undefined) return true;
  const [peerMajor, peerMinor] = peer.version;
  return peerMajor > major || (peerMajor === major && peerMinor >= minor);
}

/** In which forms scripts are asked for and sent. */
export type SieveForms = Pick<Holds, "sieveFiles" | "sieveMailboxes">;

export function holdsOf(peer: Peer, sieve: SieveForms): Holds {
  const since25 = isAtLeast(peer, 2, 5);
  const since32 = isAtLeast(peer, 3, 2);
  return {
    ...ALL_HELD,
    userList: false,
    internaldateNsec: isAtLeast(peer, 3, 13),
    savedates: since32,
    threadIds: since25,
    conversationModseqs: peer.software === "bobbin",
    gapsInTree: peer.software === "bobbin",
    annotations: since25,
    mailboxAnnotations: since25,
    quotas: since25 ? QUOTA_RESOURCES : ["STORAGE"],
    ...sieve,
  };
}

/**
 * Bytes of the longest literal that the server takes: a new Cyrus ends the session at more than 128
 * KiB (sync-protocol.md 2.3).
 */
export function literalLimitOf(peer: Peer): number {
  return peer.software === "bobbin" ? 64 * 1024 * 1024 : 128 * 1024 - 1;
}

const LETTERS_36 = "enbcaspfdmriz";
const LEGACY_DIRECTORIES = /l/g;

/**
 * The MBOXTYPE to send: undefined for plain mail, for then the key is left out. Cyrus 3.6 and later
 * die of a letter that they do not know, so such a type is refused here.
 */
export function typeFor(peer: Peer, type: string | undefined): string | Refusal | undefined {
  if (peer.software === "bobbin") return type;
  const letters = (type ?? "").replace(LEGACY_DIRECTORIES, "");
  if (letters === "" || letters === "e") return undefined;
  const isModern = isAtLeast(peer, 3, 6);
  const known = isAtLeast(peer, 3, 8) ? `${LETTERS_36}j` : LETTERS_36;
  const isKnown = [...letters].every((letter) => known.includes(letter));
  const isIntermediateToOld = letters.includes("i") && !isAtLeast(peer, 3, 2);
  if (!isKnown || isIntermediateToOld || (letters.startsWith("f") && !isModern)) {
    const version = peer.version?.join(".") ?? "of unknown version";
    return refused("notSupported", `Cyrus ${version} has no mailboxes of type ${letters}`);
  }
  return isModern ? letters : letters.replace(/^e/, "");
}
