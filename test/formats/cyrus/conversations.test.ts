import { describe, expect, test } from "bun:test";
import { fromLatin1 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { conversationModseqs } from "../../../src/formats/cyrus/conversations.ts";

function entries(records: Readonly<Record<string, string>>) {
  return Object.entries(records).map(([key, value]) => ({
    key: fromLatin1(key),
    value: fromLatin1(value),
  }));
}

describe("conversationModseqs()", () => {
  test("takes the first number of each mailbox, by uniqueid or by name", () => {
    const modseqs = conversationModseqs(
      entries({
        $FOLDER_IDS: "(3wmcipugz0ls013pyyiidzsy)",
        "<a@example.org>": "0 8b2d95b4d0d4e8c7 1795382363",
        B8b2d95b4d0d4e8c7: "1 (63 17 8)",
        F3wmcipugz0ls013pyyiidzsy: "0 (63 17 8 17 8)",
        "Fuser.ann.Sent": "0 (18446744073709551615 0 0)",
        Fempty: "0 (7)",
      }),
    );
    expect([...modseqs]).toEqual([
      ["3wmcipugz0ls013pyyiidzsy", 63n],
      ["user.ann.Sent", 18446744073709551615n],
      ["empty", 7n],
    ]);
  });

  test("refuses a record of a mailbox in another form", () => {
    for (const value of ["", "63", "0 (x)", "0 ()", "(63 1)"]) {
      expect(() => conversationModseqs(entries({ Fabc: value }))).toThrow(FormatError);
    }
  });
});
