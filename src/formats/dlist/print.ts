/**
 * Prints dlist values byte for byte as Cyrus does (sync-protocol.md 2.2): the wire, its captures and
 * its checksums leave no choice of form.
 */
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
   * Who prints: a client's literals are `{n+}` and a server's are `{n}`, with no handshake in either
   * direction. New Cyrus dies of the one and refuses the other (2.3).
   */
  readonly from: "client" | "server";
}

const SAFE = 0;
const QUOTED_ONLY = 1;
const LITERAL_ONLY = 2;

/** For each byte the weakest form that may hold it. */
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

/** `NAME value`, without the line end. */
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

/** `%{partition guid size}` and CRLF: what stands before the bytes of a message. */
export function printFileHead(file: DlistFile, options: PrintOptions): Uint8Array {
  const out = new Output(options);
  out.fileHead(file);
  return out.finish();
}

/** Gathers text in one string and copies bytes only where they are not text. */
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

  /** The astring rule: atom, else quoted, else literal. No escapes are ever made. */
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

  /** Text that is most often an atom. */
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

  fileHead(file: DlistFile): void {
    this.text("%{");
    this.name(file.partition);
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
