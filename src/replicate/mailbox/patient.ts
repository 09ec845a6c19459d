/** A mailbox or user that somebody else has locked is tried again a few times. */
import type { Outcome } from "../../model/outcome.ts";

/** Milliseconds before each further try. */
const PAUSES_MS = [200, 600, 1_800];

/** Does `work` again while it is refused as `busy`; `first` is an answer that is there already. */
export async function patient<Value>(
  work: () => Promise<Outcome<Value>>,
  first?: Outcome<Value>,
): Promise<Outcome<Value>> {
  let done = first ?? (await work());
  for (const pause of PAUSES_MS) {
    if (done.kind === "ok" || done.reason !== "busy") return done;
    await Bun.sleep(pause);
    done = await work();
  }
  return done;
}
