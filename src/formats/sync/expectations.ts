/** What stands on a line of the protocol after its first words, in either direction and flavour (sync-protocol.md 1.3). */
import { ANSWER_NAMES } from "./answer.ts";

/** Of a server's lines: after a star and a known name comes a dlist value; everything else is text. */
export function expectAnswer(words: readonly string[]): "word" | "value" | "text" {
  const [first, second] = words;
  if (first === undefined) return "word";
  if (first !== "*") return "text";
  if (second === undefined) return "word";
  return ANSWER_NAMES.has(second) ? "value" : "text";
}

/** Of a client's lines: after GET, APPLY and RESTORE, in IMAP with a tag and SYNC before them, comes a dlist line. */
export function expectCommand(words: readonly string[]): "word" | "line" | "text" {
  const isTagged = /^[A-Za-z]{1,4}\d{1,9}$/.test(words[0] ?? "");
  const verb = words[isTagged ? 1 : 0];
  if (verb === undefined) return "word";
  return /^(SYNC)?(GET|APPLY|RESTORE)$/i.test(verb) ? "line" : "text";
}
