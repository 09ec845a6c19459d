/** Text from mail, names and peers, made safe to show. */

/**
 * Escapes control, bidi and other invisible characters and lone surrogates: foreign text must not
 * move the cursor, forge a line or hide a part of itself.
 */
export function escapeText(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
