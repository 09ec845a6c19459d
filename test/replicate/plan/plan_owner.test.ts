/**
 * The planner on random users: doing its steps on a model gives what was asked for, in an order
 * that can be done.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { MailboxState, UserState } from "../../../src/model/mailbox.ts";
import { isInbox } from "../../../src/model/names.ts";
import type { Holds } from "../../../src/places/place.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { initStore } from "../../../src/places/store/store_settings.ts";
import { commonHolds, notCompared } from "../../../src/replicate/plan/holds.ts";
import { planOwner } from "../../../src/replicate/plan/plan_owner.ts";
import { orderRenames, type Rename } from "../../../src/replicate/plan/renames.ts";
import type { Mode, Plan } from "../../../src/replicate/plan/steps.ts";
import { mailboxes, NOBODY, OWNER, perform, sorted, user } from "../../support/plan_model.ts";
import { property } from "../../support/property.ts";
import { stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const HOLDS = holdsOfStore();

function holdsOfStore(): Holds {
  const root = `${tempDir("holds")}/store`;
  initStore(root);
  return openStorePlace(root).holds;
}

function planFor(source: UserState, target: UserState, mode: Mode): Plan {
  return planOwner({ owner: OWNER, mode, source, target, holds: HOLDS });
}

describe("planOwner()", () => {
  test("in mirror mode makes the target equal, and then plans nothing", () => {
    property(user, user, (source, target) => {
      const result = perform(target, planFor(source, target, "mirror"));
      if (source.mailboxes.length === 0) expect(result.mailboxes).toEqual([]);
      else expect(sorted(result)).toEqual(sorted(source));
      if (source.mailboxes.length > 0) expect(planFor(source, result, "mirror").steps).toEqual([]);
    });
  });

  test("in merge mode brings all of the source that has room and deletes no mail", () => {
    property(user, user, (source, target) => {
      const plan = planFor(source, target, "merge");
      const result = perform(target, plan);
      const named = new Set(plan.leftovers.map(({ name }) => name));
      if (source.mailboxes.length > 0) {
        for (const { name, uniqueid } of source.mailboxes) {
          if (named.has(name)) continue;
          expect(result.mailboxes).toContainEqual(expect.objectContaining({ name, uniqueid }));
        }
        expect(result.subscriptions).toEqual(expect.arrayContaining([...source.subscriptions]));
      }
      const kept = new Set(result.mailboxes.map(({ uniqueid }) => uniqueid));
      const lost = target.mailboxes.filter(({ uniqueid }) => !kept.has(uniqueid));
      expect(lost.filter(({ lastUid }) => lastUid > 0)).toEqual([]);
      const again = planFor(source, result, "merge");
      expect(again.steps).toEqual([]);
    });
  });

  test("takes i and ei for one type, and leaves out what a place does not tell", () => {
    const at = (name: string, type: string): MailboxState => {
      return stateOf(name, [], { uniqueid: name, type, acl: null });
    };
    const source = { ...NOBODY, mailboxes: [stateOf("user.fred", []), at("user.fred.a", "i")] };
    const modern = { ...NOBODY, mailboxes: [stateOf("user.fred", []), at("user.fred.a", "ei")] };
    const silent = { ...NOBODY, mailboxes: [stateOf("user.fred", [])] };
    const request = { owner: OWNER, mode: "mirror", source } as const;
    expect(planOwner({ ...request, target: modern, holds: HOLDS }).steps).toEqual([]);
    expect(planOwner({ ...request, target: silent, holds: HOLDS }).steps.length).toBe(1);
    const holds = { ...HOLDS, placeholders: false };
    expect(planOwner({ ...request, target: silent, holds }).steps).toEqual([]);
    const back = { ...request, source: silent, target: source, holds };
    expect(planOwner(back)).toEqual({ steps: [], leftovers: [] });
  });

  test("does not make a mailbox under the name that another one cannot leave", () => {
    const at = (uniqueid: string, name: string, lastUid = 0): MailboxState =>
      stateOf(name, [], { uniqueid, lastUid });
    const source = { ...NOBODY, mailboxes: [at("new", "user.fred.a"), at("old", "user.fred.b")] };
    const target = {
      ...NOBODY,
      mailboxes: [at("old", "user.fred.a"), at("mine", "user.fred.b", 1)],
    };
    const { steps, leftovers } = planFor(source, target, "merge");
    expect(steps).toEqual([]);
    expect(leftovers.map(({ name }) => name).sort()).toEqual(["user.fred.a", "user.fred.b"]);
  });

  test("makes the INBOX first and parents before children, and deletes in reverse", () => {
    property(mailboxes, (states) => {
      const full = { ...NOBODY, mailboxes: states };
      const made = planFor(full, NOBODY, "mirror").steps.map(
        (step) => step.kind === "mailbox" && step.name,
      );
      const anchor = stateOf("user.fred.z", [], { uniqueid: "anchor" });
      const less = { ...NOBODY, mailboxes: [anchor] };
      const more = { ...NOBODY, mailboxes: [...states, anchor] };
      const gone = planFor(less, more, "mirror").steps.map(
        (step) => step.kind === "delete" && step.state.name,
      );
      expect(gone).toEqual([...made].reverse());
      if (states.some(({ name }) => isInbox(name))) expect(made[0]).toBe("user.fred");
      expect(made.indexOf("user.fred.a.b")).toBeGreaterThanOrEqual(
        made.includes("user.fred.a.b") ? made.indexOf("user.fred.a") : -1,
      );
    });
  });

  test("leaves intermediate mailboxes to a target that makes them itself", () => {
    const [inbox, below] = [
      stateOf("user.fred", []),
      stateOf("user.fred.p.q.r", [], { lastUid: 1 }),
    ];
    const made = stateOf("user.fred.p", []);
    const kept = stateOf("user.fred.p.q", [], { type: "ei" });
    const other = stateOf("user.fred.x", [], { type: "ei" });
    const full = stateOf("user.fred.p", [], { lastUid: 2 });
    const plan = (theirs: readonly MailboxState[], mode: Mode, gapsInTree = false): Plan => {
      const source = { ...NOBODY, mailboxes: [inbox, below] };
      const target = { ...NOBODY, mailboxes: [inbox, below, ...theirs] };
      return planOwner({ owner: OWNER, mode, source, target, holds: { ...HOLDS, gapsInTree } });
    };
    expect(plan([made, kept], "mirror")).toEqual({ steps: [], leftovers: [] });
    expect(plan([made, kept], "merge")).toEqual({ steps: [], leftovers: [] });
    expect(plan([kept, other], "mirror").steps).toEqual([{ kind: "delete", state: other }]);
    expect(plan([full], "mirror").steps).toEqual([{ kind: "delete", state: full }]);
    expect(plan([made], "mirror", true).steps).toEqual([{ kind: "delete", state: made }]);
  });

  test("deletes a user who is gone at the source in mirror mode only", () => {
    const target = { ...NOBODY, mailboxes: [stateOf("user.fred", [])] };
    expect(planFor(NOBODY, target, "mirror").steps).toEqual([
      { kind: "deleteUser", userid: "fred" },
    ]);
    expect(planFor(NOBODY, target, "merge")).toMatchObject({
      steps: [],
      leftovers: [{ name: "user.fred" }],
    });
  });

  test("never takes a mailbox that cannot be read for one that was deleted", () => {
    const target = { ...NOBODY, mailboxes: [stateOf("user.fred", []), stateOf("user.fred.a", [])] };
    const refusal = { kind: "refused", reason: "damaged", text: "" } as const;
    const unreadable = target.mailboxes.map(({ name, uniqueid }) => ({ name, uniqueid, refusal }));
    expect(planFor({ ...NOBODY, unreadable }, target, "mirror").steps).toEqual([]);
  });

  test("names all that only the target has of a user whom the source does not know", () => {
    const quota = { root: "user.fred", limits: { STORAGE: 9 } };
    const script = { filename: "main.script", lastUpdate: 1, isActive: true };
    const settings = { quotas: [quota], subscriptions: ["user.fred"], sieve: [script] };
    const target = { ...NOBODY, ...settings, mailboxes: [stateOf("user.fred", [])] };
    const { steps, leftovers } = planFor(NOBODY, target, "merge");
    const kinds = leftovers.map(({ kind }) => kind);
    expect([steps, kinds]).toEqual([[], ["mailbox", "quota", "subscription", "sieve", "sieve"]]);
  });
});

describe("orderRenames()", () => {
  test("does chains, rings and swaps so that each name is free when it is taken", () => {
    property(
      fc.shuffledSubarray(["a", "b", "c", "d", "e"]),
      fc.shuffledSubarray(["a", "b", "c", "d", "e", "f"]),
      (from, to) => {
        const wanted = from.slice(0, to.length).map((name, at): Rename => {
          return {
            uniqueid: `u${at}`,
            oldName: `user.fred.${name}`,
            newName: `user.fred.${to[at]}`,
          };
        });
        const moving = wanted.filter(({ oldName, newName }) => oldName !== newName);
        const staying = new Set(
          wanted.filter((one) => !moving.includes(one)).map(({ oldName }) => oldName),
        );
        const now = new Map(wanted.map(({ uniqueid, oldName }) => [oldName, uniqueid]));
        const { renames, blocked } = orderRenames(moving, staying);
        expect(blocked).toEqual([]);
        for (const { uniqueid, oldName, newName } of renames) {
          expect(now.get(oldName)).toBe(uniqueid);
          expect(now.has(newName)).toBe(false);
          now.delete(oldName);
          now.set(newName, uniqueid);
        }
        for (const { uniqueid, newName } of wanted) expect(now.get(newName)).toBe(uniqueid);
      },
    );
  });

  test("blocks a chain that ends at a name that stays taken", () => {
    const wanted = [
      { uniqueid: "1", oldName: "user.fred.a", newName: "user.fred.b" },
      { uniqueid: "2", oldName: "user.fred.b", newName: "user.fred.c" },
    ];
    const { renames, blocked } = orderRenames(wanted, new Set(["user.fred.c"]));
    expect([renames, blocked]).toEqual([[], wanted]);
  });
});

describe("commonHolds()", () => {
  test("keeps what both hold, and notCompared() names the rest", () => {
    const less = { ...HOLDS, seen: false, keywords: 0, quotas: ["STORAGE"] } as const;
    expect(commonHolds(HOLDS, less)).toEqual(less);
    expect(notCompared({ holds: HOLDS }, { holds: HOLDS })).toEqual([]);
    const mails = { holds: { ...HOLDS, sieveFiles: false }, mailsScripts: true };
    expect(notCompared({ holds: HOLDS }, mails)).toEqual([]);
    const quotas = ["quota MESSAGE", "quota ANNOTATION-STORAGE", "quota MAILBOX"];
    expect(notCompared({ holds: HOLDS }, { holds: less })).toEqual(["seen", "keywords", ...quotas]);
  });
});
