/** What the GET commands do (sync-protocol.md 4.1), once it is known that the account may. */
import { setImmediate as othersTurn } from "node:timers/promises";
import { mayTouchMailbox, mayTouchUser } from "../../accounts/scope.ts";
import { assert } from "../../core/assert.ts";
import { utf8 } from "../../core/bytes.ts";
import { printFileHead, printValue } from "../../formats/dlist/print.ts";
import { type Answer, printMailboxOpening, RECORDS_END } from "../../formats/sync/answer.ts";
import { LOST_OWNERS, SIEVE_MAILBOX } from "../../formats/sync/capabilities.ts";
import type { GetCommand, GetFetch } from "../../formats/sync/get_command.ts";
import { printRecord } from "../../formats/sync/record_line.ts";
import { heldBytes } from "../../model/held_bytes.ts";
import {
  isIntermediate,
  type MailboxState,
  type OwnedMailboxes,
  type UserMeta,
  type UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner, parseName } from "../../model/names.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import { firstDamage } from "../../places/first_damage.ts";
import type { MailboxReading } from "../../places/place.ts";
import type { CommandContext, PutBytes } from "../session/context.ts";
import { ownersAndLost, tellIfLost } from "./lost_owners.ts";

/** Copies of the line that is being sent: from a thread, printed, in the buffers of the socket. */
const LINE_COPIES = 4;

/** Bytes of memory that an answer takes whose lines say these values, one after the other. */
function answerBytes(lines: readonly unknown[]): number {
  let [all, longest] = [0, 0];
  for (const line of lines) {
    const bytes = heldBytes(line);
    all += bytes;
    longest = Math.max(longest, bytes);
  }
  return all + LINE_COPIES * longest;
}

/**
 * Has `send` send what a place finds when it is asked. That stays in memory until the client has
 * taken all of it, however slowly: refuses where the account's sessions hold too much already.
 */
async function whileHeld<Value>(
  ask: () => Promise<Outcome<Value>>,
  { held, memory, askInTurn }: CommandContext,
  bytesOf: (value: Value) => number,
  send: (value: Value) => Promise<Outcome>,
): Promise<Outcome> {
  let bytes = 0;
  // How large an answer is nobody knows before it is here, so few are on their way at a time.
  const found = await askInTurn(async (): Promise<Outcome<Value>> => {
    const answer = await ask();
    if (answer.kind === "refused") return answer;
    bytes = bytesOf(answer.value);
    memory.took(bytes);
    if (held.take(bytes)) return answer;
    bytes = 0;
    return refused("busy", "room in memory");
  });
  try {
    return found.kind === "refused" ? found : await send(found.value);
  } finally {
    held.give(bytes);
  }
}

const userBytes = (user: UserState): number => answerBytes(user.mailboxes) + metaBytes(user);
const metaBytes = ({ seen, subscriptions, sieve }: UserMeta): number =>
  answerBytes([...seen, subscriptions, ...sieve]);

type Get<Kind extends GetCommand["kind"]> = Extract<GetCommand, { readonly kind: Kind }>;

/** Everything about a user but records. An unknown user is answered with nothing. */
export async function getUser({ userid }: Get<"user">, context: CommandContext): Promise<Outcome> {
  return whileHeld(
    () => context.place.user(userid),
    context,
    userBytes,
    async (user) => {
      const { mailboxes, quotas } = user;
      if (mailboxes.length === 0) await tellIfLost(userid, context);
      const sent = await sendOwned({ owner: userid, ...user }, context);
      if (sent.kind === "refused") return sent;
      for (const quota of quotas) await context.send({ kind: "quota", quota });
      // Since 3.6 a user without a real mailbox has no seen state, subscriptions or scripts.
      const isThere = mailboxes.some(
        (one) => !isIntermediate(one) && !parseName(one.name).isDeleted,
      );
      return isThere ? sendMeta(user, context) : DONE;
    },
  );
}

/** An owner's mailboxes, all or, like Cyrus, none: what is left out would look deleted. */
async function sendOwned(
  { owner, mailboxes, unreadable = [], flawed = [] }: OwnedMailboxes & { readonly owner: string },
  context: CommandContext,
): Promise<Outcome> {
  for (const { name, refusal } of unreadable) {
    const facts = { user: owner, mailbox: externalName(name), why: refusal.text };
    context.log.write("error", "Mailbox is damaged and not served", facts);
  }
  for (const { setting, refusal } of flawed) {
    const facts = { user: owner, setting, why: refusal.text };
    context.log.write("error", "Setting is damaged and not served", facts);
  }
  const [first] = [...unreadable, ...flawed];
  if (first !== undefined) return first.refusal;
  for (const state of mailboxes) await context.send(mailboxAnswer(state));
  return DONE;
}

/** Owners in one line of the answer. */
const OWNERS_AT_A_TIME = 500;

/** Whom the account may touch. Bobbin's own command: Cyrus' protocol cannot list users. */
export async function getOwners(_: Get<"owners">, context: CommandContext): Promise<Outcome> {
  const { place, modes } = context;
  const listed = await (modes.enabled.has(LOST_OWNERS) ? ownersAndLost(place) : place.owners());
  if (listed.kind === "refused") return listed;
  let owners: Owner[] = [];
  for await (const owner of listed.value) {
    const may =
      owner.kind === "user"
        ? mayTouchUser(context.scope, owner.userid)
        : mayTouchMailbox(context.scope, owner.toplevel);
    if (may) owners.push(owner);
    if (owners.length < OWNERS_AT_A_TIME) continue;
    await context.send({ kind: "owners", owners });
    owners = [];
  }
  await context.send({ kind: "owners", owners });
  return DONE;
}

/** The mailboxes of a shared top level. Bobbin's own command, as GET OWNERS is. */
export async function getShared(
  { toplevel }: Get<"shared">,
  context: CommandContext,
): Promise<Outcome> {
  return whileHeld(
    () => context.place.sharedMailboxes(toplevel),
    context,
    ({ mailboxes }) => answerBytes(mailboxes),
    (found) => sendOwned({ owner: toplevel, ...found }, context),
  );
}

/** Seen state, subscriptions, and scripts unless they travel as a mailbox. */
export async function getMeta({ userid }: Get<"meta">, context: CommandContext): Promise<Outcome> {
  return whileHeld(
    () => context.place.meta(userid),
    context,
    metaBytes,
    (meta) => sendMeta(meta, context),
  );
}

/** The lines of GET META, with which GET USER ends too. */
async function sendMeta(meta: UserMeta, context: CommandContext): Promise<Outcome> {
  for (const seen of meta.seen) await context.send({ kind: "seen", seen });
  if (meta.subscriptions.length > 0) {
    await context.send({ kind: "subscriptions", names: meta.subscriptions });
  }
  if (context.modes.enabled.has(SIEVE_MAILBOX)) return DONE;
  for (const file of meta.sieve) await context.send({ kind: "sieve", file });
  return DONE;
}

/** The mailboxes of these names that are there, in any order. */
export async function getMailboxes(
  command: Get<"mailboxes">,
  context: CommandContext,
): Promise<Outcome> {
  const names = command.names.filter((name) => mayTouchMailbox(context.scope, name));
  return sendMailboxes(() => context.place.mailboxes(names), context);
}

/** GET UNIQUEIDS: sends the mailboxes of these uniqueids. */
export async function getUniqueids(
  { uniqueids }: Get<"uniqueids">,
  context: CommandContext,
): Promise<Outcome> {
  const { place, scope } = context;
  for (const some of scope.everything ? [uniqueids] : uniqueids.map((one) => [one])) {
    const sent = await sendMailboxes(() => place.mailboxesByUniqueid(some), context);
    if (sent.kind === "ok") continue;
    // A mailbox that cannot be read may be anybody's: to say so would say that it is there.
    if (scope.everything || sent.reason === "busy") return sent;
    context.log.write("error", "Mailbox is not served", { uniqueid: some[0], why: sent.text });
  }
  return DONE;
}

function sendMailboxes(
  ask: () => Promise<Outcome<readonly MailboxState[]>>,
  context: CommandContext,
): Promise<Outcome> {
  return whileHeld(ask, context, answerBytes, async (states) => {
    for (const state of states) {
      // A uniqueid does not say whose it is before it is found.
      if (mayTouchMailbox(context.scope, state.name)) await context.send(mailboxAnswer(state));
    }
    return DONE;
  });
}

/**
 * A mailbox as GET answers it. Of a placeholder in the tree clients expect zeros, and an ACL that
 * is text: Cyrus' own client takes an ACL of NIL for a missing one and gives up.
 */
function mailboxAnswer(state: MailboxState): Answer {
  if (!isIntermediate(state)) return { kind: "mailbox", state };
  const placeholder = { ...state, syncCrc: 0, lastAppenddate: 0, pop3ShowAfter: 0 };
  return { kind: "mailbox", state: { ...placeholder, highestmodseq: 0n, acl: state.acl ?? "" } };
}

/** One MAILBOX line with every record, sent as they are read. */
export async function getFullmailbox(
  { name }: Get<"fullmailbox">,
  context: CommandContext,
): Promise<Outcome> {
  const send = async (reading: MailboxReading): Promise<Outcome> => {
    // A NO cannot follow an answer that has begun. The client would have to be cut off, and would
    // come again and again.
    const damage = reading.isSound ? undefined : await firstDamage(reading.records);
    if (damage === undefined) await context.sendPieces((put) => putMailbox(reading, put));
    return damage ?? DONE;
  };
  const kept = ({ keptBytes = 0, state }: MailboxReading) => keptBytes + heldBytes(state);
  return whileHeld(() => context.place.readMailbox(name), context, kept, send);
}

const SPACE = utf8(" ");
/** Records that take about a millisecond; then other sessions have their turn. */
const RECORDS_AT_A_TIME = 100;

async function putMailbox({ state, records }: MailboxReading, put: PutBytes): Promise<void> {
  await put(printMailboxOpening(state));
  let count = 0;
  for await (const batch of records.batches()) {
    for (const record of batch) {
      if (count > 0) await put(SPACE);
      await put(printValue(printRecord(record), { from: "server" }));
      count++;
      if (count % RECORDS_AT_A_TIME === 0) await othersTurn();
    }
  }
  await put(utf8(RECORDS_END));
}

/** One message as a file literal; `NIL` if it is there and damaged. */
export async function getFetch(command: GetFetch, context: CommandContext): Promise<Outcome> {
  const { mailbox, uniqueid, partition, uid, guid } = command;
  const found = await context.place.message({ mailbox, uniqueid, partition, uid, guid });
  if (found.kind === "refused") {
    if (found.reason !== "damaged") return found;
    const facts = { mailbox, uid, guid, why: found.text };
    context.log.write("error", "Message is damaged and not served", facts);
    await context.send({ kind: "message", file: null });
    return DONE;
  }
  const { size } = found.value;
  await context.sendPieces(async (put) => {
    const putHead = async () => {
      await put(utf8("MESSAGE "));
      await put(printFileHead({ kind: "file", partition, guid, size }, { from: "server" }));
    };
    let sent = 0;
    // Within the loop, so that the message's file is closed where the connection is lost.
    for await (const chunk of found.value.chunks()) {
      if (sent === 0) await putHead();
      sent += chunk.length;
      await put(chunk);
    }
    if (sent === 0) await putHead();
    assert(sent === size, `message ${guid} has as many bytes as its place said`);
  });
  return DONE;
}

/** The annotations of a mailbox itself, or of the server. */
export async function getAnnotation(
  { name }: Get<"annotation">,
  context: CommandContext,
): Promise<Outcome> {
  return whileHeld(
    () => context.place.annotations(name),
    context,
    answerBytes,
    async (found) => {
      for (const one of found) {
        const annotation = { ...one, userid: one.userid ?? "" };
        await context.send({ kind: "annotation", name, annotation });
      }
      return DONE;
    },
  );
}

/** GET QUOTA: sends the quota of this root, nothing where it has none. */
export async function getQuota({ root }: Get<"quota">, context: CommandContext): Promise<Outcome> {
  const found = await context.place.quota(root);
  if (found.kind === "refused") return found;
  if (found.value !== undefined) await context.send({ kind: "quota", quota: found.value });
  return DONE;
}

/** One script. */
export async function getFetchSieve(
  { userid, filename }: Get<"fetchSieve">,
  context: CommandContext,
): Promise<Outcome> {
  const script = () => context.place.sieveScript(userid, filename);
  const bytes = (content: Uint8Array) => answerBytes([content]);
  return whileHeld(script, context, bytes, async (content) => {
    await context.send({ kind: "sieveContent", userid, filename, content });
    return DONE;
  });
}
