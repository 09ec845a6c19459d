/** Messages that no mail program should write and a sound server may hold, one character a byte. */
const H = "From: a@example.org\r\nSubject: x\r\n";

/**
 * Message; header_size and where the content begins, as Cyrus 3.6.1 stores them (test/interop
 * holds it to that).
 */
export const HEADER_ENDS: readonly (readonly [
  message: string,
  headerSize: number,
  contentOffset: number,
])[] = [
  [`${H}\r\nbody\r\n`, 35, 35],
  [H, 33, 33],
  [`${H}\r`, 34, 34],
  ["x", 1, 1],
  ["\r\nbody\r\n", 2, 2],
  ["\nbody\n", 6, 6],
  ["\n\r", 2, 2],
  ["From: a@example.org\nSubject: x\n\nbody\n", 37, 37],
  ["From: a@example.org\nSubject: x\n\nbody\r\n\r\nmore\r\n", 40, 40],
  ["From: a@example.org\r\nSubject: x\n\r\nbody\n", 34, 34],
  ["From: a@example.org\r\nSubject: x\r\n\nbody\n", 39, 39],
  [`${H}\r\r\nbody\r\n\r\nmore\r\n`, 44, 44],
  [`${H} \r\nbody\r\n\r\nmore\r\n`, 44, 44],
  ["Subject: x\r\r\n\r\r\nbody\r\n\r\nz\r\n", 24, 24],
  ["\0", 0, 1],
  ["\0Subject: x\r\n\r\nbody\r\n", 0, 15],
  ["From: a@example.org\r\nSubject: n\0ul\r\n\r\nbody\r\n", 31, 38],
  ["Subject: n\0ul\r\n", 10, 15],
  ["Subject: n\0ul\n\nbody\n", 10, 20],
  [`${H}\0\r\n\r\nbody`, 33, 38],
  [`${H}\r\0\nbody\r\n`, 34, 42],
  [`${H}\r\n\0body\r\n`, 35, 35],
];

const MIXED = "Content-Type: multipart/mixed; boundary=b\r\n";
const ATTACHED = "Content-Type: message/rfc822\r\n";
const PART = "\r\n--b\r\n\r\npart\r\n--b--\r\n";

/** More of them, odd in other ways. */
export const ODD_MESSAGES: readonly string[] = [
  String.fromCharCode(...Array(256).keys()).repeat(20),
  "\0".repeat(100_000),
  `${H}\r\n${"y".repeat(2_000_000)}\0\r\n`,
  `${"X: y\r\n".repeat(100_000)}Z: \0\r\n\r\nbody\r\n`,
  `From: \xe4@example.org\r\nSubject: \xff\r\n\r\n\xe4\xf6\r\n`,
  "From: a@example.org\rSubject: x\r\rbody\r",
  `Subject: ${"x".repeat(300_000)}\r\n\r\n${"y".repeat(300_000)}\r\n`,
  "X: y\r\n".repeat(100_000),
  `From a@example.org Mon Jan 1 00:00:00 2020\r\n${H}\r\nbody\r\n`,
  " folded\r\nSubject: x\r\n\r\nbody\r\n",
  "just text\r\nand more\r\n\r\nbody\r\n",
  "\xff\xfeS\0:\0 \0x\0\r\0\n\0\r\0\n\0b\0",
  `${MIXED}X: \0\r\n${PART}`,
  `${MIXED}\r\n--b\r\nX: \0y\r\n\r\npart\r\n--b--\r\n`,
  `${MIXED}\r\npre\0\r\n${PART}epi\0logue\r\n`,
  `${MIXED}${PART}`,
  `${MIXED}\r\n`,
  MIXED,
  `${MIXED}\r\n--b\r\nX: y\r\n--b--\r\n`,
  `${MIXED.replace("=b", '=""')}\r\n--\r\n\r\npart\r\n----\r\n`,
  `${MIXED}\r\n${"--b\r\n\r\np\r\n".repeat(3000)}--b--\r\n`,
  `${`${MIXED}\r\n--b\r\n`.repeat(200)}\r\nx\r\n`,
  `${ATTACHED}\r\nSubject: x\0\r\n\r\nbody\r\n`,
  `${ATTACHED}\r\nSubject: x\r\n`,
  `${ATTACHED}Content-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeAoKYm9keQo=\r\n`,
  `${ATTACHED}\r\n`.repeat(80),
  "Content-Transfer-Encoding: base64\r\n\r\n!!!not base64\xff\r\n",
  "Content-Type: text/plain; charset=none\r\nContent-Transfer-Encoding: x-uu\r\n\r\nbegin\r\n",
  "Date: Fri, 99 Foo 99999 99:99:99 +9999\r\n\r\nx\r\n",
  "Date: Mon, 1 Jan 1900 00:00:00 +0000\r\n\r\nx\r\n",
  "Date: Mon, 1 Jan 2999 00:00:00 +0000\r\n\r\nx\r\n",
];
