import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { parsePlain, printPlain } from "../../../src/formats/sasl/plain.ts";
import {
  checkClientFinal,
  makeClientFinal,
  makeClientFirst,
  makeVerifier,
  parseClientFirst,
  parseServerFirst,
  printServerFirst,
} from "../../../src/formats/sasl/scram.ts";
import { property } from "../../support/property.ts";

describe("PLAIN", () => {
  test("parsePlain() reads what printPlain() writes", () => {
    const message = { authzid: "", authcid: "cyrus", password: "sécret" };
    expect(parsePlain(printPlain(message))).toEqual(message);
    expect(parsePlain(utf8("as\0me\0pw"))).toEqual({
      authzid: "as",
      authcid: "me",
      password: "pw",
    });
  });

  test.each([
    "",
    "a",
    "a\0b",
    "\0\0pw",
    "\0me\0",
    "\0a\0b\0c",
    `\0${"x".repeat(256)}\0p`,
    "\0a\0\xff",
  ])("parsePlain() refuses %j", (text) => {
    const bytes = text.includes("\xff") ? Buffer.from(text, "latin1") : utf8(text);
    expect(() => parsePlain(bytes)).toThrow(FormatError);
  });
});

/** The example of RFC 7677, section 3. */
const RFC = {
  user: "user",
  password: "pencil",
  clientNonce: "rOprNGfwEbeRWgbNEkqO",
  serverFirst:
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

describe("SCRAM-SHA-256", () => {
  test("both sides give the messages of RFC 7677", () => {
    const first = makeClientFirst(RFC.user, RFC.clientNonce);
    expect(first.text).toBe("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const final = makeClientFinal(RFC.serverFirst, first, RFC.password);
    expect(final).toEqual({ text: RFC.clientFinal, serverFinal: RFC.serverFinal });
    const { salt, iterations, nonce } = parseServerFirst(RFC.serverFirst);
    expect(printServerFirst({ salt, iterations, nonce })).toBe(RFC.serverFirst);
    const verifier = makeVerifier(RFC.password, { salt, iterations });
    const exchange = { first: parseClientFirst(first.text), serverFirst: RFC.serverFirst, nonce };
    expect(checkClientFinal(final.text, exchange, verifier)).toBe(RFC.serverFinal);
  });

  test("checkClientFinal() refuses any other password, nonce, binding and proof", () => {
    const salt = utf8("0123456789abcdef");
    const verifier = makeVerifier("right", { salt, iterations: 4096 });
    const first = makeClientFirst("anne", "abc");
    const nonce = "abcdef";
    const serverFirst = printServerFirst({ nonce, salt, iterations: 4096 });
    const exchange = { first: parseClientFirst(first.text), serverFirst, nonce };
    const right = makeClientFinal(serverFirst, first, "right").text;
    expect(checkClientFinal(right, exchange, verifier)).toStartWith("v=");
    const wrong = [
      makeClientFinal(serverFirst, first, "wrong").text,
      right.replace("r=abcdef", "r=abcdeg"),
      right.replace("c=biws", "c=eSws"),
      right.replace(/p=.*/, "p=AAAA"),
      right.replace(/p=...../, "p=AAAAA"),
    ];
    for (const text of wrong) expect(checkClientFinal(text, exchange, verifier)).toBeUndefined();
    expect(() => checkClientFinal("c=biws,r=abcdef", exchange, verifier)).toThrow(FormatError);
  });

  test.each(["", "n=a,r=b", "p=tls-unique,,n=a,r=b", "n,,r=b", "n,,n=a=2,r=b", "n,,m=x,n=a,r=b"])(
    "parseClientFirst() refuses %j",
    (text) => {
      expect(() => parseClientFirst(text)).toThrow(FormatError);
    },
  );

  test.each(["r=a,s=AA==,i=1", "r=a,s=AA==,i=99999999", "r=a,s=,i=4096", "m=x,r=a,s=AA==,i=4096"])(
    "parseServerFirst() refuses %j",
    (text) => {
      expect(() => parseServerFirst(text)).toThrow(FormatError);
    },
  );

  test("makeClientFinal() refuses a server that answers for another client", () => {
    const first = makeClientFirst("anne", "abc");
    expect(() => makeClientFinal("r=xyz,s=AA==,i=4096", first, "p")).toThrow(FormatError);
    expect(() => makeClientFinal("r=abc,s=AA==,i=4096", first, "p")).toThrow(FormatError);
  });

  test("names survive their escapes", () => {
    property(fc.string({ unit: "grapheme" }), (user) => {
      expect(parseClientFirst(makeClientFirst(user, "x").text).user).toBe(user.normalize("NFKC"));
    });
  });
});
