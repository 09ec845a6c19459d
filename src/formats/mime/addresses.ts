/**
 * Lists of addresses in From, To and their like (RFC 822 6), as Cyrus 3.6.1 was seen to read them:
 * nothing is refused, and what cannot be understood becomes a part of some address. Texts hold one
 * character a byte.
 */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { isSpace } from "./parameters.ts";

/** An address; the beginning of a group has a mailbox without domain, the end of one neither. */
export interface Address {
  readonly name?: string | undefined;
  readonly route?: string | undefined;
  readonly mailbox?: string | undefined;
  readonly domain?: string | undefined;
}

/** What Cyrus writes for a domain that is missing. */
const NO_DOMAIN = "unspecified-domain";

/** A list of addresses that is being read. */
interface Cursor {
  readonly text: string;
  at: number;
  /** The character at which the last part ended, and "" at the end of the text. */
  stop: string;
}

/** The addresses in `text`, groups as their beginning, members and end. */
export function parseAddresses(text: string): readonly Address[] {
  const cursor: Cursor = { text, at: 0, stop: " " };
  const found: Address[] = [];
  let isInGroup = false;
  while (cursor.stop !== "" && found.length < DEFAULT_LIMITS.mimeAddresses) {
    const phrase = readPhrase(cursor, isInGroup ? ",@<;" : ",@<:");
    switch (cursor.stop) {
      case "@": {
        const { domain, comment } = readDomain(cursor);
        found.push({ name: comment || undefined, mailbox: phrase, domain: domain || NO_DOMAIN });
        if (endsWith(cursor, ";")) isInGroup = true;
        break;
      }
      case "<":
        found.push(readAngle(cursor, phrase || undefined));
        break;
      case ":":
        found.push({ mailbox: phrase });
        isInGroup = true;
        continue;
      default:
        if (phrase !== "") found.push({ mailbox: phrase, domain: NO_DOMAIN });
    }
    if (isInGroup && endsWith(cursor, ";")) {
      found.push({});
      isInGroup = false;
    }
  }
  if (isInGroup) found.push({});
  return found;
}

/** `<mailbox@domain>` behind its first character, with all up to `>`. */
function readAngle(cursor: Cursor, name: string | undefined): Address {
  let mailbox = readPhrase(cursor, "@>");
  let route: string | undefined;
  if (mailbox === "" && cursor.stop === "@") {
    cursor.at -= 1;
    route = readRoute(cursor) || undefined;
    if (!endsWith(cursor, ":")) {
      skipTo(cursor, ">");
      return { name, route, mailbox: "", domain: NO_DOMAIN };
    }
    mailbox = readPhrase(cursor, "@>");
  }
  const domain = cursor.stop === "@" ? readDomain(cursor).domain : "";
  skipTo(cursor, ">");
  return { name, route, mailbox, domain: domain || NO_DOMAIN };
}

/** True if `char` ended the last part. */
function endsWith(cursor: Cursor, char: string): boolean {
  return cursor.stop === char;
}

function skipTo(cursor: Cursor, char: string): void {
  if (cursor.stop === char || cursor.stop === "") return;
  const at = cursor.text.indexOf(char, cursor.at);
  cursor.stop = at === -1 ? "" : char;
  cursor.at = at === -1 ? cursor.text.length : at + 1;
}

/** Steps over white space and comments. */
function skip(cursor: Cursor): void {
  const { text } = cursor;
  for (let depth = 0; cursor.at < text.length; cursor.at++) {
    const char = text[cursor.at] as string;
    if (char === "(") depth += 1;
    else if (depth > 0) {
      if (char === "\\") cursor.at += 1;
      else if (char === ")") depth -= 1;
    } else if (!isSpace(char)) return;
  }
}

/** Words and quoted strings up to one of `stops`; what is between them counts as one space. */
function readPhrase(cursor: Cursor, stops: string): string {
  const { text } = cursor;
  let phrase = "";
  skip(cursor);
  while (cursor.at < text.length) {
    const char = text[cursor.at] as string;
    if (char === '"') {
      const quoted = readQuoted(cursor);
      if (quoted === undefined) phrase = "";
      else phrase += quoted;
    } else if (isSpace(char) || char === "(") {
      skip(cursor);
      phrase += " ";
    } else {
      cursor.at += 1;
      if (stops.includes(char)) {
        cursor.stop = char;
        return phrase.replace(/ $/, "");
      }
      phrase += char;
    }
  }
  cursor.stop = "";
  return phrase.replace(/ $/, "");
}

/** What is between quotes, without line ends; undefined where there is no second quote. */
function readQuoted(cursor: Cursor): string | undefined {
  const { text } = cursor;
  let quoted = "";
  for (cursor.at += 1; cursor.at < text.length; ) {
    let char = text[cursor.at++] as string;
    if (char === '"') return quoted;
    if (char === "\\") {
      char = text[cursor.at] ?? "";
      cursor.at += 1;
    }
    if (char === "\r" && text[cursor.at] === "\n") cursor.at += 1;
    else quoted += char === "\r" || char === "\n" ? " " : char;
  }
  return undefined;
}

const DOMAIN_CHAR = /[A-Za-z0-9\-[\]:@]/;

/** A domain, and the last comment in it, which may be the name. */
function readDomain(cursor: Cursor): { domain: string; comment: string | undefined } {
  const { text } = cursor;
  let domain = "";
  let comment: string | undefined;
  skip(cursor);
  while (cursor.at < text.length) {
    const char = text[cursor.at++] as string;
    if (DOMAIN_CHAR.test(char)) {
      domain += char;
      comment = undefined;
    } else if (char === ".") {
      if (domain !== "" && !domain.endsWith(".")) domain += char;
    } else if (char === "(") comment = readComment(cursor);
    else if (!isSpace(char)) {
      cursor.stop = char;
      return { domain: domain.replace(/\.$/, ""), comment };
    }
  }
  cursor.stop = "";
  return { domain: domain.replace(/\.$/, ""), comment };
}

/** A comment behind its first character. */
function readComment(cursor: Cursor): string {
  const { text } = cursor;
  let comment = "";
  for (let depth = 1; cursor.at < text.length; ) {
    let char = text[cursor.at++] as string;
    if (char === "\\") {
      char = text[cursor.at] ?? "";
      cursor.at += 1;
    } else if (char === "(") depth += 1;
    else if (char === ")") {
      depth -= 1;
      if (depth === 0) break;
    }
    comment += char;
  }
  return comment;
}

/** `@relay,@relay` up to what follows it. */
function readRoute(cursor: Cursor): string {
  const { text } = cursor;
  let route = "";
  while (cursor.at < text.length) {
    const char = text[cursor.at] as string;
    if (isSpace(char) || char === "(") {
      skip(cursor);
      continue;
    }
    cursor.at += 1;
    if (/[A-Za-z0-9\-[\],@]/.test(char)) route += char;
    else if (char === ".") {
      if (route !== "" && !route.endsWith(".")) route += char;
    } else {
      cursor.stop = char;
      return route.replace(/[.,@]+$/, "");
    }
  }
  cursor.stop = "";
  return route.replace(/[.,@]+$/, "");
}
