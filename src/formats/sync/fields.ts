/**
 * The fields of the protocol's kvlists as tables: each row is a key, the property it becomes and
 * its type. One table serves the reader and the printer, so that they cannot drift apart.
 */
import { dateOf, FieldError, latin1Of, lookUp, u32Of, u64Of } from "../dlist/access.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistLatin1,
  dlistNumber,
  NIL,
} from "../dlist/value.ts";

/** How values of one type are parsed and printed. Parsing throws FieldError. */
export interface FieldType<Value> {
  readonly parse: (value: DlistValue, key: string) => Value;
  readonly print: (value: Value) => DlistValue;
}

export const LATIN1: FieldType<string> = { parse: latin1Of, print: dlistLatin1 };
export const U32: FieldType<number> = { parse: u32Of, print: dlistNumber };
export const U64: FieldType<bigint> = { parse: u64Of, print: dlistNumber };
/** Unix seconds. */
export const DATE: FieldType<number> = { parse: dateOf, print: dlistNumber };
export const LATIN1_OR_NIL: FieldType<string | null> = {
  parse: (value, key) => (value.kind === "nil" ? null : latin1Of(value, key)),
  print: (value) => (value === null ? NIL : dlistLatin1(value)),
};

/** One row of a table whose fields belong to `Shape`. */
export interface Field<Shape> {
  readonly key: string;
  /** Parses the value into `target`. Throws FieldError. */
  readonly read: (value: DlistValue, target: Partial<Shape>) => void;
  /** Undefined if `source` does not have it. */
  readonly print: (source: Partial<Shape>) => DlistValue | undefined;
}

/** Makes a row: `key` in the protocol is `property` of the shape. */
export function field<Shape, Property extends keyof Shape>(
  key: string,
  property: Property,
  type: FieldType<Exclude<Shape[Property], undefined>>,
): Field<Shape> {
  return {
    key,
    read: (value, target) => {
      target[property] = type.parse(value, key);
    },
    print: (source) => {
      const value: Shape[Property] | undefined = source[property];
      return value === undefined
        ? undefined
        : type.print(value as Exclude<Shape[Property], undefined>);
    },
  };
}

/**
 * Reads the fields of `table` that are present. The first of several equal keys counts and unknown
 * keys are ignored. Throws FieldError for a malformed one, and for a missing one of `required`.
 */
export function readFields<Shape>(
  kvlist: DlistKvlist,
  table: readonly Field<Shape>[],
  required: ReadonlySet<string>,
): Partial<Shape> {
  const found: Partial<Shape> = {};
  for (const row of table) {
    const value = lookUp(kvlist, row.key);
    if (value !== undefined) row.read(value, found);
    else if (required.has(row.key)) throw new FieldError(row.key, "a field that is there");
  }
  return found;
}

/** The pairs of a kvlist, in the order of `table`. */
export function printFields<Shape>(
  source: Partial<Shape>,
  table: readonly Field<Shape>[],
): (readonly [string, DlistValue | undefined])[] {
  return table.map((row) => [row.key, row.print(source)] as const);
}
