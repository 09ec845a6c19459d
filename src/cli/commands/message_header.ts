/** From and Subject of a message (RFC 5322, RFC 2047), decoded by postal-mime, unescaped. */
import { addressParser, decodeWords } from "postal-mime";
import { concat, latin1, textOf } from "../../core/bytes.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { MessageContent } from "../../places/place.ts";

export interface MessageHeader {
  /** Empty if the message has no such field. */
  readonly from: string;
  readonly subject: string;
}

/** Reads the header of a message, and no more of the message than that. */
export async function readMessageHeader(content: MessageContent): Promise<MessageHeader> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content.chunks()) {
    const room = DEFAULT_LIMITS.messageHeaderBytes - length;
    parts.push(chunk.subarray(0, room));
    length += chunk.length;
    if (chunk.length >= room || latin1(chunk).search(BLANK_LINE) >= 0) break;
  }
  return parseMessageHeader(concat(parts));
}

const BLANK_LINE = /\r?\n\r?\n/;

/** Parses From and Subject from the first bytes of a message. */
export function parseMessageHeader(bytes: Uint8Array): MessageHeader {
  const text = textOf(bytes) ?? latin1(bytes);
  const [head = ""] = text.split(BLANK_LINE, 1);
  return { from: addresses(fieldOf(head, "from")), subject: decodeWords(fieldOf(head, "subject")) };
}

/** The value of the first field of this name, its lines joined; empty if there is none. */
function fieldOf(head: string, name: string): string {
  const field = new RegExp(`^${name}[ \\t]*:(.*(?:\\r?\\n[ \\t].*)*)`, "im").exec(head);
  return (field?.[1] ?? "").replace(/\r?\n[ \t]+/g, " ").trim();
}

/** Formats addresses as `Ann <ann@example.com>, bob@example.com`; other text stays. */
function addresses(field: string): string {
  const shown = addressParser(field, { flatten: true })
    .map(({ name, address }) => {
      if (!address) return name;
      return name ? `${name} <${address}>` : address;
    })
    .join(", ");
  return shown === "" ? decodeWords(field) : shown;
}
