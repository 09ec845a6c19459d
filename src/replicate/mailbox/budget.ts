/**
 * What a run may delete of one owner at one side: what its plan has counted and the brake has let
 * pass, and nothing else. Mailboxes are planned again from what both sides have when their turn
 * comes, and again where the target refuses; a deletion that comes up only then is not made.
 */
import { plural } from "../../core/counts.ts";
import { externalName } from "../../model/names.ts";
import { DONE, type Outcome, type Refusal, refused } from "../../model/outcome.ts";

/** The mailbox at the side that is written. */
interface Mailbox {
  readonly name: string;
  readonly uniqueid: string;
}

/** The refusal of a plan that deletes more than is allowed. */
export function braked(text: string): Refusal {
  const hint =
    "Once you know why, allow it with --allow-delete PERCENT: 100 also allows a whole user";
  return { ...refused("permissionDenied", text), isBrake: true, hint };
}

/** The budget of one owner at one side, over all passes and attempts of a run. */
export class Budget {
  /** Per cent of the messages or mailboxes at the side. */
  readonly percent: number;
  /** Deletions by the mailbox's uniqueid: what this pass has planned, and what is left of it. */
  #planned: ReadonlyMap<string, number> = new Map();
  readonly #left = new Map<string, number>();
  #refusal: Refusal | undefined;
  #spent = { mailboxes: 0, messages: 0 };

  constructor(percent: number) {
    this.percent = percent;
  }

  /** Anything may go: nothing has to be counted. */
  get isUnlimited(): boolean {
    return this.percent >= 100;
  }

  /** What has been deleted so far. */
  get spent(): { readonly mailboxes: number; readonly messages: number } {
    return this.#spent;
  }

  /** The first deletion of this pass that was not made because the plan had not counted it. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** Begins a pass, whose plan deletes so many messages of each mailbox. */
  begin(planned: ReadonlyMap<string, number>): void {
    this.#planned = planned;
    this.#left.clear();
    for (const [uniqueid, messages] of planned) this.#left.set(uniqueid, messages);
    this.#refusal = undefined;
  }

  /** Refused as `permissionDenied` where the plan has not counted so many. */
  allow({ name, uniqueid }: Mailbox, messages: number): Outcome {
    if (this.isUnlimited || messages <= (this.#left.get(uniqueid) ?? 0)) return DONE;
    const planned = this.#planned.get(uniqueid) ?? 0;
    const what = `${plural(messages, "message")} of ${externalName(name)} would be deleted`;
    const text = `${what}, and the plan counted ${planned}`;
    const refusal = braked(text);
    this.#refusal ??= refusal;
    return refusal;
  }

  /** Notes that the messages are gone. */
  spend({ uniqueid }: Pick<Mailbox, "uniqueid">, messages: number): void {
    this.#left.set(uniqueid, (this.#left.get(uniqueid) ?? 0) - messages);
    this.#spent = { ...this.#spent, messages: this.#spent.messages + messages };
  }

  /** Notes that the mailbox is gone, with all messages in it that the plan has counted. */
  spendMailbox({ uniqueid }: Pick<Mailbox, "uniqueid">): void {
    this.spend({ uniqueid }, this.#left.get(uniqueid) ?? 0);
    this.#spent = { ...this.#spent, mailboxes: this.#spent.mailboxes + 1 };
  }
}
