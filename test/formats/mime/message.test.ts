/** The structure of a message: where parts lie, whatever the message is, and what it may cost. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1 } from "../../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { headerText, type MimePart, parseMessage } from "../../../src/formats/mime/message.ts";
import { HeaderEnd } from "../../../src/mailbox/header_end.ts";
import { zooMessages } from "../../support/mail_zoo.ts";
import { HEADER_ENDS, ODD_MESSAGES } from "../../support/odd_messages.ts";
import { property } from "../../support/property.ts";

const parse = (message: string) => parseMessage(fromLatin1(message));

function* partsOf(part: MimePart): Generator<MimePart> {
  yield part;
  for (const one of part.message ? [part.message] : part.parts) yield* partsOf(one);
}

function holdInside(message: Uint8Array): void {
  for (const part of partsOf(parseMessage(message))) {
    const { headerOffset, headerSize, contentOffset, contentSize } = part;
    const isInside =
      headerOffset + headerSize <= message.length &&
      headerOffset <= contentOffset &&
      contentOffset <= message.length &&
      contentSize >= 0 &&
      contentSize <= message.length;
    if (!isInside) expect(part).toBeUndefined();
  }
}

describe("parseMessage()", () => {
  test("says where each part lies", () => {
    const message =
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: 1\r\n\r\none\r\n--b\r\n" +
      "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n--b--\r\n";
    const [one, two] = parse(message).parts;
    const content = (part: MimePart | undefined) =>
      part && message.slice(part.contentOffset, part.contentOffset + part.contentSize);
    expect(one && headerText(fromLatin1(message), one)).toBe("X: 1\r\n\r\n");
    expect(content(one)).toBe("one");
    expect(content(two)).toBe("Subject: in\r\n\r\ntwo");
    expect(content(two?.message)).toBe("two");
    expect(two?.message?.fields.subject).toBe("in");
  });

  test("finds the end of a header where the index has it", () => {
    for (const [message, headerSize, contentOffset] of HEADER_ENDS) {
      const part = parse(message);
      expect([message, part.headerSize, part.contentOffset]).toEqual([
        message,
        headerSize,
        contentOffset,
      ]);
    }
  });

  test("keeps all parts inside of the message", () => {
    for (const message of zooMessages(0, 100)) holdInside(message);
    for (const message of ODD_MESSAGES) holdInside(fromLatin1(message));
    property(fc.uint8Array({ maxLength: 200 }), holdInside);
  });

  test("agrees with the index's header_size on every message of the zoo", () => {
    for (const message of zooMessages(0, 100)) {
      const end = new HeaderEnd();
      end.feed(message);
      expect(parseMessage(message).headerSize).toBe(end.headerSize ?? message.length);
    }
  });

  test("ends at the limits of depth", () => {
    const { mimeMultiparts, mimeMessages } = DEFAULT_LIMITS;
    const depthOf = (message: string) => [...partsOf(parse(message))].length;
    const open = (_: unknown, at: number) =>
      `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`;
    const multiparts = Array.from({ length: mimeMultiparts + 5 }, open).join("");
    expect(depthOf(multiparts)).toBe(mimeMultiparts);
    const messages = "Content-Type: message/rfc822\r\n\r\n".repeat(mimeMessages + 5);
    expect(depthOf(messages)).toBe(mimeMessages + 1);
  });
});
