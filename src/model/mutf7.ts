/**
 * Modified UTF-7, which mailbox names use for characters outside ASCII (RFC 3501, 5.1.3): `&`
 * begins a run of UTF-16 in base64, with `,` for `/` and without padding; `-` ends it; `&-` is an
 * ampersand.
 */

/**
 * The text of a name in modified UTF-7, or undefined for a malformed one: 8-bit bytes, a run cut
 * short, a lone surrogate, or ASCII that was encoded without need. So only what `encodeMutf7` would
 * give is decoded.
 */
export function decodeMutf7(name: string): string | undefined {
  if (/[^\x20-\x7e]/.test(name)) return undefined;
  let valid = true;
  const text = name.replace(/&([^-]*)(-?)/g, (_, run: string, end: string) => {
    if (end === "") valid = false;
    return run === "" ? "&" : decodeRun(run);
  });
  return valid && text.isWellFormed() && encodeMutf7(text) === name ? text : undefined;
}

function decodeRun(run: string): string {
  const bytes = Buffer.from(run.replaceAll(",", "/"), "base64");
  return bytes
    .subarray(0, bytes.length & ~1)
    .swap16()
    .toString("utf16le");
}

/** `text` in modified UTF-7. */
export function encodeMutf7(text: string): string {
  return text.replace(/&|[^\x20-\x7e]+/g, (run) => {
    if (run === "&") return "&-";
    const bytes = Buffer.from(run, "utf16le").swap16();
    return `&${bytes.toString("base64").replaceAll("/", ",").replace(/=+$/, "")}-`;
  });
}
