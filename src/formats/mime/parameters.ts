/**
 * Parameters of Content-Type and Content-Disposition (RFC 2045 5.1), with the continuations of RFC
 * 2231 joined but not decoded: as Cyrus 3.6.1 was seen to read them. Offsets are into the text of a
 * whole header, because a quoted value may run over the end of its field.
 */
import { DEFAULT_LIMITS } from "../../core/limits.ts";

/** Name in upper case. */
export interface Parameter {
  readonly name: string;
  readonly value: string;
}

/** Characters that no token of MIME has. */
const SPECIALS = '()<>@,;:\\"/[]?=';

/** Where the field goes on behind white space and comments; undefined where it ends. */
export function skipSpace(text: string, from: number): number | undefined {
  for (let at = from, depth = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === "\n" && !isFold(text, at)) return undefined;
    if (char === "(") depth += 1;
    else if (depth > 0) {
      if (char === "\\") at += 1;
      else if (char === ")") depth -= 1;
    } else if (!isSpace(char)) return at;
  }
  return undefined;
}

/** White space of C. */
export function isSpace(char: string): boolean {
  return char === " " || (char >= "\t" && char <= "\r");
}

/** True where the line that ends at `lineFeed` goes on in the next one. */
function isFold(text: string, lineFeed: number): boolean {
  const next = text[lineFeed + 1];
  return next === " " || next === "\t";
}

/** The token at `at` up to white space, a comment or one of `ends`; undefined where it is none. */
export function tokenAt(text: string, at: number, ends: string): string | undefined {
  let end = at;
  for (; end < text.length; end++) {
    const char = text[end] as string;
    if (ends.includes(char) || char === "(" || isSpace(char)) break;
    if (char < " " || char > "\x7f" || SPECIALS.includes(char)) return undefined;
  }
  return text.slice(at, end);
}

/** The parameters from `from` on, which is behind a semicolon. */
export function parseParameters(text: string, from: number): readonly Parameter[] {
  const found: Parameter[] = [];
  let at: number | undefined = from;
  while (at !== undefined && found.length < DEFAULT_LIMITS.mimeParameters) {
    const start = skipSpace(text, at);
    if (start === undefined) break;
    const { name, value, end } = parameterAt(text, start);
    if (end === undefined) break;
    const next = value === undefined ? end : skipSpace(text, end);
    const isWhole = next === undefined || text[next] === ";";
    if (value !== undefined && isWhole) found.push({ name: upper(name), value });
    at = next === undefined ? undefined : nextSemicolon(text, next);
  }
  return joinContinuations(found);
}

interface Read {
  readonly name: string;
  /** Undefined where the parameter is none. */
  readonly value?: string;
  /** Where it was read to; undefined where nothing behind it can be read. */
  readonly end?: number | undefined;
}

function parameterAt(text: string, start: number): Read {
  const name = tokenAt(text, start, "=");
  if (name === undefined) return { name: "", end: start };
  const equals = skipSpace(text, start + name.length);
  if (equals === undefined) return { name };
  if (text[equals] !== "=") return { name, end: equals + 1 };
  const at = skipSpace(text, equals + 1);
  if (at === undefined) return { name };
  return { name, ...(text[at] === '"' ? quotedAt(text, at + 1) : plainAt(text, at)) };
}

/** A quoted string, whose folds lose their CR LF. One that does not end takes all that follows. */
function quotedAt(text: string, from: number): Omit<Read, "name"> {
  let value = "";
  for (let at = from; at < text.length; at++) {
    if (text[at] === '"') return { value, end: at + 1 };
    const isEscaped = text[at] === "\\";
    if (isEscaped) at += 1;
    if (text[at] === "\r") {
      if (text[at + 1] !== "\n" || !isFold(text, at + 1)) return {};
      if (isEscaped) value += "\r\n";
      at += 1;
    } else value += text[at] ?? "";
  }
  return {};
}

/** A value without quotes, which may hold spaces and folds. */
function plainAt(text: string, from: number): Omit<Read, "name"> {
  let end = from;
  for (; end < text.length; end++) {
    const char = text[end] as string;
    if (char === ";" || char === "(") break;
    if (char === "\r") {
      if (text[end + 1] !== "\n" || !isFold(text, end + 1)) break;
      end += 1;
    } else if (char < " " && char !== "\t") return { end };
  }
  if (end === from && text[from] === ";") return { value: ";", end: from + 1 };
  return { value: text.slice(from, end).replace(/(?<![ \t-\r])[ \t-\r]+$/, ""), end };
}

/** Where to go on behind a parameter that is none: behind a semicolon, or in the next line. */
function nextSemicolon(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== ";" && text[at] !== "\r" && text[at] !== "\n") at += 1;
  return text[at] === ";" ? at + 1 : at;
}

/** `NAME*0`, `NAME*1` … become NAME, or `NAME*` where one of them is encoded: `NAME*1*`. */
function joinContinuations(found: readonly Parameter[]): readonly Parameter[] {
  if (!found.some(({ name }) => name.includes("*0"))) return found;
  const left = [...found];
  for (let at = 0; at < left.length; at++) {
    const first = left[at] as Parameter;
    const head = /^(.*)\*0(\*?)$/s.exec(first.name);
    if (head === null) continue;
    const sections = [{ value: first.value, isEncoded: head[2] !== "" }];
    for (let number = 1; ; number++) {
      const wanted = `${head[1]}*${number}`;
      const encoded = `${wanted}*`;
      const next = left.findIndex(({ name }) => name === wanted || name === encoded);
      const [section] = next < 0 ? [] : left.splice(next, 1);
      if (section === undefined) break;
      if (next < at) at -= 1;
      sections.push({ value: section.value, isEncoded: section.name !== wanted });
    }
    left[at] = joinedSections(head[1] ?? "", sections);
  }
  return left;
}

function joinedSections(
  name: string,
  sections: readonly { readonly value: string; readonly isEncoded: boolean }[],
): Parameter {
  if (!sections.some(({ isEncoded }) => isEncoded)) {
    return { name, value: sections.map(({ value }) => value).join("") };
  }
  const values = sections.map(({ value, isEncoded }) =>
    isEncoded ? value : percentEncoded(value),
  );
  const charset = sections[0]?.isEncoded ? "" : "''";
  return { name: `${name}*`, value: charset + values.join("") };
}

function percentEncoded(value: string): string {
  return value.replace(
    /[^!#$&+\-.0-9A-Z^_`a-z{|}~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Letters of ASCII alone are changed. */
export function upper(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}
