/** The ways in which a mailbox may be named on the command line, by one rule for all commands. */
import { describe, expect, test } from "bun:test";
import { mailboxFilter } from "../../src/cli/mailbox_filter.ts";
import { chooseMailbox, namesMeant } from "../../src/cli/mailbox_names.ts";
import type { Owner } from "../../src/model/names.ts";

const ANN: Owner = { kind: "user", userid: "ann" };
const DOMAIN: Owner = { kind: "user", userid: "jo@example.com" };
const LISTS: Owner = { kind: "shared", toplevel: "lists" };

const named = (...names: readonly string[]) => names.map((name) => ({ name }));

describe("namesMeant()", () => {
  test.each([
    ["user/ann", "user.ann"],
    ["user/ann/INBOX", "user.ann"],
    ["user/ann/INBOX/Sent", "user.ann.Sent"],
    ["ann/INBOX", "user.ann"],
    ["ann/Sent", "user.ann.Sent"],
    ["user/j.doe/INBOX/a.b", "user.j^doe.a^b"],
    ["jo@example.com/INBOX/Sent", "example.com!user.jo.Sent"],
    ["user.ann.Entw&APw-rfe", "user.ann.Entw&APw-rfe"],
    ["lists/INBOX-archive", "lists.INBOX-archive"],
  ])("takes %s for %s", (text, name) => {
    expect(namesMeant(text)).toContain(name);
    const filter = mailboxFilter({ mailbox: [text] });
    expect(filter?.wants(name)).toBe(true);
    expect(() => filter?.refuseUnmatched(["/spool"])).not.toThrow();
  });

  test("has patterns in either form, whose % stays within a part", () => {
    const names = ["user.ann", "user.ann.Sent", "user.ann.Sent.x", "user.bo.Sent", "lists.Sent"];
    const found = (text: string) => {
      const filter = mailboxFilter({ mailbox: [text] });
      return names.filter((name) => filter?.wants(name));
    };
    expect(found("user/ann/INBOX/%")).toEqual(["user.ann.Sent"]);
    expect(found("user.ann.*")).toEqual(["user.ann.Sent", "user.ann.Sent.x"]);
    expect(found("user/%/Sent")).toEqual(["user.ann.Sent", "user.bo.Sent"]);
  });

  test("needs no user in the names of mailboxes of users who are named", () => {
    const owners = ["ann", "bo"].map((userid) => ({ kind: "user", userid }) as const);
    const names = ["user.ann", "user.ann.Sent", "user.bo.Sent", "user.al.Sent", "Sent"];
    const found = (text: string) => {
      const filter = mailboxFilter({ mailbox: [text], owners });
      return names.filter((name) => filter?.wants(name));
    };
    expect(found("INBOX")).toEqual(["user.ann"]);
    expect(found("Sent")).toEqual(["user.ann.Sent", "user.bo.Sent", "Sent"]);
    expect(found("user/ann/Se%")).toEqual(["user.ann.Sent"]);
    expect(found("S*")).toEqual(["user.ann.Sent", "user.bo.Sent", "Sent"]);
  });

  test("takes no name for that of another user", () => {
    for (const text of ["user/ann", "user/ann/INBOX", "user/ann/Sent"]) {
      const strange = ["user.user.ann", "ann", "ann.Sent", "user.user.ann.Sent"];
      expect(namesMeant(text).filter((name) => strange.includes(name))).toEqual([]);
    }
  });
});

describe("chooseMailbox()", () => {
  test("takes the whole name before the part after the user, and a folder before its user", () => {
    const all = named("user.ann", "user.ann.ann", "user.ann.user.ann", "user.ann.Sent");
    const choose = (wanted: string) => chooseMailbox(all, { wanted, owner: ANN })?.name;
    expect(["INBOX", "ann", "user/ann", "Sent", "INBOX/Sent", "ann/INBOX"].map(choose)).toEqual([
      ...["user.ann", "user.ann.ann", "user.ann", "user.ann.Sent", "user.ann.Sent", "user.ann"],
    ]);
    expect(choose("Nope")).toBeUndefined();
  });

  test("knows users of a domain, with and without virtual domains, and shared mailboxes", () => {
    for (const inbox of ["example.com!user.jo", "user.jo@example^com"]) {
      const all = named(inbox, `${inbox}.Sent`);
      expect(chooseMailbox(all, { wanted: "INBOX", owner: DOMAIN })?.name).toBe(inbox);
      expect(chooseMailbox(all, { wanted: "Sent", owner: DOMAIN })?.name).toBe(`${inbox}.Sent`);
    }
    const lists = named("lists", "lists.dev");
    expect(chooseMailbox(lists, { wanted: "lists/dev", owner: LISTS })?.name).toBe("lists.dev");
    expect(chooseMailbox(lists, { wanted: "INBOX", owner: LISTS })).toBeUndefined();
  });
});
