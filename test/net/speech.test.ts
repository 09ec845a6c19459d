import { describe, expect, test } from "bun:test";
import { fromLatin1 } from "../../src/core/bytes.ts";
import { recogniseSpeech, type Speech } from "../../src/net/speech.ts";

/** First bytes of servers, as they were read from them. */
const GREETINGS: readonly (readonly [Speech | undefined, string])[] = [
  ["csync", "* SASL PLAIN SCRAM-SHA-256\r\n* STARTTLS\r\n"],
  ["csync", "* STARTTLS\r\n* COMPRESS DEFLATE\r\n"],
  ["csync", "* OK beta Cyrus sync server 3.6.1-Debian\r\n"],
  ["csync", "* OK beta Cyrus sync server v2.4.17-git\r\n"],
  ["IMAP", "* OK [CAPABILITY IMAP4rev1 LITERAL+] beta Cyrus IMAP 3.6.1 server ready\r\n"],
  ["IMAP", "* OK Dovecot ready.\r\n"],
  ["IMAP", "* BYE IMAP service is not allowed from here\r\n"],
  ["MUPDATE", '* AUTH "PLAIN"\r\n* OK MUPDATE "beta" "Cyrus" "3.6.1"\r\n'],
  ["LMTP", "220 beta Cyrus LMTP 3.6.1-Debian server ready\r\n"],
  ["SMTP or FTP", "220 mail.example.org ESMTP Postfix\r\n"],
  ["SMTP or FTP", "220-two lines\r\n220 of it\r\n"],
  ["POP3", "+OK beta Cyrus POP3 3.6.1 server ready\r\n"],
  ["ManageSieve", '"IMPLEMENTATION" "Cyrus timsieved 3.6.1"\r\n"SIEVE" "fileinto"\r\n'],
  ["NNTP", "200 beta Cyrus NNTP 3.6.1 server ready, posting allowed\r\n"],
  ["SSH", "SSH-2.0-OpenSSH_9.2p1\r\n"],
  ["HTTP", "HTTP/1.1 400 Bad Request\r\n"],
  ["HTTP", "<html><head><title>400</title>"],
  ["TLS", "\x15\x03\x01\x00\x02\x02\x46"],
  ["TLS", "\x16\x03\x03\x00\x7a"],
  [undefined, "* OK ready\r\n"],
  [undefined, "hello\r\n"],
  [undefined, ""],
];

describe("recogniseSpeech()", () => {
  test.each(GREETINGS.map(([speech, text]) => ({ speech, text })))("%j", ({ speech, text }) => {
    expect(recogniseSpeech(fromLatin1(text))).toBe(speech);
  });
});
