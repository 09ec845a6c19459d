import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  externalName,
  inboxOf,
  internalName,
  isBelow,
  isInbox,
  isOwnedBy,
  isValidName,
  nameProblem,
  type Owner,
  ownerKey,
  ownerOfKey,
  parseName,
  sameOwner,
  useridOf,
} from "../../src/model/names.ts";
import { property } from "../support/property.ts";

/** Internal name, external name, whose it is. */
const NAMES: readonly [internal: string, external: string, owner: string][] = [
  ["user.anne", "user/anne", "anne"],
  ["user.anne.Sub.Deep", "user/anne/Sub/Deep", "anne"],
  ["user.a^b", "user/a.b", "a.b"],
  ["user.u1.a^b", "user/u1/a.b", "u1"],
  ["user.u1.Entw&APw-rfe", "user/u1/Entwürfe", "u1"],
  ["user.u1.&ZeVnLIqe-", "user/u1/日本語", "u1"],
  ["user.u1.R&-D", "user/u1/R&D", "u1"],
  ["user.u1.Two Words", "user/u1/Two Words", "u1"],
  ["user.u1.star*", "user/u1/star*", "u1"],
  ["user.u1.x:y?z", "user/u1/x:y?z", "u1"],
  ["user.u1. (a) [b]{c}\\~'", "user/u1/ (a) [b]{c}\\~'", "u1"],
  ["user.u1.#sieve", "user/u1/#sieve", "u1"],
  ["user.fred@example^com.Sub", "user/fred@example.com/Sub", "fred@example.com"],
  ["example.com!user.anne", "anne@example.com", "anne@example.com"],
  ["example.com!user.a^b.Sub", "a.b@example.com/Sub", "a.b@example.com"],
  ["user.u1.Urgent!", "user/u1/Urgent!", "u1"],
  ["user.u1.Well! Well.Sub", "user/u1/Well! Well/Sub", "u1"],
  ["lists.dev", "lists/dev", "shared lists"],
  ["lists", "lists", "shared lists"],
  ["example.com!lists.dev", "example.com!lists/dev", "shared example.com!lists"],
  ["DELETED.user.anne.Sub.5F3A2B1C", "DELETED/user/anne/Sub/5F3A2B1C", "anne"],
  ["ex.com!DELETED.user.anne.5F3A2B1C", "ex.com!DELETED/user/anne/5F3A2B1C", "anne@ex.com"],
  ["DELETED.lists.dev.5F3A2B1C", "DELETED/lists/dev/5F3A2B1C", "shared lists"],
  ["user", "user", "shared user"],
]; // biome-ignore format: a table

describe("names of mailboxes", () => {
  test.each([...NAMES])("%s is %s outside", (internal, external) => {
    expect(externalName(internal)).toBe(external);
    expect(internalName(external)).toBe(internal);
  });

  test.each([...NAMES])("parseName() knows whose %s is", (internal, _, expected) => {
    const { owner } = parseName(internal);
    const text = owner.kind === "user" ? owner.userid : `shared ${owner.toplevel}`;
    expect(text).toBe(expected);
    expect(useridOf(internal)).toBe(owner.kind === "user" ? expected : undefined);
  });

  test("parseName() takes a deleted name apart", () => {
    expect(parseName("example.com!DELETED.user.anne.Sub.5F3A2B1C")).toEqual({
      domain: "example.com",
      isDeleted: true,
      deletedAt: 0x5f3a2b1cn,
      local: "user.anne.Sub",
      owner: { kind: "user", userid: "anne@example.com" },
    });
    expect(parseName("DELETED.user.anne.Sub").deletedAt).toBeUndefined();
    // More than a double holds.
    expect(parseName("DELETED.user.anne.20000000000001").deletedAt).toBe(0x20000000000001n);
  });

  test("inboxOf() minds virtual domains", () => {
    expect(inboxOf("a.b", { virtualDomains: false })).toBe("user.a^b");
    expect(inboxOf("a.b@example.com", { virtualDomains: true })).toBe("example.com!user.a^b");
    expect(inboxOf("a.b@example.com", { virtualDomains: false })).toBe("user.a^b@example^com");
  });

  test("isInbox() and isBelow() look at whole parts", () => {
    expect(isInbox("user.anne")).toBe(true);
    expect(isInbox("d.org!user.anne")).toBe(true);
    expect(isInbox("user.anne.Sub")).toBe(false);
    expect(isInbox("DELETED.user.anne.5F3A2B1C")).toBe(false);
    expect(isInbox("lists")).toBe(false);
    expect(isBelow("user.anne.Sub", "user.anne")).toBe(true);
    expect(isBelow("user.annette", "user.anne")).toBe(false);
  });

  test.each([
    ...["", ".", "user..x", "user.x.", ".x", "user.a/b", "user.a\nb", "user.a\0b", "user.100%"],
    ...["d/e!user.x", "d.org!user..x", `user.${"x".repeat(490)}`],
  ])("isValidName() refuses %j", (name) => {
    expect(isValidName(name)).toBe(false);
  });

  test("nameProblem() says which character is wrong, or what else", () => {
    expect(nameProblem("user.a\x07")).toContain('"\\u0007"');
    expect(nameProblem("user.a%b")).toContain('"%"');
    expect(nameProblem("user..a")).toContain("empty");
    expect(nameProblem(`user.${"x".repeat(490)}`)).toContain("495 bytes");
  });

  test.each([...NAMES])("isValidName() takes %s", (internal) => {
    expect(isValidName(internal)).toBe(true);
  });

  test("internalName() is the inverse of externalName() for names as Cyrus makes them", () => {
    const part = fc.stringMatching(/^[A-Za-z0-9#$^ _-]{1,8}$/);
    const names = fc.tuple(
      fc.constantFrom("", "d.org!"),
      fc.array(part, { minLength: 1, maxLength: 4 }),
    );
    property(names, ([domain, parts]) => {
      const internal = `${domain}user.${parts.join(".")}`;
      expect(internalName(externalName(internal))).toBe(internal);
    });
  });
});

describe("owners", () => {
  const OWNERS: readonly Owner[] = [
    { kind: "user", userid: "a:b" },
    { kind: "user", userid: "x" },
    { kind: "user", userid: "x\n" },
    { kind: "shared", toplevel: "x" },
    { kind: "shared", toplevel: "example.com!x" },
  ];

  test("ownerOfKey() is the inverse of ownerKey(), also with colons in the name", () => {
    for (const owner of OWNERS) expect(ownerOfKey(ownerKey(owner))).toEqual(owner);
    for (const text of ["user:", "group:x", "user", ""]) expect(ownerOfKey(text)).toBeUndefined();
  });

  test("sameOwner() tells a user from a toplevel of the same name", () => {
    for (const [at, left] of OWNERS.entries())
      for (const [other, right] of OWNERS.entries())
        expect(sameOwner(left, { ...right })).toBe(at === other);
  });

  test("isOwnedBy() counts deleted mailboxes", () => {
    const anne: Owner = { kind: "user", userid: "anne" };
    expect(isOwnedBy("DELETED.user.anne.Sub.5F3A2B1C", anne)).toBe(true);
    expect(isOwnedBy("user.annex", anne)).toBe(false);
  });
});
