/**
 * `npm run bench -- stall`: how long a user waits for NOOP and GET USER while another one's APPLY
 * MAILBOX of 20,000 records is under way. `--bobbin PATH` (repeat it) compares programs,
 * interleaved.
 */
import { parseArgs } from "node:util";
import { bobbinPath } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { applyManyLine, fillSmall, stageDistinct } from "../support/many_records.ts";
import { spreadOf } from "./measure.ts";
import { serve } from "./serve.ts";

const OPTIONS = {
  bobbin: { type: "string", multiple: true },
  records: { type: "string", default: "20000" },
  rounds: { type: "string", default: "3" },
} as const;

interface Waits {
  readonly applyMs: number;
  /** By command, of the other user. */
  readonly waitsMs: Readonly<Record<string, readonly number[]>>;
}

/** Measures and prints the waits. */
export async function benchStall(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const programs = values.bobbin ?? [bobbinPath()];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const program of programs) report(program, await measure(program, Number(values.records)));
  }
}

function report(program: string, { applyMs, waitsMs }: Waits): void {
  const parts = Object.entries(waitsMs).map(([command, waits]) => {
    const { median, max } = spreadOf(waits);
    return `${command} ${median.toFixed(1)} ms (at most ${max.toFixed(0)}, ${waits.length} times)`;
  });
  console.log(`${program}: APPLY ${applyMs.toFixed(0)} ms; ${parts.join(", ")}`);
}

async function measure(program: string, records: number): Promise<Waits> {
  const server = await serve(["--no-compress"], program);
  const [large, small] = [await Csync.signedIn(server.port), await Csync.signedIn(server.port)];
  await fillSmall(small, "small");
  await stageDistinct(large);
  const line = applyManyLine("large", records);
  const started = performance.now();
  let applyMs = 0;
  const applying = large.command(line).then(({ status }) => {
    applyMs = performance.now() - started;
    if (!status.startsWith("OK")) throw new Error(status);
  });
  const waitsMs: Record<string, number[]> = { NOOP: [], "GET USER small": [] };
  while (applyMs === 0) {
    for (const [command, waits] of Object.entries(waitsMs)) {
      const asked = performance.now();
      await small.command(command);
      waits.push(performance.now() - asked);
      await Bun.sleep(5);
    }
  }
  await applying;
  large.close();
  small.close();
  await server.stop();
  return { applyMs, waitsMs };
}
