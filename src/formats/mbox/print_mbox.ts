/**
 * A message as an entry of an mbox file in the form mboxrd: a From_ line, the message with LF as
 * line ends, in which each line that begins with `From `, or with that behind some `>`, gets one
 * more `>`, and an empty line. RFC 4155 has the From_ line. The flags stand in the headers Status,
 * X-Status and X-Keywords, which Dovecot writes and mutt reads; those of the message itself, which
 * would say something else, are left out.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";

export interface MboxFacts {
  /** System flags and keywords. */
  readonly flags: readonly string[];
  /** Unix seconds. */
  readonly internaldate: number;
}

/** The letter of each flag that X-Status has; \Seen is the R of Status. */
const LETTERS: readonly (readonly [flag: string, letter: string])[] = [
  ["\\Answered", "A"],
  ["\\Flagged", "F"],
  ["\\Draft", "T"],
  ["\\Deleted", "D"],
];

/** A header of flags with the lines that it goes on in. */
const OWN_HEADERS = /^(?:Status|X-Status|X-Keywords)[ \t]*:.*\n(?:[ \t].*\n)*/gim;

/** The bytes of the entry. */
export function printMboxEntry(message: Uint8Array, facts: MboxFacts): Uint8Array {
  const text = latin1(message).replaceAll("\r\n", "\n");
  const whole = text.endsWith("\n") ? text : `${text}\n`;
  const found = whole.startsWith("\n") ? 0 : whole.indexOf("\n\n") + 1;
  const end = found === 0 && !whole.startsWith("\n") ? whole.length : found;
  const head = whole.slice(0, end).replace(OWN_HEADERS, "");
  const body = whole.slice(end) || "\n";
  const quoted = `${head}${flagHeaders(facts)}${body}`.replace(/^(?=>*From )/gm, ">");
  return fromLatin1(`From MAILER-DAEMON ${asctime(facts.internaldate)}\n${quoted}\n`);
}

function flagHeaders({ flags }: MboxFacts): string {
  const letters = LETTERS.flatMap(([flag, letter]) => (flags.includes(flag) ? letter : []));
  const keywords = flags.filter((flag) => !flag.startsWith("\\"));
  return [
    `Status: ${flags.includes("\\Seen") ? "RO" : "O"}\n`,
    ...(letters.length > 0 ? [`X-Status: ${letters.join("")}\n`] : []),
    ...(keywords.length > 0 ? [`X-Keywords: ${keywords.join(" ")}\n`] : []),
  ].join("");
}

/** As `Thu Jan  1 00:00:00 1970`, in UTC. */
function asctime(seconds: number): string {
  const [day = "", date = "", month = "", year = "", time = ""] = new Date(seconds * 1000)
    .toUTCString()
    .split(/,? /);
  return `${day} ${month} ${date.replace(/^0/, " ")} ${time} ${year}`;
}
