/**
 * The header fields of a message or part that ENVELOPE and BODYSTRUCTURE tell of (RFC 2822, 2045,
 * 2183, 3282), as Cyrus 3.6.1 was seen to read them, broken ones too. Texts hold one character a
 * byte, undecoded. Of several fields of one name the last counts, even where it cannot be read.
 */
import { type Address, parseAddresses } from "./addresses.ts";
import { type Parameter, parseParameters, skipSpace, tokenAt, upper } from "./parameters.ts";

/** Content-Disposition. */
export interface Disposition {
  readonly value: string;
  readonly parameters: readonly Parameter[];
}

/**
 * What a header says; what it does not say is undefined. Type, subtype, encoding, disposition and
 * languages are in upper case.
 */
export interface Fields {
  date?: string;
  subject?: string;
  from?: readonly Address[];
  sender?: readonly Address[];
  replyTo?: readonly Address[];
  to?: readonly Address[];
  cc?: readonly Address[];
  bcc?: readonly Address[];
  inReplyTo?: string;
  messageId?: string;
  type?: string;
  subtype?: string;
  parameters?: readonly Parameter[];
  encoding?: string;
  disposition?: Disposition;
  languages?: readonly string[];
  id?: string;
  description?: string;
  md5?: string;
  location?: string;
}

/** Where a field lies in the text of a header. */
export interface FieldSpan {
  /** In lower case, as written before the colon. */
  readonly name: string;
  readonly start: number;
  /** Behind the colon. */
  readonly value: number;
  /** Behind its last line with the line's end. */
  readonly end: number;
}

/** Lines of a header of which Cyrus takes note (its option `maxheaderlines`). */
const MAX_LINES = 1000;

/** The fields of a header that Cyrus takes note of. A line without a colon is none. */
export function* fieldSpans(header: string): Generator<FieldSpan, void> {
  let lines = 0;
  for (let start = 0; start < header.length && lines <= MAX_LINES; ) {
    const end = fieldEnd(header, start);
    const colon = header.indexOf(":", start);
    if (colon !== -1 && colon < end) {
      yield { name: header.slice(start, colon).toLowerCase(), start, value: colon + 1, end };
    }
    for (let at = start; at < end; at = header.indexOf("\n", at) + 1 || end) lines += 1;
    start = end;
  }
}

/** Behind the last line of the field that goes on at `from`. */
function fieldEnd(header: string, from: number): number {
  let end = from;
  do end = header.indexOf("\n", end) + 1 || header.length;
  while (header[end] === " " || header[end] === "\t");
  return end;
}

/** The same for a value that begins at `start`: a bare LF right there does not end it. */
function valueEnd(header: string, start: number): number {
  return fieldEnd(header, start + 1);
}

/** What the fields of `header` say. */
export function readFields(header: string): Fields {
  const fields: Fields = {};
  for (const field of fieldSpans(header)) READERS.get(field.name)?.(fields, header, field);
  return fields;
}

type Reader = (fields: Fields, header: string, field: FieldSpan) => void;

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["date", text("date")],
  ["subject", text("subject")],
  ["from", addresses("from")],
  ["sender", addresses("sender")],
  ["reply-to", addresses("replyTo")],
  ["to", addresses("to")],
  ["cc", addresses("cc")],
  ["bcc", addresses("bcc")],
  ["in-reply-to", text("inReplyTo")],
  ["message-id", text("messageId")],
  ["content-type", readType],
  ["content-transfer-encoding", readEncoding],
  ["content-disposition", readDisposition],
  ["content-language", readLanguages],
  ["content-id", text("id")],
  ["content-description", text("description")],
  ["content-md5", text("md5")],
  ["content-location", text("location")],
]);

function text(
  name: "date" | "subject" | "inReplyTo" | "messageId" | "id" | "description" | "md5" | "location",
): Reader {
  return (fields, header, { value }) => {
    let start = value;
    while (header[start] === " " || header[start] === "\t") start += 1;
    fields[name] = header.slice(start, valueEnd(header, start)).replace(/\r?\n/g, "");
  };
}

function addresses(name: "from" | "sender" | "replyTo" | "to" | "cc" | "bcc"): Reader {
  return (fields, header, { value }) => {
    const text = header.slice(value, valueEnd(header, value));
    fields[name] = parseAddresses(text.replace(/\r?\n$/, ""));
  };
}

/** A token and where its parameters begin; `end` is undefined where the field ends before. */
interface Head {
  readonly token: string;
  readonly end: number | undefined;
}

/** The token behind the space at `from`, if one of `ends` or the end of the field follows it. */
function headAt(header: string, from: number, ends: string): Head | undefined {
  const start = skipSpace(header, from);
  const token = start === undefined ? undefined : tokenAt(header, start, ends);
  if (start === undefined || token === undefined) return undefined;
  const end = skipSpace(header, start + token.length);
  const isEnd = end === undefined || ends.includes(header[end] as string);
  return isEnd ? { token: upper(token), end } : undefined;
}

function parametersAt(header: string, semicolon: number | undefined): readonly Parameter[] {
  return semicolon === undefined ? [] : parseParameters(header, semicolon + 1);
}

function readType(fields: Fields, header: string, { value }: FieldSpan): void {
  delete fields.type;
  delete fields.parameters;
  const type = headAt(header, value, "/");
  const subtype = type?.end === undefined ? undefined : headAt(header, type.end + 1, ";");
  if (type === undefined || subtype === undefined) return;
  fields.type = type.token;
  fields.subtype = subtype.token;
  fields.parameters = parametersAt(header, subtype.end);
}

function readEncoding(fields: Fields, header: string, { value }: FieldSpan): void {
  delete fields.encoding;
  const encoding = headAt(header, value, "");
  if (encoding !== undefined) fields.encoding = encoding.token;
}

function readDisposition(fields: Fields, header: string, { value }: FieldSpan): void {
  delete fields.disposition;
  const head = headAt(header, value, ";");
  if (head === undefined) return;
  fields.disposition = { value: head.token, parameters: parametersAt(header, head.end) };
}

function readLanguages(fields: Fields, header: string, { value }: FieldSpan): void {
  delete fields.languages;
  const languages: string[] = [];
  let at: number | undefined = value;
  while (at !== undefined && skipSpace(header, at) !== undefined) {
    const head = headAt(header, at, ",");
    if (head === undefined) break;
    languages.push(head.token);
    at = head.end === undefined ? undefined : head.end + 1;
  }
  if (languages.length > 0) fields.languages = languages;
}
