/** Shows dlist to people, short values on one line and long ones on several, and as JSON. */
import { fromLatin1, latin1, textOf } from "../../core/bytes.ts";
import { escapeText } from "../../core/escape.ts";
import { printFileHead, printValue } from "../../formats/dlist/print.ts";
import type { DlistValue } from "../../formats/dlist/value.ts";

const LINE_WIDTH = 100;
/** The number of bytes of a long string that are shown. */
const SHOWN_BYTES = 200;
const CLIENT = { from: "client" } as const;

/** `head` and `value` as escaped lines; what is too long for one is indented. */
export function dlistLines(head: string, value: DlistValue, indent = ""): string[] {
  const flat = flatText(value);
  const one = `${indent}${head}${head === "" ? "" : " "}${flat}`;
  const isNested = value.kind === "list" || value.kind === "kvlist";
  if (one.length <= LINE_WIDTH || !isNested) return [one];
  const inner = `${indent}  `;
  const body =
    value.kind === "list"
      ? value.items.flatMap((item) => dlistLines("", item, inner))
      : value.entries.flatMap(({ name, value: child }) =>
          dlistLines(shown(fromLatin1(name)), child, inner),
        );
  const opening = value.kind === "list" ? "(" : "%(";
  return [`${indent}${head}${head === "" ? "" : " "}${opening}`, ...body, `${indent})`];
}

function flatText(value: DlistValue): string {
  switch (value.kind) {
    case "list":
      return `(${value.items.map(flatText).join(" ")})`;
    case "kvlist": {
      const pairs = value.entries.map(
        ({ name, value: child }) => `${shown(fromLatin1(name))} ${flatText(child)}`,
      );
      return `%(${pairs.join(" ")})`;
    }
    case "file":
      return shown(printFileHead(value, CLIENT).subarray(0, -2));
    case "string": {
      if (value.bytes.length > SHOWN_BYTES || value.bytes.includes(0x0a)) return long(value.bytes);
      const printed = latin1(printValue(value, CLIENT)).replace(/^\{\d+\+\}\r\n/, "");
      return shown(fromLatin1(printed));
    }
    default:
      return shown(printValue(value, CLIENT));
  }
}

function long(bytes: Uint8Array): string {
  const more = bytes.length > SHOWN_BYTES ? " …" : "";
  return `{${bytes.length}} ${shown(bytes.subarray(0, SHOWN_BYTES))}${more}`;
}

function shown(bytes: Uint8Array): string {
  return escapeText(textOf(bytes) ?? latin1(bytes));
}

/** `value` as JSON: the first of equal names counts, and other than UTF-8 is base64. */
export function dlistJson(value: DlistValue): unknown {
  switch (value.kind) {
    case "nil":
      return null;
    case "list":
      return value.items.map(dlistJson);
    case "kvlist": {
      const found = new Map<string, unknown>();
      for (const { name, value: child } of value.entries) {
        if (!found.has(name)) found.set(name, dlistJson(child));
      }
      return Object.fromEntries(found);
    }
    case "file":
      return { partition: value.partition, guid: value.guid, size: value.size };
    case "atom":
      return value.text;
    default:
      return textOf(value.bytes) ?? { base64: Buffer.from(value.bytes).toString("base64") };
  }
}
