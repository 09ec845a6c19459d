/**
 * `npm run bench -- live`: what a loop of `bobbin fsck` costs a server that is busy. Deliveries by
 * LMTP as fast as a real Cyrus takes them, alone and with fsck running again and again; interleaved
 * rounds.
 */
import { parseArgs } from "node:util";
import { bobbin } from "../support/cli.ts";
import { labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { spreadOf } from "./measure.ts";

const OPTIONS = {
  rounds: { type: "string", default: "5" },
  seconds: { type: "string", default: "10" },
} as const;

/** Measures and prints the rates. */
export async function benchLive(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (!has("a Cyrus server")) throw new Error("no Cyrus is installed here");
  const lab = await labUp();
  try {
    await lab.run("user", "ann");
    await lab.run("fill", "ann", "500", "--avg-kb", "8");
    const rates: Record<string, number[]> = { alone: [], "with fsck": [], "with fsck --lock": [] };
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [name, list] of Object.entries(rates)) {
        let isOver = false;
        const storm = lab
          .storm("ann", Number(values.seconds), "--no-changes", "--seed", `${round} ${name}`)
          .finally(() => {
            isOver = true;
          });
        while (name !== "alone" && !isOver) {
          const lock = name.endsWith("--lock") ? ["--lock"] : [];
          await bobbin(["fsck", lab.conf, ...lock]);
        }
        const { deliveries, seconds } = await storm;
        list.push(deliveries / seconds);
      }
    }
    const alone = spreadOf(rates["alone"] ?? []).median;
    for (const [name, list] of Object.entries(rates)) {
      const median = spreadOf(list).median;
      const share = ((100 * median) / alone).toFixed(0);
      console.log(`${name.padEnd(18)} ${median.toFixed(1)} deliveries/s (${share} %)`);
    }
  } finally {
    await lab.down();
  }
}
