/** The file of `backup run --metrics-file`, for the textfile collector of Prometheus. */

import { type ArchiveRuns, isWhole } from "../../../places/backup/read/archive_runs.ts";
import { ownerLabel } from "../../mailbox_names.ts";

type Metric = readonly [name: string, help: string, value: (one: Measured) => number];

interface Measured extends ArchiveRuns {
  readonly last: ArchiveRuns["runs"][number];
}

const METRICS: readonly Metric[] = [
  [
    "last_success_timestamp_seconds",
    "When the last run that found nothing wrong ended.",
    ({ runs }) => (runs.findLast(isWhole)?.ended ?? 0) / 1000,
  ],
  ["last_run_timestamp_seconds", "When the last run ended.", ({ last }) => last.ended / 1000],
  [
    "duration_seconds",
    "How long the last run took.",
    ({ last }) => (last.ended - last.began) / 1000,
  ],
  ["new_messages", "Messages that the last run brought.", ({ last }) => last.messages],
  ["new_bytes", "Bytes of the messages that the last run brought.", ({ last }) => last.bytes],
  ["findings", "What the last run could not have.", ({ last }) => last.findings],
  [
    "gaps",
    "Mailboxes to which mail came that was gone before the last run.",
    ({ last }) => last.gaps?.length ?? 0,
  ],
  ["messages", "Messages in the archive.", ({ messages }) => messages],
  ["archive_bytes", "Size of the archive.", ({ bytes }) => bytes],
];

/** Text in the exposition format of Prometheus; an archive without a run is left out. */
export function printMetrics(archives: readonly ArchiveRuns[]): string {
  const measured = archives.flatMap((one) => {
    const last = one.runs.at(-1);
    return last === undefined ? [] : [{ ...one, last }];
  });
  return METRICS.map(([name, help, value]) => {
    const full = `bobbin_backup_${name}`;
    const samples = measured.map((one) => `${full}{${labelOf(one)}} ${value(one)}\n`);
    return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${samples.join("")}`;
  }).join("");
}

function labelOf({ owner }: ArchiveRuns): string {
  const escaped = ownerLabel(owner).replace(/[\\"\n]/g, (char) =>
    char === "\n" ? "\\n" : `\\${char}`,
  );
  return `user="${escaped}"`;
}
