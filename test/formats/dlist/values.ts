/** Arbitrary dlist values for property tests. */
import fc from "fast-check";
import { fromLatin1 } from "../../../src/core/bytes.ts";
import type { DlistValue } from "../../../src/formats/dlist/value.ts";
import { NIL } from "../../../src/formats/dlist/value.ts";

const text = fc.oneof(
  fc.constantFrom("NIL", "", "user.anne", "Two Words", "%", "{3}", "a\tb", "\r\n", "\\x", '"', "*"),
  fc.string({ unit: "binary", maxLength: 8 }).map((value) => Buffer.from(value).toString("latin1")),
  fc.integer({ min: 1020, max: 1028 }).map((length) => "x".repeat(length)),
);
const bytes = fc.oneof(fc.uint8Array({ maxLength: 12 }), text.map(fromLatin1));
const atom = fc.stringMatching(/^[A-Za-z0-9$_.-]{1,10}$/);

const file = fc
  .tuple(atom, fc.stringMatching(/^[0-9a-f]{40}$/), fc.uint8Array({ maxLength: 40 }))
  .map(([partition, guid, content]): DlistValue => {
    return { kind: "file", partition, guid, size: content.length, content };
  });

/** Any value, nested up to a few levels. */
export const anyValue: fc.Arbitrary<DlistValue> = fc.letrec<{ value: DlistValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    bytes.map((content): DlistValue => ({ kind: "string", bytes: content })),
    fc.constant(NIL),
    atom.map((name): DlistValue => ({ kind: "flag", bytes: fromLatin1(`\\${name}`) })),
    file,
    fc.array(tie("value"), { maxLength: 5 }).map((items): DlistValue => ({ kind: "list", items })),
    fc
      .array(fc.record({ name: text.filter((name) => name !== ""), value: tie("value") }), {
        maxLength: 5,
      })
      .map((entries): DlistValue => ({ kind: "kvlist", entries })),
  ),
})).value;
