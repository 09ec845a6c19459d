import { describe, expect, test } from "bun:test";
import { parseBackupAddress, printBackupAddress } from "../../src/places/backupcyrus_address.ts";
import { parsePlace } from "../../src/places/locator.ts";

describe("parseBackupAddress()", () => {
  const plain = { isTls: false, host: "mail.example.com", port: 2901 };
  test.each([
    ["backupcyrus://mail.example.com", plain],
    ["backupcyrus://mail.example.com/slot", { ...plain, slot: "slot" }],
    ["backupcyruss://mail.example.com:99", { ...plain, isTls: true, port: 99 }],
    ["backupcyrus://a%40b@mail.example.com", { ...plain, user: "a@b" }],
    ["backupcyrus://[2001:db8::7]:1/s", { ...plain, host: "2001:db8::7", port: 1, slot: "s" }],
    ["backupcyrus:/run/b.sock", { path: "/run/b.sock" }],
    ["backupcyrus:b.sock", { path: "b.sock" }],
  ])("reads %p, and what it prints again", (text, address) => {
    expect(parseBackupAddress(text)).toEqual(address);
    expect(parseBackupAddress(printBackupAddress(address))).toEqual(address);
    expect(parsePlace(text)).toEqual({ kind: "backupcyrus", address });
  });

  test.each([
    "backupcyrus:",
    "backupcyrus://",
    "backupcyrus://@host",
    "backupcyrus://host:0",
    "backupcyrus://host:65536",
    "backupcyrus://host/a/b",
    "backupcyruss:/run/b.sock",
    "backupcyrus://ann:secret@host",
  ])("refuses %p", (text) => {
    const parse = () => parseBackupAddress(text);
    expect(parse).toThrow("no address of a backup server");
    expect(parse).not.toThrow("secret");
  });
});
