/** The header fields that Cyrus keeps in a cache record as they stand in the message. */
import { fieldSpans } from "../../formats/mime/header_fields.ts";
import type { CacheDialect } from "./cache_dialect.ts";

/** Fields that are in the ENVELOPE already, or that no mail program asks for. */
const LEFT_OUT = new Set(
  (
    "archived-at arc-seal arc-message-signature arc-authentication-results bcc cc date " +
    "authentication-results delivery-date disposition-notification-options dkim-signature " +
    "domainkey-signature envelope-to from in-reply-to mime-version " +
    "original-encoded-information-types received received-spf return-path subject to"
  ).split(" "),
);

/** The only fields with names of this kind that are kept. */
const KEPT_X = new Set(
  (
    "x-apple-base-url x-apple-mail-remote-attachments x-cyrus-session-id x-delivered-to " +
    "x-mail-from x-mailer x-me-message-id x-msmail-priority x-priority x-ref x-resolved-to " +
    "x-spam-score x-trace x-truedomain-domain x-uniform-type-identifier " +
    "x-universally-unique-identifier"
  ).split(" "),
);

/** The cached fields of a header, each with CR LF behind it. One character a byte. */
export function cachedFields(header: string, { hasMessageId }: CacheDialect): string {
  let text = "";
  for (const { name, start, end } of fieldSpans(header)) {
    if (LEFT_OUT.has(name) || (name.startsWith("x-") && !KEPT_X.has(name))) continue;
    if (name === "message-id" && !hasMessageId) continue;
    text += `${header.slice(start, end).replace(/\r?\n$/, "")}\r\n`;
  }
  return text;
}
