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

/** What a part of an address is made of. */
interface Shape {
  /** The first other character ends the part. */
  readonly kept: RegExp;
  /** True: may hold quoted strings, and white space and comments in it count as one space. */
  readonly hasWords: boolean;
  /** What is left out of it once it is read. */
  readonly dropped: RegExp;
}

const WORDS = { hasWords: true, dropped: / $/ };
const DOTS = "^\\.+|\\.(?=\\.)";
const PHRASE: Shape = { ...WORDS, kept: /[^,@<:]/ };
const PHRASE_IN_GROUP: Shape = { ...WORDS, kept: /[^,@<;]/ };
const LOCAL_PART: Shape = { ...WORDS, kept: /[^@>]/ };
const DOMAIN: Shape = {
  kept: /[A-Za-z0-9\-[\]:@.]/,
  hasWords: false,
  dropped: new RegExp(`(?<!\\.)\\.+$|${DOTS}`, "g"),
};
const ROUTE: Shape = {
  kept: /[A-Za-z0-9\-[\],@.]/,
  hasWords: false,
  dropped: new RegExp(`(?<![.,@])[.,@]+$|${DOTS}`, "g"),
};

/** A part that was read. */
interface Part {
  readonly value: string;
  /** The last comment, where nothing but dots follows it. */
  readonly comment: string | undefined;
  /** The character that ended it; "" at the end of the text. */
  readonly stop: string;
  /** Behind that character. */
  readonly end: number;
}

/** The part of `text` that begins at `from` or behind white space and comments there. */
function partAt(text: string, from: number, { kept, hasWords, dropped }: Shape): Part {
  let value = "";
  let comment: string | undefined;
  let at = gapAt(text, from).end;
  let stop = "";
  while (at < text.length && stop === "") {
    const char = text[at] as string;
    if (char === "(" || isSpace(char)) {
      const gap = gapAt(text, at);
      if (hasWords) value += " ";
      comment = gap.comment ?? comment;
      at = gap.end;
    } else if (hasWords && char === '"') {
      const quoted = quotedAt(text, at + 1);
      value = quoted === undefined ? "" : value + quoted.value;
      at = quoted?.end ?? text.length;
    } else {
      at += 1;
      if (!kept.test(char)) stop = char;
      else value += char;
      if (stop === "" && char !== ".") comment = undefined;
    }
  }
  return { value: value.replace(dropped, ""), comment, stop, end: at };
}

/** White space and comments at `from`: where they end, and the last comment. */
function gapAt(text: string, from: number): { end: number; comment: string | undefined } {
  let comment: string | undefined;
  let at = from;
  for (; at < text.length; at++) {
    if (text[at] === "(") {
      const end = commentEnd(text, at);
      comment = text.slice(at + 1, end).replace(/\\([\s\S])|\\$/g, "$1");
      at = end;
    } else if (!isSpace(text[at] as string)) break;
  }
  return { end: Math.min(at, text.length), comment };
}

/** The parenthesis that closes the one at `from`, or the end of the text. */
function commentEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "(") depth += 1;
    else if (char === ")" && --depth === 0) return at;
  }
  return text.length;
}

/** A quoted string whose first character is at `from`, without line ends; undefined if open. */
function quotedAt(text: string, from: number): { value: string; end: number } | undefined {
  let end = from;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  if (end >= text.length) return undefined;
  const value = text.slice(from, end).replace(/\\?\r\n|\\?[\r\n]|\\([\s\S])/g, (found, char) => {
    return char ?? (found.endsWith("\r\n") ? "" : " ");
  });
  return { value, end: end + 1 };
}

/** The addresses in `text`, groups as their beginning, members and end. */
export function parseAddresses(text: string): readonly Address[] {
  const found: Address[] = [];
  let isInGroup = false;
  let last: Pick<Part, "stop" | "end"> = { stop: ",", end: 0 };
  while (last.stop !== "" && found.length < DEFAULT_LIMITS.mimeAddresses) {
    const head = partAt(text, last.end, isInGroup ? PHRASE_IN_GROUP : PHRASE);
    const { address, tail } = addressFrom(text, head);
    if (address !== undefined) found.push(address);
    if (tail.stop === ":") isInGroup = true;
    if (tail.stop === ";") {
      isInGroup = false;
      found.push({});
    }
    last = tail;
  }
  if (isInGroup) found.push({});
  return found;
}

/** An address, if there is one, and the last part of it. */
interface Read {
  readonly address: Address | undefined;
  readonly tail: Pick<Part, "stop" | "end">;
}

/** The address of which `head` is the first part. */
function addressFrom(text: string, head: Part): Read {
  const { value } = head;
  if (head.stop === "<") return angleAt(text, head);
  if (head.stop === ":") return { address: { mailbox: value }, tail: head };
  if (head.stop === "@") {
    const tail = partAt(text, head.end, DOMAIN);
    const name = tail.comment || undefined;
    return { address: { name, mailbox: value, domain: domainOf(tail) }, tail };
  }
  return { address: value === "" ? undefined : { mailbox: value, domain: domainOf() }, tail: head };
}

/** What Cyrus writes for a domain that is missing. */
function domainOf(part?: Part): string {
  return part?.value || "unspecified-domain";
}

/** `<mailbox@domain>` or `<@relay,@relay:mailbox@domain>` behind its first character. */
function angleAt(text: string, { value, end }: Part): Read {
  const name = value || undefined;
  const first = partAt(text, end, LOCAL_PART);
  const hasRoute = first.stop === "@" && first.value === "";
  const route = hasRoute ? partAt(text, first.end - 1, ROUTE) : undefined;
  // A route that no colon ends is all that there is.
  const local = route?.stop === ":" ? partAt(text, route.end, LOCAL_PART) : (route ?? first);
  const domain = local !== route && local.stop === "@" ? partAt(text, local.end, DOMAIN) : local;
  const address = {
    ...{ name, route: route?.value || undefined },
    mailbox: local === route ? "" : local.value,
    domain: domainOf(domain === local ? undefined : domain),
  };
  return { address, tail: behindAngle(text, domain) };
}

/** What is up to `>` counts as a part of the address. */
function behindAngle(text: string, { stop, end }: Part): Pick<Part, "stop" | "end"> {
  if (stop === ">" || stop === "") return { stop, end };
  const close = text.indexOf(">", end);
  return close === -1 ? { stop: "", end: text.length } : { stop: ">", end: close + 1 };
}
