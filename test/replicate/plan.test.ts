import { describe, expect, test } from "bun:test";
import type { MailboxState, UserState } from "../../src/model/mailbox.ts";
import type { Holds } from "../../src/places/place.ts";
import { commonHolds, planUser, type Step } from "../../src/replicate/plan.ts";
import { record, stateOf } from "../support/store_fixture.ts";

const HOLDS: Holds = {
  ...{ userList: true, uniqueids: true, uidvalidity: true, uids: true, modseqs: true },
  ...{ lastUpdated: true, tombstones: true, deletedMailboxes: true, internaldates: true },
  ...{ internaldateNsec: true, savedates: true, threadIds: true, keywords: 128, annotations: true },
  ...{ mailboxAnnotations: true, acls: true, mailboxDetails: true, seen: true },
  ...{ subscriptions: true, sieveFiles: true, quotas: ["STORAGE", "MESSAGE"] },
};

function user(mailboxes: readonly MailboxState[], change: Partial<UserState> = {}): UserState {
  return { mailboxes, quotas: [], seen: [], subscriptions: [], sieve: [], ...change };
}

function plan(source: UserState, target: UserState): ReturnType<typeof planUser> {
  return planUser({ userid: "fred", source, target, holds: HOLDS });
}

function words(steps: readonly Step[]): string[] {
  return steps.map((step) => {
    if (step.kind === "mailbox") return `${step.isNew ? "new" : "update"} ${step.name}`;
    const { command } = step;
    return command.kind === "rename" ? `${command.oldName} -> ${command.newName}` : command.kind;
  });
}

const inbox = stateOf("user.fred", [record(1)]);
const box = (name: string, uniqueid: string): MailboxState =>
  stateOf(`user.fred.${name}`, [], { uniqueid });

describe("planUser()", () => {
  test("planUser() does nothing for a user that is the same, and brings over one that is not there", () => {
    const whole = user([box("A", "a"), inbox]);
    expect(plan(whole, whole)).toEqual({ steps: [], extras: [] });
    const deleted = stateOf("DELETED.user.fred.A.5F3A2B1C", [], { uniqueid: "d" });
    const { steps } = plan(user([deleted, box("A", "a"), inbox]), user([]));
    expect(words(steps)).toEqual([
      "new user.fred",
      "new user.fred.A",
      "new DELETED.user.fred.A.5F3A2B1C",
    ]);
  });

  test("planUser() sends a mailbox again for each thing that a replica must give back", () => {
    const changes: Partial<MailboxState>[] = [
      ...[
        { lastUid: 7 },
        { highestmodseq: 99n },
        { uidvalidity: 5 },
        { acl: "x\tl\t" },
        { options: "S" },
      ],
      ...[
        { recentUid: 4 },
        { recentTime: 4 },
        { pop3LastLogin: 4 },
        { pop3ShowAfter: 4 },
        { type: "c" },
      ],
      ...[
        { foldermodseq: 44n },
        { raclmodseq: 4n },
        { xconvmodseq: 4n },
        { syncCrc: 77 },
        { syncCrcAnnot: 7 },
      ],
      { annotations: [{ entry: "/comment", userid: "", modseq: 1n, value: new Uint8Array([1]) }] },
    ];
    for (const change of changes) {
      expect([change, words(plan(user([{ ...inbox, ...change }]), user([inbox])).steps)]).toEqual([
        change,
        ["update user.fred"],
      ]);
    }
    expect(
      plan(user([{ ...inbox, syncCrcAnnot: 0, foldermodseq: 1n }]), user([inbox])).steps,
    ).toEqual([]);
  });

  test("planUser() pairs by uniqueid: renames in an order that works, rings by a third name", () => {
    const target = user([inbox, box("A", "a"), box("B", "b"), box("C", "c")]);
    const moved = plan(user([inbox, box("B", "a"), box("D", "b"), box("C", "c")]), target);
    expect(words(moved.steps)).toEqual([
      "user.fred.B -> user.fred.D",
      "user.fred.A -> user.fred.B",
    ]);
    const swapped = plan(user([inbox, box("B", "a"), box("A", "b"), box("C", "c")]), target);
    expect(words(swapped.steps)).toEqual([
      "user.fred.B -> user.fred.A-b",
      "user.fred.A -> user.fred.B",
      "user.fred.A-b -> user.fred.A",
    ]);
  });

  test("planUser() deletes nothing: what only the target has is named", () => {
    const quota = { root: "user.fred", limits: { STORAGE: 5 } };
    const target = user([inbox, box("A", "a"), box("Bad", "bad")], {
      subscriptions: ["x"],
      quotas: [quota],
    });
    const refusal = { kind: "refused", reason: "damaged", text: "" } as const;
    const source = user([inbox], {
      unreadable: [{ name: "user.fred.Bad", uniqueid: "bad", refusal }],
    });
    const { steps, extras } = plan(source, target);
    expect(steps).toEqual([]);
    expect(extras.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...["mailbox user.fred.A", "quota user.fred", "subscription x"],
    ]);
  });

  test("planUser() asks for nothing that either place does not hold", () => {
    const bare = commonHolds(HOLDS, {
      ...HOLDS,
      modseqs: false,
      subscriptions: false,
      acls: false,
      quotas: [],
    });
    expect([bare.modseqs, bare.uids, bare.quotas]).toEqual([false, true, []]);
    const source = user([{ ...inbox, highestmodseq: 999n, acl: "y\tl\t" }], {
      subscriptions: ["x"],
    });
    expect(planUser({ userid: "fred", source, target: user([inbox]), holds: bare }).steps).toEqual(
      [],
    );
  });
});
