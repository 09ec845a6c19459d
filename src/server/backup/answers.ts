/**
 * The requests of backupcyrusd's protocol that ask for a user's mail, each with what answers it.
 * Words and their order are upstream's (backup-format.md 10). What the client may not see is
 * answered as if it were not there.
 */
import { mayTouchUser, type Scope } from "../../accounts/scope.ts";
import { internalOfLink, linkOf } from "../../formats/backup/mailbox_link.ts";
import { encodeWord, type FileFacts, printWords } from "../../formats/backup/wire.ts";
import { writeSubscriptions } from "../../formats/cyrus/sub.ts";
import { beginSha1, sha1Of } from "../../hash/sha1.ts";
import type { UserMeta } from "../../model/mailbox.ts";
import { inboxOf, isOwnedBy, type Owner, parseName, useridOf } from "../../model/names.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { MessageContent, Place, WritablePlace } from "../../places/place.ts";
import {
  factsOfContent,
  RAW_FILES,
  type RawListing,
  type RawPlace,
  type RawRecord,
} from "../../places/raw_mailbox.ts";
import { printSeenFile } from "../../places/raw_settings.ts";
import { ownersAndLost, refusalIfLost } from "../commands/lost_owners.ts";

export type ServedPlace = Place & RawPlace & Pick<WritablePlace, "lost">;

export interface Answering {
  readonly place: ServedPlace;
  readonly scope: Scope;
  /** Sends a line, and the bytes of a file. */
  say(line: string): Promise<void>;
  send(bytes: Uint8Array): Promise<void>;
}

/** Answers `VERB SLOT ARGUMENTS`. Gives why it does not, before anything was said. */
type Answer = (args: readonly string[], answering: Answering) => Promise<string | undefined>;

/** By the verb in capitals. */
export const ANSWERS: Readonly<Record<string, Answer>> = {
  USERS: answerUsers,
  META: ofUser(answerMeta),
  FMULTISTATUS: ofUser(answerFolders),
  FMETA: ofUser(answerFolder),
  FDATA: ofUser(answerMessages),
};

/** Refuses a user whose mail is lost: a client would take absence for a deletion. */
function ofUser(answer: Answer): Answer {
  return async ([userid, ...others], answering) => {
    const { place, scope } = answering;
    if (userid !== undefined && mayTouchUser(scope, userid)) {
      const lost = await refusalIfLost([{ kind: "user", userid }], place);
      if (lost !== undefined) return lost.text;
    }
    return answer(userid === undefined ? [] : [userid, ...others], answering);
  };
}

// Refusals as the protocol words them.
const BAD_COMMAND = "bad command";
const NO_FOLDER_NAMED = "missing user";

async function answerUsers(_: readonly string[], answering: Answering) {
  const { place, scope, say } = answering;
  const owners = await ownersAndLost(place);
  if (owners.kind === "refused") return owners.text;
  await say("OK");
  for await (const owner of owners.value) {
    if (owner.kind !== "user" || !mayTouchUser(scope, owner.userid)) continue;
    await say(`USER ${encodeWord(owner.userid)}`);
  }
  await say("DONE USERS");
  return undefined;
}

const USER_FILES = ["seen", "sub"] as const;

async function answerMeta([userid, ...names]: readonly string[], answering: Answering) {
  const { place, scope, say } = answering;
  if (userid === undefined) return BAD_COMMAND;
  const meta = mayTouchUser(scope, userid) ? await place.meta(userid) : undefined;
  if (meta?.kind === "refused") return meta.text;
  const files = meta === undefined ? {} : userFiles(userid, meta.value);
  await say("OK");
  if (names.length === 0) {
    for (const name of USER_FILES) {
      const bytes = files[name];
      if (bytes !== undefined) await say(fileLine(["STAT", name], factsOfContent(bytes, 3)));
    }
  }
  for (const name of USER_FILES.filter((one) => names.includes(one))) {
    const bytes = files[name];
    if (bytes === undefined) await say(`NO no such file ${name}`);
    else await sendFile(name, { bytes, facts: factsOfContent(bytes, 3) }, answering);
  }
  await say("DONE META");
  return undefined;
}

/** The user's files as Cyrus has them; none of what is empty. */
function userFiles(
  userid: string,
  { seen, subscriptions }: UserMeta,
): Partial<Record<(typeof USER_FILES)[number], Uint8Array>> {
  const inbox = inboxAmong(subscriptions, userid);
  return {
    ...(seen.length > 0 && { seen: printSeenFile(seen) }),
    ...(subscriptions.length > 0 && { sub: writeSubscriptions(subscriptions, { inbox }) }),
  };
}

/** The internal name of a user's INBOX, as the names of the user's mailboxes begin. */
function inboxAmong(names: readonly string[], userid: string): string {
  const own = names.find((name) => useridOf(name) === userid && !parseName(name).isDeleted);
  const isDomains = own === undefined || parseName(own).domain !== undefined;
  return inboxOf(userid, { virtualDomains: isDomains });
}

async function answerFolders([userid]: readonly string[], answering: Answering) {
  const { place, scope, say } = answering;
  if (userid === undefined) return BAD_COMMAND;
  const found = mayTouchUser(scope, userid) ? await place.rawMailboxes(userid) : undefined;
  if (found?.kind === "refused") return found.text;
  const owner = { kind: "user", userid } as const;
  await say("OK");
  for (const listing of found?.value ?? []) {
    const folder = linkOf(listing.name, owner);
    await say(printWords("FOLDER", folder, ...idsOf(listing)));
    await sayFacts(["STAT", folder], listing, answering);
  }
  await say("DONE FMULTISTATUS");
  return undefined;
}

async function answerFolder(
  [userid, folder, ...names]: readonly string[],
  answering: Answering,
): Promise<string | undefined> {
  const { say } = answering;
  if (userid === undefined) return BAD_COMMAND;
  if (folder === undefined) return NO_FOLDER_NAMED;
  const found = await findFolder({ userid, folder }, answering, (name) =>
    answering.place.rawMailbox(name),
  );
  if (typeof found === "string") return found;
  await say("OK");
  if (names.length === 0) await sayFacts(["STAT"], found, answering);
  for (const name of RAW_FILES.filter((one) => names.includes(one))) {
    const [bytes, facts] = [found.files[name], found.facts[name]];
    if (bytes !== undefined && facts !== undefined) {
      await sendFile(name, { bytes, facts }, answering);
    } else {
      await say(name === "mailbox_annotations" ? `NO empty ${name}` : `NO no such file ${name}`);
    }
  }
  await say(printWords("DONE", "FMETA", ...idsOf(found)));
  return undefined;
}

async function answerMessages(
  [userid, folder, ...wanted]: readonly string[],
  answering: Answering,
): Promise<string | undefined> {
  const { place, say } = answering;
  if (userid === undefined) return BAD_COMMAND;
  if (folder === undefined) return NO_FOLDER_NAMED;
  const uids = wanted.filter((word) => /^[1-9]\d{0,9}$/.test(word)).map(Number);
  const found = await findFolder({ userid, folder }, answering, (name) =>
    place.rawRecords({ name, uids }),
  );
  if (typeof found === "string") return found;
  const { name: mailbox, uniqueid, partition } = found;
  const records = new Map(found.records.map((one) => [String(one.uid), one]));
  await say("OK");
  for (const word of wanted) {
    const record = records.get(word);
    const message = record && (await place.message({ mailbox, uniqueid, partition, ...record }));
    if (record !== undefined && message?.kind === "ok") {
      await sendMessage(record, message.value, answering);
    } else {
      const isBroken = message?.kind === "refused" && message.reason !== "nonexistent";
      await say(`NO ${isBroken ? "failed to open" : "no such"} file ${encodeWord(word)}`);
    }
  }
  await say(printWords("DONE", "FDATA", ...idsOf(found)));
  return undefined;
}

/** What `read` gives of the mailbox that the client calls `folder`, or why there is none. */
async function findFolder<Found>(
  { userid, folder }: { readonly userid: string; readonly folder: string },
  { place, scope }: Answering,
  read: (name: string) => Promise<Outcome<Found>>,
): Promise<Found | string> {
  const owner: Owner = { kind: "user", userid };
  const usual = internalOfLink(folder, owner);
  const absent = `no such folder ${encodeWord(usual)}`;
  if (!mayTouchUser(scope, userid) || !isOwnedBy(usual, owner)) return absent;
  const found = await read(usual);
  if (found.kind === "ok") return found.value;
  if (found.reason !== "nonexistent") return found.text;
  // An owner of a virtual domain may have names without it: the list tells.
  const all = await place.rawMailboxes(userid);
  if (all.kind === "refused") return all.text;
  const other = all.value.find(({ name }) => name !== usual && linkOf(name, owner) === folder);
  const again = other === undefined ? found : await read(other.name);
  if (again.kind === "ok") return again.value;
  return again.reason === "nonexistent" ? absent : again.text;
}

/** Uniqueid and jmapid. Clients split lines at spaces: there must be something. */
function idsOf({ uniqueid, jmapid }: Pick<RawListing, "uniqueid" | "jmapid">): [string, string] {
  return [uniqueid, jmapid || `P${uniqueid}`];
}

async function sayFacts(head: readonly string[], { facts }: RawListing, { say }: Answering) {
  for (const name of RAW_FILES) {
    const found = facts[name];
    if (found !== undefined) await say(fileLine([...head, name], found));
  }
}

function fileLine(head: readonly string[], { size, mtime, inode }: FileFacts): string {
  return printWords(...head, size, mtime, inode);
}

async function sendFile(
  name: string,
  { bytes, facts }: { readonly bytes: Uint8Array; readonly facts: FileFacts },
  { say, send }: Answering,
): Promise<void> {
  await say(fileLine(["DATA", name], facts));
  await send(bytes);
  await say(`DONE ${name} ${sha1Of(bytes)}`);
}

/** The time of a message's file is its internal date, as a Cyrus sets it. */
async function sendMessage(
  { uid, internaldate }: RawRecord,
  message: MessageContent,
  { say, send }: Answering,
): Promise<void> {
  const facts = { size: message.size, mtime: BigInt(internaldate), inode: 0n };
  await say(fileLine(["DATA", String(uid)], facts));
  const hash = beginSha1();
  for await (const chunk of message.chunks()) {
    hash.update(chunk);
    await send(chunk);
  }
  await say(`DONE ${uid} ${hash.digest()}`);
}
