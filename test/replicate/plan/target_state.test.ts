/**
 * What two states may have different without anything being wrong: a target that cannot have it
 * otherwise.
 */
import { describe, expect, test } from "bun:test";
import type { MailboxState } from "../../../src/model/mailbox.ts";
import type { Holds } from "../../../src/places/place.ts";
import { planOwner } from "../../../src/replicate/plan/plan_owner.ts";
import type { Plan } from "../../../src/replicate/plan/steps.ts";
import { stateToSend } from "../../../src/replicate/plan/target_state.ts";
import { newStorePlace } from "../../support/replication.ts";
import { stateOf } from "../../support/store_fixture.ts";

const HOLDS = newStorePlace().holds;
const INBOX = stateOf("user.fred", [], { xconvmodseq: 5n, raclmodseq: 5n, foldermodseq: 5n });

/** INBOX as a target shows it that keeps nothing of conversations. */
function withoutConversations(): MailboxState {
  const { xconvmodseq: _, ...rest } = INBOX;
  return rest;
}

interface Sides {
  readonly ours?: readonly MailboxState[];
  readonly theirs?: readonly MailboxState[];
  readonly holds?: Partial<Holds>;
  readonly mode?: "merge" | "mirror";
  readonly scripts?: readonly string[];
}

function plan({ ours = [INBOX], theirs = [INBOX], holds, mode, scripts = [] }: Sides): Plan {
  const nothing = { quotas: [], seen: [], subscriptions: [], sieve: [] };
  const sieve = scripts.map((filename) => ({ filename, lastUpdate: 1, isActive: false }));
  return planOwner({
    owner: { kind: "user", userid: "fred" },
    mode: mode ?? "merge",
    source: { ...nothing, mailboxes: ours, sieve },
    target: { ...nothing, mailboxes: theirs },
    holds: { ...HOLDS, ...holds },
  });
}

describe("planOwner()", () => {
  test("wants XCONVMODSEQ only of a target that always keeps it", () => {
    const theirs = [withoutConversations()];
    expect(plan({ theirs }).steps).toHaveLength(1);
    expect(plan({ theirs, holds: { conversationModseqs: false } }).steps).toEqual([]);
    const other = [{ ...INBOX, xconvmodseq: 4n }];
    expect(plan({ theirs: other, holds: { conversationModseqs: false } }).steps).toHaveLength(1);
  });

  test("does not want numbers back that the target has raised by itself", () => {
    for (const field of ["xconvmodseq", "raclmodseq", "foldermodseq"] as const) {
      for (const mode of ["merge", "mirror"] as const) {
        expect(plan({ mode, theirs: [{ ...INBOX, [field]: 9n }] }).steps).toEqual([]);
        expect(plan({ mode, theirs: [{ ...INBOX, [field]: 3n }] }).steps).toHaveLength(1);
      }
      const theirs = { ...INBOX, [field]: 9n };
      const sent = stateToSend(INBOX, { holds: HOLDS, theirs, partition: "default" });
      expect([sent[field], sent.highestmodseq]).toEqual([9n, INBOX.highestmodseq]);
    }
  });

  test("does not want the option for UIDLs back that a Cyrus gives to an empty mailbox", () => {
    const empty = { ...INBOX, options: "S", syncCrc: 0 };
    expect(plan({ ours: [empty], theirs: [{ ...empty, options: "PS" }] }).steps).toEqual([]);
    const full = { ...empty, syncCrc: 7 };
    expect(plan({ ours: [full], theirs: [{ ...full, options: "PS" }] }).steps).toHaveLength(1);
  });

  test("leaves #sieve to places that both have one", () => {
    const scripts = stateOf("user.fred.#sieve", [], { type: "f" });
    const holds = { sieveMailboxes: false };
    expect(plan({ ours: [INBOX, scripts], holds }).steps).toEqual([]);
    const mirror = plan({ theirs: [INBOX, scripts], holds, mode: "mirror" });
    expect(mirror).toEqual({ steps: [], leftovers: [] });
    expect(plan({ ours: [INBOX, scripts] }).steps).toHaveLength(1);
  });
});
