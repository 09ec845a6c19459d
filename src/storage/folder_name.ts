/** Names of folders for users and shared top levels. Nothing else that people name is a path. */
import { fromLatin1, latin1 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { sha1Of } from "../hash/sha1.ts";

/** NAME_MAX of every file system we know of, in bytes. */
const NAME_BYTES_MAX = 255;
/** The longest user id or top level that is taken, in bytes; Cyrus' own names end at 490. */
const OWNER_BYTES_MAX = 490;
const PLAIN = /[a-z0-9@+_.-]/;

/**
 * The folder name of a user id or shared top level, given in latin1 as everywhere: bytes outside
 * `[a-z0-9@+_.-]` and a leading dot as %XX. A name that would pass 255 bytes keeps its beginning
 * and ends in `%~` and its SHA-1; `%~` is no escape, so a shortened name equals no other. The
 * result depends on every byte of `name`.
 */
export function folderName(name: string): string {
  const bytes = fromLatin1(name);
  if (!/^[\x01-\xff]+$/.test(name) || bytes.length > OWNER_BYTES_MAX) {
    throw new AppError(
      "refused",
      `Cannot keep "${name}": a name has 1 to ${OWNER_BYTES_MAX} bytes`,
      {
        hint: "Names are bytes, as latin1, without NUL.",
      },
    );
  }
  const parts: string[] = [];
  for (const [at, byte] of bytes.entries()) {
    const letter = String.fromCharCode(byte);
    const plain = PLAIN.test(letter) && !(at === 0 && letter === ".");
    parts.push(plain ? letter : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`);
  }
  const encoded = parts.join("");
  if (encoded.length <= NAME_BYTES_MAX) return encoded;
  const ending = `%~${sha1Of(bytes)}`;
  let kept = "";
  for (const part of parts) {
    if (kept.length + part.length + ending.length > NAME_BYTES_MAX) break;
    kept += part;
  }
  return kept + ending;
}

/**
 * The name a folder was made from, or undefined if it is shortened or is no folder name of ours.
 */
export function nameOfFolder(folder: string): string | undefined {
  if (folder.includes("%~")) return undefined;
  const bytes: number[] = [];
  for (let at = 0; at < folder.length; at++) {
    if (folder[at] !== "%") {
      bytes.push(folder.charCodeAt(at));
      continue;
    }
    const hex = folder.slice(at + 1, at + 3);
    if (!/^[0-9A-F]{2}$/.test(hex)) return undefined;
    bytes.push(Number.parseInt(hex, 16));
    at += 2;
  }
  const name = latin1(Uint8Array.from(bytes));
  return name !== "" && folderName(name) === folder ? name : undefined;
}

/** The level of first letters: a to z, and q for all else, as Cyrus hashes. */
export function firstLetter(folder: string): string {
  const letter = folder[0] ?? "";
  return /[a-z]/.test(letter) ? letter : "q";
}
