/** What the dlist parser gives out. */
import type { Guid } from "../../model/guid.ts";
import type { DlistValue } from "./value.ts";

/** What is complete where the parser stopped. */
export type ParserEvent =
  | { readonly kind: "more" }
  | { readonly kind: "done"; readonly name: string; readonly value: DlistValue }
  | DlistItemEvent
  | FileStartEvent
  | { readonly kind: "fileData"; readonly bytes: Uint8Array }
  | { readonly kind: "fileEnd" };

/** An item of a list whose items are given out; `name` is that of the line, `key` of the list. */
export interface DlistItemEvent {
  readonly kind: "item";
  readonly name: string;
  readonly key: string;
  readonly value: DlistValue;
}

/** A file literal begins: its GUID is well-formed, and `size` bytes follow as `fileData` events. */
export interface FileStartEvent {
  readonly kind: "fileStart";
  /** The name of the line that the file stands in. */
  readonly name: string;
  /** Latin1 text: each character is one byte. */
  readonly partition: string;
  readonly guid: Guid;
  readonly size: number;
}
