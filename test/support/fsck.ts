/** Runs fsck inside the test process. */

import { type Finding, type ToldFinding, tell } from "../../src/fsck/finding.ts";
import { FSCK_JOBS } from "../../src/fsck/fsck_jobs.ts";
import { checkMessages } from "../../src/fsck/mailbox/check_messages.ts";
import { Collector } from "../../src/fsck/mailbox/collector.ts";
import { lookAt } from "../../src/fsck/mailbox/look.ts";
import { atLeast, type Severity } from "../../src/fsck/severity.ts";
import {
  checkSpool,
  NOTHING_DONE,
  planSpool,
  type SpoolEvents,
  type SpoolRequest,
} from "../../src/fsck/spool/check_spool.ts";
import { LinkCensus } from "../../src/fsck/spool/link_census.ts";
import { UniqueidCensus } from "../../src/fsck/spool/uniqueid_census.ts";
import { checkWholeStore } from "../../src/fsck/store/check_store.ts";
import { poolSweep } from "../../src/fsck/store/pool_sweep.ts";
import { engineOf } from "../../src/hash/engines.ts";
import { pickFromTable } from "../../src/mailbox/message_table.ts";
import { type MailboxPaths, mailboxPaths } from "../../src/places/cyrus/mailbox/mailbox_files.ts";
import { closeMailbox, openMailbox } from "../../src/places/cyrus/mailbox/opened_mailbox.ts";
import type { Store } from "../../src/places/store/store.ts";
import { inlinePool } from "../../src/threads/job_pool.ts";

/** A finding with the internal name of its mailbox; "" for what lies outside of any. */
export interface Found extends ToldFinding {
  readonly mailbox: string;
}

/** Everything that a full fsck of the spool at `data` finds, just as the command does it. */
export async function fsckSpool(
  data: string,
  { progress = () => undefined, ...options }: Partial<SpoolRequest & SpoolEvents> = {},
): Promise<Found[]> {
  const request = { roots: { data }, engine: "auto", quick: false, ...options } as const;
  const found: Finding[] = [];
  const plan = planSpool(request);
  const censuses = { uniqueids: new UniqueidCensus(), links: new LinkCensus() };
  await checkSpool(request, plan, {
    pool: inlinePool(FSCK_JOBS),
    ...{ censuses, totals: { ...NOTHING_DONE } },
    events: {
      mailbox: ({ findings }) => {
        found.push(...findings);
      },
      progress,
    },
  });
  found.push(...(await censuses.uniqueids.findings()), ...censuses.links.findings(), ...plan.loose);
  return found.map((one) => ({ mailbox: "", ...tell(one) }));
}

/** Everything that a full fsck of a store finds beside its mailboxes. */
export async function fsckStore(store: Store): Promise<Finding[]> {
  const pool = inlinePool(FSCK_JOBS);
  const inPools = await poolSweep(store, "auto").finish({ pool, onRead: () => undefined });
  return [...(await checkWholeStore(store)).findings, ...inPools];
}

/**
 * One look at one mailbox and all its messages, without the pauses that a live server calls for.
 */
export async function lookOnce(folder: string): Promise<readonly ToldFinding[]> {
  return (await lookOncePaths(mailboxPaths({ data: folder }, ""))).map(tell);
}

async function lookOncePaths(paths: MailboxPaths): Promise<readonly Finding[]> {
  const mailbox = openMailbox(paths);
  const { uid = 0, dev: device = 0 } = mailbox.folder?.stat ?? {};
  const look = lookAt(mailbox, {
    nowSeconds: Date.now() / 1000,
    partition: { uid, device },
    quick: false,
  });
  closeMailbox(mailbox);
  const { messages, present } = look;
  if (messages === undefined) return look.findings;
  const collector = new Collector();
  checkMessages(pickFromTable(messages, present.spool), {
    folder: paths.data,
    engine: await engineOf("native"),
    ownerUid: uid,
    collector,
    suspect: (_row, what) => collector.note(what),
    linked: () => undefined,
  });
  return [...look.findings, ...collector.findings()];
}

/** `IX03 uid 2` for each finding of at least `floor`, without repeats. */
export function codesOf(findings: readonly ToldFinding[], floor: Severity = "info"): string[] {
  const codes = findings
    .filter(({ severity }) => atLeast(severity, floor))
    .map(({ code, uid }) => (uid === undefined ? code : `${code} uid ${uid}`));
  return [...new Set(codes)].sort();
}
