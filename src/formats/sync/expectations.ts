/** What follows the first words of a line of the protocol (sync-protocol.md 1.3). */
import { ANSWER_NAMES } from "./answer.ts";

/** What follows on a line of a server: a dlist value after a star and a known name, else text. */
export function expectAnswer(words: readonly string[]): "word" | "value" | "text" {
  const [first, second] = words;
  if (first === undefined) return "word";
  if (first !== "*") return "text";
  if (second === undefined) return "word";
  return ANSWER_NAMES.has(second) ? "value" : "text";
}

/** On a line of a client: dlist after GET, APPLY and RESTORE, in IMAP behind tag and SYNC. */
export function expectCommand(words: readonly string[]): "word" | "line" | "text" {
  const isTagged = /^[A-Za-z]{1,4}\d{1,9}$/.test(words[0] ?? "");
  const verb = words[isTagged ? 1 : 0];
  if (verb === undefined) return "word";
  return /^(SYNC)?(GET|APPLY|RESTORE)$/i.test(verb) ? "line" : "text";
}
