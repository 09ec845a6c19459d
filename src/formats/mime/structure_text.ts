/**
 * ENVELOPE, BODYSTRUCTURE and BODY of a message (RFC 3501 7.4.2), byte by byte as Cyrus 3.6.1
 * writes them. The texts hold one character a byte.
 */
import type { Address } from "./addresses.ts";
import type { MimePart } from "./message.ts";
import type { Parameter } from "./parameters.ts";

/** Longer strings become literals, as do those with a quote, a backslash, a line end or 8 bit. */
const QUOTED_LIMIT = 1024;

/** A string of IMAP, or NIL. */
export function nstring(value: string | undefined): string {
  if (value === undefined) return "NIL";
  const isPlain = value.length < QUOTED_LIMIT && !/["\\\r\n\0%\x80-\xff]/.test(value);
  return isPlain ? `"${value}"` : `{${value.length}}\r\n${value}`;
}

/** The ENVELOPE of a message. */
export function envelopeOf({ fields }: MimePart): string {
  const from = addressList(fields.from);
  const [sender, replyTo] = [fields.sender, fields.replyTo].map((list) =>
    list === undefined || list.length === 0 ? from : addressList(list),
  );
  const lists = [from, sender, replyTo, ...[fields.to, fields.cc, fields.bcc].map(addressList)];
  const texts = [fields.date, fields.subject].map(nstring);
  const ids = [fields.inReplyTo, fields.messageId].map(nstring);
  return `(${[...texts, ...lists, ...ids].join(" ")})`;
}

function addressList(list: readonly Address[] | undefined): string {
  if (list === undefined || list.length === 0) return "NIL";
  return `(${list
    .map(
      ({ name, route, mailbox, domain }) =>
        `(${[name, route, mailbox, domain].map(nstring).join(" ")})`,
    )
    .join("")})`;
}

/** BODYSTRUCTURE, or BODY, which has no `extensions`. */
export function structureOf(part: MimePart, extensions: boolean): string {
  const { fields, type } = part;
  if (type === "MULTIPART") return multipart(part, extensions);
  const words = [
    ...[nstring(type), nstring(part.subtype), parameterList(fields.parameters)],
    ...[nstring(fields.id), nstring(fields.description), nstring(fields.encoding ?? "7BIT")],
    String(part.contentSize),
  ];
  const lines = String(part.contentLines >>> 0);
  if (type === "TEXT") words.push(lines);
  else if (part.message !== undefined) {
    words.push(envelopeOf(part.message), structureOf(part.message, extensions), lines);
  }
  if (extensions) words.push(nstring(fields.md5), ...extensionsOf(part));
  return `(${words.join(" ")})`;
}

/** Of a multipart without parts an empty text is told. */
function multipart(part: MimePart, extensions: boolean): string {
  if (part.parts.length === 0) {
    const rest = extensions ? " NIL NIL NIL NIL" : "";
    return `("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 0 0${rest})`;
  }
  const parts = part.parts.map((one) => structureOf(one, extensions)).join("");
  const words = [nstring(part.subtype)];
  if (extensions) words.push(parameterList(part.fields.parameters), ...extensionsOf(part));
  return `(${parts} ${words.join(" ")})`;
}

function parameterList(list: readonly Parameter[] | undefined): string {
  if (list === undefined || list.length === 0) return "NIL";
  return `(${list.map(({ name, value }) => `${nstring(name)} ${nstring(value)}`).join(" ")})`;
}

function extensionsOf({ fields }: MimePart): readonly string[] {
  const { disposition, languages, location } = fields;
  return [
    disposition === undefined
      ? "NIL"
      : `(${nstring(disposition.value)} ${parameterList(disposition.parameters)})`,
    languages === undefined ? "NIL" : `(${languages.map(nstring).join(" ")})`,
    nstring(location),
  ];
}
