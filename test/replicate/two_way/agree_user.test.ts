/**
 * What two sides are to have of a user: the planner's steps bring both there, and no mailbox with
 * mail is lost.
 */
import { describe, expect, test } from "bun:test";
import type { MailboxState, UserState } from "../../../src/model/mailbox.ts";
import { planOwner } from "../../../src/replicate/plan/plan_owner.ts";
import type { Step } from "../../../src/replicate/plan/steps.ts";
import { type AgreedUser, agreeUser } from "../../../src/replicate/two_way/agree_user.ts";
import { NOBODY, OWNER, perform, sorted, user } from "../../support/plan_model.ts";
import { property } from "../../support/property.ts";
import { newStorePlace } from "../../support/replication.ts";
import { stateOf } from "../../support/store_fixture.ts";

const { holds } = newStorePlace();
const NAME = "user.fred.a";

function agree(a: UserState, b: UserState, unheardOf: readonly string[] = []): AgreedUser {
  return agreeUser(a, b, { holds, unheardOf: new Set(unheardOf) });
}

function stepsFor(target: UserState, { state, aliases }: AgreedUser): readonly Step[] {
  const known = (one: MailboxState): MailboxState => {
    return { ...one, uniqueid: aliases.get(one.uniqueid) ?? one.uniqueid };
  };
  const aliased = { ...target, mailboxes: target.mailboxes.map(known) };
  const request = { owner: OWNER, mode: "merge", source: state, target: aliased, holds } as const;
  const plan = planOwner(request);
  expect(plan.leftovers).toEqual([]);
  return plan.steps;
}

/** Both sides with what was agreed on, INBOXes by A's uniqueid. */
function bring(a: UserState, b: UserState): { a: UserState; b: UserState; agreed: AgreedUser } {
  const agreed = agree(a, b);
  const known = (one: MailboxState): MailboxState => {
    return { ...one, uniqueid: agreed.aliases.get(one.uniqueid) ?? one.uniqueid };
  };
  const aliased = { ...b, mailboxes: b.mailboxes.map(known) };
  return {
    a: perform(a, { steps: stepsFor(a, agreed) }),
    b: perform(aliased, { steps: stepsFor(b, agreed) }),
    agreed,
  };
}

/** Without sums, which only records can tell. */
function essence(state: UserState): unknown {
  const mailboxes = state.mailboxes.map((one) => ({ ...one, syncCrc: 0 }));
  return sorted({ ...state, mailboxes });
}

function having(...states: readonly MailboxState[]): UserState {
  return { ...NOBODY, mailboxes: states };
}

function box(name: string, uniqueid: string, change: Partial<MailboxState> = {}): MailboxState {
  return stateOf(name, [], { uniqueid, lastUid: 5, ...change });
}

/** Without the name of the bytecode, which only says which of them is active. */
function scriptsOf({ sieve }: UserState): string[] {
  return sieve.map(({ filename }) => filename).filter((name) => name.endsWith(".script"));
}

describe("agreeUser()", () => {
  test("leads both sides to the same by steps that can be done, and then to none", () => {
    property(user, user, (one, two) => {
      const { a, b, agreed } = bring(one, two);
      if (agreed.state.mailboxes.length === 0) return;
      expect(essence(b)).toEqual(essence(a));
      const again = agree(a, b);
      expect([again.decisions, stepsFor(a, again), stepsFor(b, again)]).toEqual([[], [], []]);
      const names = agreed.state.mailboxes.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    });
  });

  test("keeps every mailbox that has had mail, and every subscription and script", () => {
    property(user, user, (one, two) => {
      const { a, agreed } = bring(one, two);
      const kept = new Set(a.mailboxes.map(({ uniqueid }) => uniqueid));
      for (const { uniqueid, lastUid } of [...one.mailboxes, ...two.mailboxes]) {
        const known = agreed.aliases.get(uniqueid) ?? uniqueid;
        if (lastUid > 0) expect([uniqueid, kept.has(known)]).toEqual([uniqueid, true]);
      }
      if (agreed.state.mailboxes.length === 0) return;
      const both = [...one.subscriptions, ...two.subscriptions];
      expect(new Set(a.subscriptions)).toEqual(new Set(both));
      const scripts = [...scriptsOf(one), ...scriptsOf(two)];
      expect(new Set(scriptsOf(a))).toEqual(new Set(scripts));
    });
  });

  test("keeps the bytecode of a script that both have, whichever has it", () => {
    const script = { filename: "a.script", lastUpdate: 5, isActive: true, guid: "7".repeat(40) };
    const compiled = { filename: "a.bc", lastUpdate: 6, isActive: false };
    const mailboxes = [box("user.fred", "i")];
    const one = { ...NOBODY, mailboxes, sieve: [script] };
    const two = { ...one, sieve: [script, compiled] };
    for (const { state } of [agree(one, two), agree(two, one)]) {
      expect(state.sieve.map(({ filename }) => filename)).toEqual(["a.script", "a.bc"]);
    }
  });

  test("has the sides swapped agree on the same where one changed a mailbox last", () => {
    const later = { foldermodseq: 9n };
    const [one, two] = [having(box(NAME, "u")), having(box(`${NAME}.b`, "u", later))];
    for (const { state } of [agree(one, two), agree(two, one)]) {
      expect(state.mailboxes.map(({ name }) => name)).toEqual([`${NAME}.b`]);
    }
  });

  test("takes A's name where modseqs do not say who came later", () => {
    const [one, two] = [having(box(NAME, "u")), having(box(`${NAME}.b`, "u"))];
    expect(agree(one, two).state.mailboxes[0]?.name).toBe(NAME);
    expect(agree(two, one).state.mailboxes[0]?.name).toBe(`${NAME}.b`);
  });

  test("deletes what was deleted last, but not with messages that nobody there saw", () => {
    const deleted = having(box(`DELETED.${NAME}.5F3A2B1C`, "u", { foldermodseq: 9n }));
    const living = having(box(NAME, "u"));
    expect(agree(living, deleted).state.mailboxes[0]?.name).toStartWith("DELETED.");
    expect(agree(living, deleted, ["u"]).state.mailboxes[0]?.name).toBe(NAME);
    expect(agree(deleted, living, ["u"]).state.mailboxes[0]?.name).toBe(NAME);
  });

  test("takes no part of a mailbox that one side cannot read for missing", () => {
    const refusal = { kind: "refused", reason: "damaged", text: "" } as const;
    const unreadable = [{ name: NAME, uniqueid: "u", refusal }];
    const { state } = agree({ ...NOBODY, unreadable }, having(box(NAME, "u")));
    expect([state.mailboxes, state.unreadable]).toEqual([[], unreadable]);
    expect(stepsFor(having(box(NAME, "u")), agree({ ...NOBODY, unreadable }, NOBODY))).toEqual([]);
  });

  test("finds another time for two mailboxes deleted under one name at one time", () => {
    const next = { "5F3A2B1C": "5F3A2B1D", "20000000000000": "20000000000001" };
    for (const [time, other] of [...Object.entries(next), ["FFFFFFFFFFFFFFFF", "00000000"]]) {
      const [name, aside] = [`DELETED.${NAME}.${time}`, `DELETED.${NAME}.${other}`];
      const { state } = agree(having(box(name, "u")), having(box(name, "v")));
      expect(state.mailboxes.map((one) => one.name)).toEqual([name, aside]);
    }
  });

  test("lets a placeholder give way to a mailbox of its name or uniqueid", () => {
    const placeholder = (uniqueid: string) => box(NAME, uniqueid, { type: "ei", lastUid: 0 });
    for (const other of ["u", "v"]) {
      const { state } = agree(having(placeholder(other)), having(box(NAME, "u")));
      expect(state.mailboxes).toEqual([box(NAME, "u")]);
    }
  });
});
