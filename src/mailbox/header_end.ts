/**
 * Where the header of a message ends for Cyrus, which keeps it in the index and in the cache. Seen
 * with 3.6.1, which was sent messages of each kind: a line of CR LF alone ends the header (the line
 * before it may end in a bare LF), and without one the whole message is header; header_size stops
 * at the first NUL of the header, while the content begins after the empty line as ever.
 */
const LF = 10;
const CR = 13;

/** Finds the end of a header in bytes that come in pieces. */
export class HeaderEnd {
  #at = 0;
  #nul: number | undefined;
  #contentOffset: number | undefined;
  /** What has been seen of the line: nothing, one CR, or more. */
  #line: "" | "cr" | "more" = "";

  feed(bytes: Uint8Array): void {
    if (this.#contentOffset === undefined) {
      const end = this.#scan(bytes);
      if (end !== undefined) this.#contentOffset = this.#at + end;
      const nul = this.#nul === undefined ? bytes.subarray(0, end).indexOf(0) : -1;
      if (nul !== -1) this.#nul = this.#at + nul;
    }
    this.#at += bytes.length;
  }

  /** Bytes up to and with the empty line; undefined where none has come yet. */
  get contentOffset(): number | undefined {
    return this.#contentOffset;
  }

  /** The same, or up to the first NUL; undefined where neither has come yet. */
  get headerSize(): number | undefined {
    return this.#nul ?? this.#contentOffset;
  }

  /** The offset after the first empty line in `bytes`. */
  #scan(bytes: Uint8Array): number | undefined {
    let at = 0;
    while (at < bytes.length) {
      const byte = bytes[at++];
      if (byte === LF) {
        if (this.#line === "cr") return at;
        this.#line = "";
      } else if (byte === CR && this.#line === "") this.#line = "cr";
      else {
        this.#line = "more";
        const next = bytes.indexOf(LF, at); // nothing before the line's end matters
        at = next === -1 ? bytes.length : next;
      }
    }
    return undefined;
  }
}
