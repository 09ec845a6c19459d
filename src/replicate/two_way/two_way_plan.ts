/**
 * The plan for two sides that are both written: what both are to hold is agreed upon
 * (agree_user.ts), and the one planner gives the steps that bring each of them there. Mailboxes
 * that both have are agreed upon when their turn comes.
 */
import { isIntermediate, type MailboxState, type UserState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Outcome, ok } from "../../model/outcome.ts";
import type { Holds, Place } from "../../places/place.ts";
import { compiledScripts, type LeftScript } from "../owner/compiled_scripts.ts";
import { readOwnerState, takenBy } from "../owner/owner_state.ts";
import { withScriptsAlike } from "../owner/script_forms.ts";
import { withoutMoved } from "../owner/strangers.ts";
import { commonHolds, holdsOf } from "../plan/holds.ts";
import { parentsFirst, planOwner } from "../plan/plan_owner.ts";
import { type Both, OTHER_SIDE, SIDES, type Side } from "../plan/sides.ts";
import type { MailboxStep, Step } from "../plan/steps.ts";
import { type AgreedUser, agreeUser, deletedOnOneSide } from "./agree_user.ts";
import { hasUnheardOf } from "./conflicts.ts";
import type { PairStep } from "./two_way_mailbox.ts";

/**
 * A mailbox that only one side has, or has as more than a placeholder: it is brought to the other.
 */
export interface BringStep {
  readonly kind: "bring";
  readonly name: string;
  readonly to: Side;
  readonly step: MailboxStep;
  /** The giving side's name for it before the renames. */
  readonly sourceName: string;
}

export interface TwoWayPlan {
  /** What both places hold of this owner. */
  readonly holds: Holds;
  /** With scripts in a form that both have. */
  readonly places: Both<Place>;
  readonly states: Both<UserState>;
  readonly agreed: AgreedUser;
  /** Scripts that one of the sides could not run. */
  readonly left: readonly LeftScript[];
  readonly mailboxes: readonly (PairStep | BringStep)[];
  /** All but mailboxes. */
  readonly steps: Both<readonly Exclude<Step, MailboxStep>[]>;
}

export interface PlanBothRequest {
  readonly owner: Owner;
  readonly places: Both<Place>;
}

/** Reads both sides and plans for each; nothing is written. */
export async function planBoth({
  owner,
  places: given,
}: PlanBothRequest): Promise<Outcome<TwoWayPlan>> {
  const found = await readStates(owner, given);
  if (found.kind === "refused") return found;
  const read = await withoutMoved(found.value, { owner, places: given, sides: SIDES });
  if (read.kind === "refused") return read;
  const alike = await withScriptsAlike(owner, {
    a: { place: given.a, state: read.value.a },
    b: { place: given.b, state: read.value.b },
  });
  const places = { a: alike.a.place, b: alike.b.place };
  const states = {
    a: takenBy(places.b, alike.a.state),
    b: takenBy(places.a, alike.b.state),
  };
  const common = commonHolds(places.a.holds, places.b.holds);
  const holds = holdsOf(common, [states.a, states.b]);
  const unheardOf = await findUnheardOf(states, { places, holds });
  const agreed = agreeUser(states.a, states.b, { holds, unheardOf });
  const { aliases } = agreed;
  const known = (state: MailboxState): MailboxState => {
    const uniqueid = aliases.get(state.uniqueid);
    return uniqueid === undefined ? state : { ...state, uniqueid };
  };
  const aliased = { ...states.b, mailboxes: states.b.mailboxes.map(known) };
  const runnable = async (side: Side, theirs: UserState) => {
    const [source, target] = [places[OTHER_SIDE[side]], places[side]];
    return compiledScripts(agreed.state, { owner, source, target, theirs });
  };
  const wanted = { a: await runnable("a", states.a), b: await runnable("b", states.b) };
  const planFor = (side: Side, target: UserState) =>
    planOwner({
      ...{ owner, mode: "merge", source: wanted[side].ours, target, holds },
      takesBytecode: places[side].bytecode !== undefined,
    });
  const plans = { a: planFor("a", states.a), b: planFor("b", aliased) };
  const others = (steps: readonly Step[]) => steps.filter((step) => step.kind !== "mailbox");
  return ok({
    ...{
      ...{ places, states, holds },
      left: [...wanted.a.left, ...wanted.b.left],
      agreed: { ...agreed, leftovers: [...agreed.leftovers, ...plans.a.leftovers] },
    },
    mailboxes: mailboxSteps({ a: plans.a.steps, b: plans.b.steps }, { states, agreed }),
    steps: { a: others(plans.a.steps), b: others(plans.b.steps) },
  });
}

/** A side that cannot list shared mailboxes is asked for those that the other has. */
async function readStates(owner: Owner, places: Both<Place>): Promise<Outcome<Both<UserState>>> {
  const first = owner.kind === "shared" && !places.a.holds.userList ? "b" : "a";
  const one = await readOwnerState(places[first], owner);
  if (one.kind === "refused") return one;
  const two = await readOwnerState(places[OTHER_SIDE[first]], owner, one.value);
  if (two.kind === "refused") return two;
  return ok(first === "a" ? { a: one.value, b: two.value } : { a: two.value, b: one.value });
}

/** Mailboxes that one side has deleted, not knowing of messages that the other has got. */
async function findUnheardOf(
  states: Both<UserState>,
  { places, holds }: { readonly places: Both<Place>; readonly holds: Holds },
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const { livesAt, living, deleted } of deletedOnOneSide(states.a, states.b, holds)) {
    const ours = await places[livesAt].readMailbox(living.name);
    const theirs = await places[OTHER_SIDE[livesAt]].readMailbox(deleted.name);
    // What cannot be looked into now is not deleted either.
    if (ours.kind === "refused" || theirs.kind === "refused") found.add(living.uniqueid);
    else if (await hasUnheardOf(ours.value.records, theirs.value.records, holds)) {
      found.add(living.uniqueid);
    }
  }
  return found;
}

function mailboxSteps(
  steps: Both<readonly Step[]>,
  { states, agreed }: Pick<TwoWayPlan, "states" | "agreed">,
): (PairStep | BringStep)[] {
  const found = new Map<string, PairStep | BringStep>();
  const aliases = new Map([...agreed.aliases].map(([theirs, ours]) => [ours, theirs]));
  const stateAt = (side: Side, uniqueid: string): MailboxState | undefined => {
    const wanted = side === "b" ? (aliases.get(uniqueid) ?? uniqueid) : uniqueid;
    return states[side].mailboxes.find((state) => state.uniqueid === wanted);
  };
  for (const to of SIDES) {
    for (const step of steps[to]) {
      if (step.kind !== "mailbox") continue;
      const { name, ours, theirs } = step;
      const [a, b] = [stateAt("a", ours.uniqueid), stateAt("b", ours.uniqueid)];
      const isPair = theirs !== undefined && !isIntermediate(ours);
      if (isPair && a !== undefined && b !== undefined) {
        found.set(ours.uniqueid, { kind: "pair", name, states: { a, b } });
      } else {
        const sourceName = (to === "a" ? b : a)?.name ?? name;
        found.set(ours.uniqueid, { kind: "bring", name, to, step, sourceName });
      }
    }
  }
  // A sum of 0 may mean "not known", or that nothing lives there: the records tell.
  for (const { name, uniqueid } of agreed.state.mailboxes) {
    const [a, b] = [stateAt("a", uniqueid), stateAt("b", uniqueid)];
    if (a === undefined || b === undefined || found.has(uniqueid)) continue;
    if ((a.syncCrc ?? 0) === (b.syncCrc ?? 0)) continue;
    found.set(uniqueid, { kind: "pair", name, states: { a, b } });
  }
  return [...found.values()].sort(parentsFirst);
}
