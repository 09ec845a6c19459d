import { describe, expect, test } from "bun:test";
import { fromLatin1 } from "../../src/core/bytes.ts";
import { HeaderEnd } from "../../src/mailbox/header_end.ts";
import { HEADER_ENDS } from "../support/odd_messages.ts";

describe("HeaderEnd", () => {
  test("ends a header where Cyrus does, however the bytes come", () => {
    for (const [message, ...expected] of HEADER_ENDS) {
      const bytes = fromLatin1(message);
      for (let piece = 1; piece <= bytes.length; piece++) {
        const end = new HeaderEnd();
        for (let at = 0; at < bytes.length; at += piece) end.feed(bytes.subarray(at, at + piece));
        const found = [end.headerSize ?? bytes.length, end.contentOffset ?? bytes.length];
        expect({ message, piece, found }).toEqual({ message, piece, found: expected });
      }
    }
  });
});
