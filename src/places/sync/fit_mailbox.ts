/**
 * A mailbox in the form in which a server of some version keeps what is sent: keys whose absence
 * would reset a value or refuse the command are added, and what it would keep as something else, or
 * makes by itself, is left out.
 */
import type { ApplyMailbox } from "../../model/apply.ts";
import type { MailboxState, RecordSource } from "../../model/mailbox.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Peer } from "./peer.ts";
import { typeFor } from "./peer_holds.ts";
import type { PeerMemory } from "./peer_memory.ts";
import { can } from "./versions.ts";

export interface FitOptions {
  readonly peer: Peer;
  readonly memory: PeerMemory;
  readonly partition: string;
}

/** `command` for `peer`, which takes its type. */
export function fitMailbox(
  command: ApplyMailbox,
  { peer, memory, partition }: FitOptions,
): ApplyMailbox {
  const { state } = command;
  const lastAppenddate = state.lastAppenddate ?? 0;
  if (peer.software === "bobbin") {
    return { ...command, state: { ...state, partition, lastAppenddate } };
  }
  // A server makes indexes of the version that it is made for, unless it is told an older one.
  const { version: _, jmapid: __, syncCrcAnnot, ...rest } = withType(state, peer);
  const hasSums = can(peer, "fields of 3.2") && syncCrcAnnot !== undefined;
  return {
    ...command,
    state: {
      ...rest,
      ...{ partition, lastAppenddate, syncCrc: rest.syncCrc ?? 0 },
      ...(hasSums ? { syncCrcAnnot } : {}),
      ...originOf(state, { peer, memory }),
    },
    records: fitRecords(command.records, peer),
  };
}

/** With the type in the letters of `peer`; without one for plain mail. */
export function withType({ type, ...state }: MailboxState, peer: Peer): MailboxState {
  const letters = typeFor(peer, type);
  return typeof letters === "string" ? { ...state, type: letters } : state;
}

/**
 * CREATEDMODSEQ and JMAPID. A server that is not told the first sets it to 0, and a master makes
 * the second of it: what the source does not say, or a mailbox of the user that the source does not
 * have was given there, must not come twice.
 */
function originOf(
  { name, createdmodseq, jmapid }: MailboxState,
  { peer, memory }: Pick<FitOptions, "peer" | "memory">,
): Pick<MailboxState, "createdmodseq" | "jmapid"> {
  const known = memory.find(name);
  const wanted = createdmodseq ?? known?.createdmodseq ?? 1n;
  const origin = { createdmodseq: wanted, jmapid };
  const clashes =
    createdmodseq === undefined ? memory.isTaken(name, origin) : memory.isTakenThere(name, origin);
  if (!clashes || !can(peer, "fields of master")) {
    return { createdmodseq: wanted, ...(jmapid !== undefined && { jmapid }) };
  }
  let free = known?.createdmodseq ?? wanted;
  while (memory.isTaken(name, { createdmodseq: free, jmapid: undefined })) free += 1n;
  return { createdmodseq: free };
}

/** Without what a server would keep as annotations that somebody has made. */
function fitRecords(source: RecordSource, peer: Peer): RecordSource {
  const drops = {
    ...(!can(peer, "fields of 3.2") && NO_FIELDS_OF_32),
    ...(!can(peer, "annotations within MAILBOX") && NO_ANNOTATIONS),
  };
  if (Object.keys(drops).length === 0) return source;
  return {
    batches: async function* () {
      for await (const batch of source.batches()) {
        yield batch.map((record) => ({ ...record, ...drops }));
      }
    },
  };
}

const NO_FIELDS_OF_32: Partial<MailRecord> = {
  ...{ savedate: 0, createdmodseq: 0n, internaldateNsec: 0 },
};
const NO_ANNOTATIONS: Partial<MailRecord> = { cid: 0n, basecid: 0n, annotations: [] };
