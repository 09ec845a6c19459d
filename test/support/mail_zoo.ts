/**
 * Messages of every kind that mail programs, and broken ones, have been seen to write: made from a
 * seed, so that each can be made again. One character a byte while they are put together.
 */
import { fromLatin1 } from "../../src/core/bytes.ts";
import { type Dice, diceOf } from "./dice.ts";

/** The messages number `from` to `to` (exclusive) of the zoo. */
export function zooMessages(from: number, to: number): Uint8Array[] {
  return Array.from({ length: to - from }, (_, at) =>
    fromLatin1(message(diceOf(from + at), 0) || "\n"),
  );
}

const WORDS = ["a", "Foo", "bar.baz", "x1", "J\xf6rg", "\xc3\xb6", "it's", "100%", "\\", "de-DE"];

const CHARSETS = [
  ...[
    "us-ascii",
    "utf-8",
    "UTF-8",
    "iso-8859-1",
    "ISO-8859-15",
    "windows-1252",
    "koi8-r",
    "latin1",
  ],
  ...[
    "shift_jis",
    "gb2312",
    "big5",
    "euc-kr",
    "x-unknown",
    "unknown-8bit",
    "x-foo",
    "utf-8*en",
    "",
  ],
];

const ENCODED = [
  ...["abc", "F=C3=B6", "a_b", "=E4=FF", "=", "=4", "=zz", "a=\r\n b", "w7Y=", "w7Zh", "YWJj", "Y"],
  ...["YW Jj", "YWI=YWI=", "?", "=?", "\xe4", "_", "", "=3D=3F", "=00x", "=0D=0A", "aGVsbG8"],
];

function encodedWord(dice: Dice): string {
  const method = dice.pick(["q", "Q", "b", "B", "q", "b", "x", ""]);
  const parts = dice.some(3, () => dice.pick(ENCODED)).join("");
  const end = dice.pick(["?=", "?=", "?=", "?=", "?=", "?", ""]);
  return `=?${dice.pick(CHARSETS)}?${method}?${parts}${end}`;
}

const SPACES = [" ", " ", " ", " ", "  ", "\t", "\r\n ", "\r\n\t", "", "\n ", " \r\n  "];

function phrase(dice: Dice): string {
  const word = () =>
    dice.pick([
      () => dice.pick(WORDS),
      () => dice.pick(WORDS),
      () => encodedWord(dice),
      () => `"${dice.pick(WORDS)}${dice.pick([" ", '\\"', "\\\\", ",", "@", "(", "\r\n "])}q"`,
      () => `(${dice.pick(WORDS)}${dice.pick(["", "(n)", "\\)", " c"])})`,
    ])();
  return dice.some(4, () => word() + dice.pick(SPACES)).join("");
}

function domain(dice: Dice): string {
  return dice.pick([
    ...[
      "example.com",
      "EXAMPLE.org",
      "a.b.c",
      "[1.2.3.4]",
      "",
      "a..b",
      ".a.",
      "a_b",
      "a b",
      "x (c)",
    ],
    ...["h\xe4", "a.b (Real Name)", "x (a) (b)", "[IPv6:::1]", "a@b", "x.", "-", "a . b", "(c)x"],
  ]);
}

function address(dice: Dice): string {
  const local = () => dice.pick(["a", "A.b", '"q r"', "x y", "", "a\\b", "u+t", "\xf6", "a(c)b"]);
  return dice.pick([
    () => `${local()}@${domain(dice)}`,
    () => `${phrase(dice)}<${local()}@${domain(dice)}>`,
    () => `${phrase(dice)}<${local()}@${domain(dice)}>`,
    () => `${local()}@${domain(dice)} (${phrase(dice)})`,
    () => `<${dice.pick(["@r:", "@r,@s.t:", "@", "@r", ":"])}${local()}@${domain(dice)}>`,
    () => `${phrase(dice)}<${local()}${dice.pick([">", "", "> x", "@>", "<b@c>"])}`,
    () => local(),
    () => phrase(dice),
    () => `${phrase(dice)}:${dice.some(3, () => address(dice)).join(",")};`,
    () => dice.pick([";", ":", "<", ">", "@", "()", '"', "(", "undisclosed:;", "<>", "\0"]),
  ])();
}

function addressList(dice: Dice): string {
  return dice.some(4, () => address(dice)).join(dice.pick([",", ", ", ",\r\n ", ";", " "]));
}

function parameter(dice: Dice): string {
  const name = dice.pick([
    ...["charset", "name", "Name", "filename", "x", "a b", "", "n\xe4", "format", "boundaryx"],
    ...["name*0", "name*1", "name*0*", "name*1*", "name*2", "name*", "x*0", "x*1*", "x*10"],
  ]);
  const value = dice.pick([
    () => dice.pick(CHARSETS),
    () => `"${dice.pick(CHARSETS)}"`,
    () => `"${dice.pick(WORDS)}${dice.pick(["", " ", "\r\n ", '\\"', ";", "\\", "\r", "\t"])}v"`,
    () => dice.pick(WORDS) + dice.pick(SPACES) + dice.pick(["", "y", "(c)", '"z"']),
    () => dice.pick(["utf-8''a%20b", "utf-8'en'%C3%B6", "''", '"', "", ";", "=", "x=y", "(c)v"]),
    () => encodedWord(dice),
  ])();
  const space = () => dice.pick(["", "", "", "", " ", "(c)", "\r\n "]);
  return `${space()}${name}${space()}${dice.pick(["=", "=", "=", "=", "=", ""])}${space()}${value}`;
}

function parameters(dice: Dice): string {
  return dice.some(4, () => `;${dice.pick(["", " ", " ", "\r\n "])}${parameter(dice)}`).join("");
}

const TYPES = [
  ...["text/plain", "text/html", "TEXT/Plain", "application/octet-stream", "image/png", "text"],
  ...["", "text/", "/x", "te xt/plain", "text / plain", "text/plain x", "message/partial"],
  ...["message/delivery-status", "x-y/z.1+a", "text/(c)plain", "t\xe4/x", "audio/x", "a/b/c"],
];

const ENCODINGS = [
  ...["7bit", "8bit", "binary", "BASE64", "base64", "quoted-printable", "Quoted-Printable (c)"],
  ...["x-uuencode", "", "7 bit", "base64;", '"base64"', " base64 "],
];

/** One field with its line end, of those that a part may have too. */
function contentField(dice: Dice): string {
  const value = dice.pick([
    () => `Content-Disposition: ${dice.pick(["inline", "ATTACHMENT", "", "a b", '"x"'])}`,
    () =>
      `Content-Language:${dice.some(3, () => dice.pick([" de", "en-US", "", " (c)"])).join(",")}`,
    () => `Content-ID: ${dice.pick(["<a@b>", "a", "", " <\xe4>"])}`,
    () => `Content-Description: ${phrase(dice)}`,
    () => `Content-MD5: ${dice.pick(["Q2hlY2s=", "", "a b"])}`,
    () => `Content-Location: ${dice.pick(["http://x/", "a\r\n b", ""])}`,
  ])();
  return value.startsWith("Content-Disp") ? `${value}${parameters(dice)}\r\n` : `${value}\r\n`;
}

const NAMES = [
  ...[
    "References",
    "Received",
    "X-Mailer",
    "X-Foo",
    "Sender",
    "Keywords",
    "DKIM-Signature",
    "List-Id",
  ],
  ...["MIME-Version", "x", "Resent-From", "Priority", "X-Priority", "Return-Path", "Delivered-To"],
];

function field(dice: Dice): string {
  const text = () => dice.some(4, () => phrase(dice)).join(dice.pick(SPACES));
  const colon = dice.pick([":", ": ", ": ", ": ", ":  ", " : ", ":\r\n ", ":\t"]);
  return dice.pick([
    () =>
      `${dice.pick(["From", "To", "Cc", "Bcc", "Sender", "Reply-To"])}${colon}${addressList(dice)}`,
    () =>
      `${dice.pick(["From", "To", "CC", "bcc", "sender", "REPLY-TO"])}${colon}${addressList(dice)}`,
    () => `Subject${colon}${text()}`,
    () => `Date${colon}${dice.pick(["Thu, 1 Jan 2026 00:00:00 +0000 (UTC)", "never", "", "\xe4"])}`,
    () => `Message-ID${colon}${dice.pick(["<a@b>", "<a b>", "", "x (c)"])}`,
    () => `In-Reply-To${colon}${dice.pick(["<a@b> <c@d>", "<a@b>\r\n <c@d>", ""])}`,
    () => `${dice.pick(NAMES)}${colon}${text()}`,
    () => dice.pick(["no colon", " fold first", ":", "-x: y", "--", "From a@b Mon", "X\0: y", ""]),
  ])();
}

function header(dice: Dice, type: string): string {
  const fields = dice.some(6, () => field(dice) + lineEnd(dice));
  if (type !== "" || dice.chance(0.5)) {
    const own = type || `${dice.pick(TYPES)}${parameters(dice)}`;
    fields.push(`Content-Type:${dice.pick([" ", " ", "", "\r\n "])}${own}\r\n`);
  }
  if (dice.chance(0.4)) fields.push(`Content-Transfer-Encoding: ${dice.pick(ENCODINGS)}\r\n`);
  fields.push(...dice.some(2, () => contentField(dice)));
  return dice
    .shuffled(fields)
    .filter((one) => one !== "\r\n")
    .join("");
}

function lineEnd(dice: Dice): string {
  return dice.pick([
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r\r\n",
    " \r\n",
  ]);
}

const LINES = [
  ...[
    "hello",
    "",
    "-",
    "--",
    "--b0",
    "--b1 ",
    "--b0--",
    "--b",
    " --b0",
    "YWJj",
    "YWJjZA==",
    "=C3=B6",
  ],
  ...["soft=", "=", "=3D", "=zz ", "\xe4\xf6", "a\0b", "=\t", "Y Q = =", "trail  ", "begin 644 x"],
  ...["YQ==YQ==", "Y*WJj", "====", "=e4=E", "x=20 ", "\x80\xff", "From x", ".", "YWJjZ", "_"],
];

function lines(dice: Dice): string {
  const text = dice.some(6, () => dice.pick(LINES) + lineEnd(dice)).join("");
  return dice.chance(0.3) ? text + dice.pick(LINES) : text;
}

function message(dice: Dice, depth: number): string {
  const blank = () => dice.pick(["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", ""]);
  const kind = depth > 3 ? "leaf" : dice.pick(["multipart", "multipart", "message", "leaf"]);
  if (kind === "multipart") return multipart(dice, depth, blank);
  if (kind === "message") {
    const type = `${dice.pick(["message/rfc822", "MESSAGE/RFC822"])}${parameters(dice)}`;
    return header(dice, type) + blank() + message(dice, depth + 1);
  }
  return header(dice, "") + blank() + lines(dice);
}

function multipart(dice: Dice, depth: number, blank: () => string): string {
  const boundary = dice.pick([
    `b${depth}`,
    `b${depth}`,
    `b${depth}`,
    "b0",
    "b",
    `b${depth}x`,
    "b c",
    "",
  ]);
  const quote = dice.pick(['"', '"', ""]);
  const said = dice.chance(0.95) ? `; boundary=${quote}${boundary}${quote}` : "";
  const kind = dice.pick(["mixed", "alternative", "digest", "x"]);
  const type = `multipart/${kind}${parameters(dice)}${said}`;
  const delimiter = () => `--${boundary}${dice.pick(["", "", "", "", "", " ", "\t", "x", "-"])}`;
  let text = header(dice, type) + blank();
  if (dice.chance(0.3)) text += lines(dice);
  text += dice
    .some(4, () => {
      const line = `${delimiter()}${dice.pick(["\r\n", "\r\n", "\r\n", "\n"])}`;
      return line + message(dice, depth + 1) + dice.pick(["\r\n", "\r\n", "\r\n", "\n", ""]);
    })
    .join("");
  if (dice.chance(0.8))
    text += `--${boundary}--${dice.pick(["\r\n", "\r\n", "", "x\r\n", " \r\n"])}`;
  if (dice.chance(0.3)) text += lines(dice);
  return text;
}

/** Messages of the first 600 for which our cache record is not Cyrus', with the items and why. */
export const KNOWN_MISSES: readonly {
  readonly seed: number;
  readonly items: readonly string[];
  readonly why: string;
}[] = [
  { seed: 181, items: ["to"], why: "a broken character of EUC-KR is U+FFFD here, U+001A there" },
  { seed: 326, items: ["subject"], why: "the same of Shift JIS" },
  { seed: 496, items: ["section"], why: "Cyrus takes a digest past the message's end" },
];
