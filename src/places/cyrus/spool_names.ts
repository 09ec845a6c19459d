/**
 * What a mailbox folder's path says of its name (spool-format 6.2): `a/user/ann/Sent` is user.ann.Sent,
 * `domain/e/example.com/a/user/ann` is example.com!user.ann. Folders by uniqueid say nothing.
 */

import { latin1, utf8 } from "../../core/bytes.ts";

/** The internal name of the mailbox at `relative`, or undefined for the uuid layout and the root. */
export function nameOfRelative(relative: string): string | undefined {
  // Names are bytes, one character each; a path comes as the text that its bytes spell in UTF-8.
  const parts = latin1(utf8(relative))
    .split("/")
    .filter((part) => part !== "");
  if (parts[0] === "uuid" || parts.length === 0) return undefined;
  if (parts[0] !== "domain") return join(withoutHash(parts));
  const [, ...rest] = parts;
  const [domain, ...below] = withoutHash(rest);
  if (domain === undefined || below.length === 0) return undefined;
  const name = join(withoutHash(below));
  return name === undefined ? undefined : `${domain}!${name}`;
}

/** With hashimapspool the first folder is one letter: a name of one letter has it twice. */
function withoutHash(parts: readonly string[]): readonly string[] {
  return parts.length > 1 && parts[0]?.length === 1 ? parts.slice(1) : parts;
}

function join(parts: readonly string[]): string | undefined {
  return parts.length === 0 ? undefined : parts.join(".");
}
