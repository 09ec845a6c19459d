/**
 * Whole spools of made-up mail, by uuid as Cyrus 3.6 lays them out: the same bytes for the same
 * size.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Random, randomOf } from "./random.ts";
import { type SampleMail, sampleMail } from "./sample_mail.ts";
import {
  type MailboxIdentity,
  type PlaceMail,
  placeAsFile,
  placeAsLink,
  writeMailbox,
} from "./write_mailbox.ts";

export interface SpoolSize {
  readonly messages: number;
  readonly mailboxes: number;
}

export interface BuiltSpool {
  readonly mailboxes: readonly MailboxIdentity[];
  readonly messages: number;
  /** Of all messages; a file with many names counts as often as it has names. */
  readonly bytes: number;
}

/**
 * Average and spread of the sizes in a spool that was measured: median 9 KB, one in a hundred 360
 * KB.
 */
const AVERAGE_BYTES = 32_768;
const SIGMA = 1.58;
const LARGEST_BYTES = 16_000_000;
const START = 1_700_000_000;

/** A spool of messages of all sizes, each a file of its own, below `partition`. */
export function buildSpool(partition: string, size: SpoolSize): BuiltSpool {
  const random = randomOf(1);
  const mails = (number: number): SampleMail => {
    const bytes = Math.min(LARGEST_BYTES, random.logNormal(AVERAGE_BYTES, SIGMA));
    return sampleMail(number, bytes, START + number * 61);
  };
  return build(partition, size, { random, mails, place: placeAsFile });
}

/** Different messages in a spool of links. */
const LINKED_MAILS = 20;

/**
 * A spool with far more messages than files: all are names of few small ones. For checks that open
 * no message, or where their number is what matters.
 */
export function buildLinkedSpool(partition: string, size: SpoolSize): BuiltSpool {
  const few = Array.from({ length: LINKED_MAILS }, (_, number) =>
    sampleMail(number, 2000, START + number * 61),
  );
  const mails = (number: number): SampleMail => few[number % LINKED_MAILS] as SampleMail;
  return build(partition, size, { random: randomOf(2), mails, place: placeAsLink() });
}

interface Ingredients {
  readonly random: Random;
  readonly mails: (number: number) => SampleMail;
  readonly place: PlaceMail;
}

function build(partition: string, size: SpoolSize, from: Ingredients): BuiltSpool {
  mkdirSync(partition, { recursive: true, mode: 0o700 });
  const mailboxes: MailboxIdentity[] = [];
  let messages = 0;
  let bytes = 0;
  for (let number = 0; number < size.mailboxes; number++) {
    const identity = identityOf(number, from.random);
    const until = Math.round(((number + 1) * size.messages) / size.mailboxes);
    const first = messages;
    function* mails(): Generator<SampleMail> {
      for (let message = first; message < until; message++) yield from.mails(message);
    }
    const folder = join(partition, folderOf(identity.uniqueid));
    bytes += writeMailbox(folder, identity, { mails: mails(), place: from.place });
    mailboxes.push(identity);
    messages = until;
  }
  return { mailboxes, messages, bytes };
}

/** Where the mailbox lies below its partition (spool-format 6.3). */
export function folderOf(uniqueid: string): string {
  return `uuid/${uniqueid[0]}/${uniqueid[1]}/${uniqueid}`;
}

const FOLDERS = ["", ".Archive", ".Lists", ".Sent"];

function identityOf(number: number, random: Random): MailboxIdentity {
  const user = `u${Math.floor(number / FOLDERS.length)
    .toString()
    .padStart(4, "0")}`;
  const digits = [8, 4, 4, 4, 12].map((length) => random.hex(length));
  return {
    name: `user.${user}${FOLDERS[number % FOLDERS.length]}`,
    user,
    uniqueid: digits.join("-"),
    uidvalidity: START + number,
  };
}
