/** Text from mail, names and peers, made safe to show. */

/**
 * Control, bidi and other invisible characters as escapes: foreign text must not move the cursor, forge
 * a line or hide a part of itself. A lone surrogate is escaped too.
 */
export function escapeText(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
