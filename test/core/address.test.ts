import { describe, expect, test } from "bun:test";
import { isLoopback, networkOf } from "../../src/core/address.ts";

describe("networkOf()", () => {
  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8::6", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("of %s is %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe("isLoopback()", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.8.9.10", true],
    ["::ffff:127.0.0.1", true],
    ["::1", true],
    ["::11", false],
    ["10.0.0.127", false],
    ["unknown", false],
  ])("of %s is %s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});
