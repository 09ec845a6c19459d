import { describe, expect, test } from "bun:test";
import type { GetCommand } from "../../../src/formats/sync/get_command.ts";
import { asAsked, asKnown, domainLeftOut } from "../../../src/places/sync/default_domain.ts";
import type { Reply } from "../../../src/places/sync/dialogue.ts";
import { stateOf } from "../../support/store_fixture.ts";

const SHORT = "user.fred.Sub";
const LONG = `example.com!${SHORT}`;
const mailbox = (name: string, quotaroot?: string): Reply["answers"][number] => ({
  kind: "mailbox",
  state: stateOf(name, [], { ...(quotaroot !== undefined && { quotaroot }) }),
});
const replyOf = (...answers: Reply["answers"]): Reply => ({
  status: { kind: "OK", text: "" },
  answers,
});

describe("asAsked()", () => {
  test.each<[string, GetCommand, string]>([
    ["GET USER in the domain", { kind: "user", userid: "fred@example.com" }, LONG],
    ["GET USER without one", { kind: "user", userid: "fred" }, SHORT],
    ["GET USER of another", { kind: "user", userid: "bob@example.com" }, SHORT],
    ["GET MAILBOXES by the long name", { kind: "mailboxes", names: [LONG] }, LONG],
    ["GET MAILBOXES by both names", { kind: "mailboxes", names: [LONG, SHORT] }, SHORT],
    ["GET FULLMAILBOX", { kind: "fullmailbox", name: LONG }, LONG],
    ["GET UNIQUEIDS", { kind: "uniqueids", uniqueids: ["u"] }, SHORT],
  ])("%s", (_, command, expected) => {
    const reply = asAsked(replyOf(mailbox(SHORT, "user.fred")), command);
    const [answer] = reply.answers;
    const root = expected === LONG ? "example.com!user.fred" : "user.fred";
    expect(answer).toMatchObject({ state: { name: expected, quotaroot: root } });
  });

  test("names what belongs to the user in the domain, and others too", () => {
    const told = replyOf(
      mailbox("user.fred"),
      { kind: "subscriptions", names: [SHORT, "user.bob", "other.org!user.x"] },
      { kind: "quota", quota: { root: "user.fred", limits: {} } },
    );
    const { answers } = asAsked(told, { kind: "user", userid: "fred@example.com" });
    expect(answers).toMatchObject([
      { state: { name: "example.com!user.fred" } },
      { names: [LONG, "example.com!user.bob", "other.org!user.x"] },
      { quota: { root: "example.com!user.fred" } },
    ]);
  });
});

test("domainLeftOut() learns the domain, and asKnown() leaves it out", () => {
  const reply = replyOf(mailbox("user.fred"));
  const named = asAsked(reply, { kind: "user", userid: "fred@example.com" });
  expect(domainLeftOut(reply, named)).toBe("example.com");
  expect(domainLeftOut(reply, asAsked(reply, { kind: "user", userid: "fred" }))).toBeUndefined();
  const read: GetCommand = { kind: "fullmailbox", name: LONG };
  expect(asKnown(read, "example.com")).toEqual({ kind: "fullmailbox", name: SHORT });
  expect(asKnown(read, "example.org")).toEqual(read);
  expect(asKnown(read, undefined)).toBe(read);
});
