/**
 * Addresses and subject as Cyrus keeps them for its searches: in UTF-8, encoded words decoded.
 * One character a byte.
 */
import { latin1, utf8 } from "../../core/bytes.ts";
import type { Address } from "./addresses.ts";
import { decodeWords } from "./encoded_words.ts";

export interface SearchForm {
  /** True: in lower case and without accents. */
  readonly isFolded: boolean;
  /** True: names are quoted where they are not of atoms. */
  readonly hasQuotes: boolean;
}

/** A decoded text without folds, up to its first NUL; one character a byte of its UTF-8. */
export function searchText(text: string, { isFolded }: SearchForm): string {
  const decoded = decodeWords(text).replace(/\0.*$/s, "");
  return latin1(utf8(isFolded ? folded(decoded) : decoded));
}

function folded(text: string): string {
  const base = text.normalize("NFKD").replace(/\p{Mark}/gu, "");
  return base.toLowerCase().replaceAll("ß", "ss");
}

/** `name <mailbox@domain>,group:<mailbox@domain>;` and so on. */
export function searchAddresses(list: readonly Address[] | undefined, form: SearchForm): string {
  let text = "";
  let isFirst = true;
  for (const { name, route, mailbox, domain } of list ?? []) {
    if (mailbox === undefined) {
      text += ";";
      isFirst = false;
      continue;
    }
    if (!isFirst) text += ",";
    isFirst = domain === undefined;
    if (domain === undefined) {
      text += `${searchText(mailbox, form)}:`;
      continue;
    }
    if (name) text += `${phrase(searchText(name, form), form)} `;
    text += `<${route ? `${lower(route)}:` : ""}${lower(mailbox)}@${lower(domain)}>`;
  }
  return text;
}

/** A phrase, quoted where it is not of atoms and spaces. */
function phrase(text: string, { hasQuotes }: SearchForm): string {
  if (!hasQuotes || /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\s]*$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Letters of ASCII alone are changed. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
