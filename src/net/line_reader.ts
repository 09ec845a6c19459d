/** Lines, and bytes in between whose number is known, from a connection. */
import { concat } from "../core/bytes.ts";
import type { Connection, ReadResult } from "./connection.ts";

const LF = 10;
const CR = 13;

export interface LineReaderOptions {
  /** The longest line, in bytes. */
  readonly lineBytes: number;
  /** What was read before, and belongs to the lines. */
  readonly rest?: Uint8Array;
}

export class LineReader {
  readonly #connection: Connection;
  readonly #lineBytes: number;
  #rest: Uint8Array;

  constructor(connection: Connection, { lineBytes, rest = new Uint8Array() }: LineReaderOptions) {
    this.#connection = connection;
    this.#lineBytes = lineBytes;
    this.#rest = rest;
  }

  /** The next line without its LF or CRLF; `leftMs` tells how long to wait for more of it. */
  async line(leftMs: () => number): Promise<ReadResult | "tooLong"> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const got = await this.#some(leftMs);
      if (typeof got === "string") return got;
      const end = got.indexOf(LF);
      const part = end < 0 ? got : got.subarray(0, end);
      parts.push(part);
      length += part.length;
      if (length > this.#lineBytes) return "tooLong";
      if (end < 0) continue;
      this.#rest = got.subarray(end + 1);
      const line = parts.length === 1 ? part : concat(parts);
      return line.at(-1) === CR ? line.subarray(0, -1) : line;
    }
  }

  /** The next bytes, `most` of them at most. */
  async bytes(most: number, leftMs: () => number): Promise<ReadResult> {
    const got = await this.#some(leftMs);
    if (typeof got === "string" || got.length <= most) return got;
    this.#rest = got.subarray(most);
    return got.subarray(0, most);
  }

  async #some(leftMs: () => number): Promise<ReadResult> {
    const rest = this.#rest;
    if (rest.length === 0) return this.#connection.read(leftMs());
    this.#rest = new Uint8Array();
    return rest;
  }
}
