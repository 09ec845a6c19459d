/** Prints dlist byte for byte as Cyrus does, as checksums demand (sync-protocol.md 2.2). */
import { assert, unreachable } from "../../core/assert.ts";
import { concat, fromLatin1, latin1 } from "../../core/bytes.ts";
import {
  type DlistEntry,
  type DlistFile,
  type DlistValue,
  INLINE_BYTES,
  isAtomText,
} from "./value.ts";

export interface PrintOptions {
  /**
   * Which side of the protocol prints. A client writes literals as `{n+}` and a server as `{n}`,
   * without any negotiation; a new Cyrus crashes on the wrong form or refuses it (2.3).
   */
  readonly from: "client" | "server";
}

const SAFE = 0;
const QUOTED_ONLY = 1;
const LITERAL_ONLY = 2;

/** For each byte value, the simplest form (atom, quoted, literal) that can hold it. */
const FORM_OF_BYTE = new Uint8Array(256).map((_, byte) => {
  const char = String.fromCharCode(byte);
  if (byte >= 0x80 || byte === 0 || '\r\n"%\\'.includes(char)) return LITERAL_ONLY;
  return byte <= 0x20 || byte === 0x7f || "{()*".includes(char) ? QUOTED_ONLY : SAFE;
});

/** One value as bytes. A file must have its content. */
export function printValue(value: DlistValue, options: PrintOptions): Uint8Array {
  const out = new Output(options);
  out.value(value);
  return out.finish();
}

/** Prints `NAME value`, without a line end. */
export function printLine(
  name: string,
  value: DlistValue,
  options: PrintOptions,
): Uint8Array<ArrayBuffer> {
  const out = new Output(options);
  out.text(`${name} `);
  out.value(value);
  return out.finish();
}

/** Prints `%{partition guid size}` and CRLF, which stand before the bytes of a message. */
export function printFileHead(file: DlistFile, options: PrintOptions): Uint8Array {
  const out = new Output(options);
  out.fileHead(file);
  return out.finish();
}

/** Collects output: text in one string, and bytes only where they are not text. */
class Output {
  readonly #parts: Uint8Array[] = [];
  readonly #literalMark: string;
  #text = "";

  constructor(options: PrintOptions) {
    this.#literalMark = options.from === "client" ? "+}\r\n" : "}\r\n";
  }

  text(latin1Text: string): void {
    this.#text += latin1Text;
  }

  value(value: DlistValue): void {
    switch (value.kind) {
      case "nil":
        this.text("NIL");
        break;
      case "flag":
        this.text(latin1(value.bytes));
        break;
      case "atom":
        this.text(value.text);
        break;
      case "string":
        this.string(value.bytes);
        break;
      case "list":
        this.#list(value.items);
        break;
      case "kvlist":
        this.#kvlist(value.entries);
        break;
      case "file":
        assert(value.content?.length === value.size, "a file is printed with its whole content");
        this.fileHead(value);
        this.#bytes(value.content);
        break;
      default:
        unreachable(value);
    }
  }

  /** Prints an atom if it can be one, else quoted, else a literal; Cyrus writes no escapes. */
  string(bytes: Uint8Array): void {
    const form = formOf(bytes);
    if (form === LITERAL_ONLY) {
      this.text(`{${bytes.length}${this.#literalMark}`);
      this.#bytes(bytes);
      return;
    }
    const text = latin1(bytes);
    this.text(form === QUOTED_ONLY || text === "NIL" ? `"${text}"` : text);
  }

  /** Prints a name: as `string` does, but without a detour where it is an atom, as most are. */
  name(latin1Text: string): void {
    if (isAtomText(latin1Text)) this.text(latin1Text);
    else this.string(fromLatin1(latin1Text));
  }

  #list(items: readonly DlistValue[]): void {
    let mark = "(";
    for (const item of items) {
      this.text(mark);
      this.value(item);
      mark = " ";
    }
    this.text(items.length === 0 ? "()" : ")");
  }

  #kvlist(entries: readonly DlistEntry[]): void {
    let mark = "%(";
    for (const entry of entries) {
      this.text(mark);
      this.name(entry.name);
      this.text(" ");
      this.value(entry.value);
      mark = " ";
    }
    this.text(entries.length === 0 ? "%()" : ")");
  }

  /** A head has no room for a literal: a partition that needs one is left unnamed. */
  fileHead(file: DlistFile): void {
    const isWord = formOf(fromLatin1(file.partition)) !== LITERAL_ONLY;
    this.text("%{");
    this.name(isWord ? file.partition : "");
    this.text(` ${file.guid} ${file.size}}\r\n`);
  }

  finish(): Uint8Array<ArrayBuffer> {
    if (this.#parts.length === 0) return fromLatin1(this.#text);
    this.#flush();
    return concat(this.#parts);
  }

  #bytes(bytes: Uint8Array): void {
    this.#flush();
    this.#parts.push(bytes);
  }

  #flush(): void {
    if (this.#text !== "") this.#parts.push(fromLatin1(this.#text));
    this.#text = "";
  }
}

function formOf(bytes: Uint8Array): number {
  if (bytes.length === 0) return QUOTED_ONLY;
  if (bytes.length >= INLINE_BYTES) return LITERAL_ONLY;
  let form = SAFE;
  for (let at = 0; at < bytes.length; at++) {
    const needed = FORM_OF_BYTE[bytes[at] ?? 0] ?? LITERAL_ONLY;
    if (needed > form) form = needed;
  }
  return form;
}
