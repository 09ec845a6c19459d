/**
 * All commands that read and write mail, as one table. For each verb it says how its commands are
 * read, and for each command what it touches, which function does it, and what it costs. Syntax is
 * the business of `formats/sync` alone.
 */
import {
  type OutOfScope,
  type Touch,
  touchesMailbox,
  touchesServer,
  touchesUser,
} from "../../accounts/scope.ts";
import type { DlistValue } from "../../formats/dlist/value.ts";
import {
  type ApplyRequest,
  type ParseApplyOptions,
  parseApply,
  parseRestore,
} from "../../formats/sync/apply_command.ts";
import { type GetCommand, parseGet } from "../../formats/sync/get_command.ts";
import type { ApplyRename } from "../../model/apply.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import {
  getAnnotation,
  getFetch,
  getFetchSieve,
  getFullmailbox,
  getMailboxes,
  getMeta,
  getOwners,
  getQuota,
  getShared,
  getUniqueids,
  getUser,
} from "./reading.ts";
import { restoreMailbox } from "./restoring.ts";
import {
  applyMailbox,
  applyRename,
  applyScript,
  enableCapabilities,
  forceFromNowOn,
  passOn,
  reserve,
} from "./writing.ts";

/**
 * `reads`: the command only reads. `changes`: it changes little on the disk, or makes room there.
 * `grows`: it brings something to be kept, and is refused on a disk that is nearly full.
 */
export type Cost = "reads" | "changes" | "grows";

interface Row<Command> {
  /**
   * What the command names and the account must be allowed. A command that names many mailboxes is
   * narrowed down in `run` to those that the account may touch.
   */
  readonly scope: (command: Command) => readonly Touch[];
  readonly run: (command: Command, context: CommandContext) => Promise<Outcome>;
  readonly cost: Cost;
  /** The messages of the next command may be staged while this one runs. */
  readonly overlaps?: true;
}

type Rows<Command extends { readonly kind: string }> = {
  readonly [Kind in Command["kind"]]: Row<Extract<Command, { readonly kind: Kind }>>;
};

const nothingNamed = (): readonly Touch[] => [];

const ofUser =
  (orElse: OutOfScope) =>
  ({ userid }: { readonly userid: string }) => [touchesUser(userid, orElse)];

const ofMailbox =
  (orElse: OutOfScope) =>
  ({ name }: { readonly name: string }) => [touchesMailbox(name, orElse)];

const ofRoot =
  (orElse: OutOfScope) =>
  ({ root }: { readonly root: string }) => [touchesMailbox(root, orElse)];

/** Of a mailbox, or of the server where the name is empty. */
const ofMailboxOrServer =
  (mailbox: OutOfScope, server: OutOfScope) =>
  ({ name }: { readonly name: string }) => [
    name === "" ? touchesServer(server) : touchesMailbox(name, mailbox),
  ];

const ofBothNames = ({ oldName, newName }: ApplyRename): readonly Touch[] => [
  touchesMailbox(oldName, "absent"),
  touchesMailbox(newName, "denied"),
];

/** Most GET commands answer OK without data for what is not there, as Cyrus does. */
const GETS: Rows<GetCommand> = {
  user: { scope: ofUser("nothing"), run: getUser, cost: "reads" },
  meta: { scope: ofUser("nothing"), run: getMeta, cost: "reads" },
  mailboxes: { scope: nothingNamed, run: getMailboxes, cost: "reads" },
  uniqueids: { scope: nothingNamed, run: getUniqueids, cost: "reads" },
  fullmailbox: { scope: ofMailbox("absent"), run: getFullmailbox, cost: "reads" },
  annotation: { scope: ofMailboxOrServer("nothing", "nothing"), run: getAnnotation, cost: "reads" },
  quota: { scope: ofRoot("nothing"), run: getQuota, cost: "reads" },
  owners: { scope: nothingNamed, run: getOwners, cost: "reads" },
  shared: {
    scope: ({ toplevel }) => [touchesMailbox(toplevel, "nothing")],
    run: getShared,
    cost: "reads",
  },
  fetch: {
    scope: ({ mailbox }) => [touchesMailbox(mailbox, "absent")],
    run: getFetch,
    cost: "reads",
  },
  fetchSieve: { scope: ofUser("absent"), run: getFetchSieve, cost: "reads" },
};

const APPLIES: Rows<ApplyRequest> = {
  reserve: { scope: nothingNamed, run: reserve, cost: "grows" },
  // Files are staged while the line is read, and are refused there if need be.
  message: { scope: nothingNamed, run: (_, { files }) => files.finish(), cost: "changes" },
  mailbox: {
    scope: ({ state }) => ofMailbox("denied")(state),
    run: applyMailbox,
    cost: "grows",
    overlaps: true,
  },
  restore: { scope: ofMailbox("denied"), run: restoreMailbox, cost: "grows" },
  unmailbox: { scope: ofMailbox("absent"), run: passOn, cost: "changes" },
  rename: { scope: ofBothNames, run: applyRename, cost: "grows" },
  expunge: { scope: ofMailbox("absent"), run: passOn, cost: "changes" },
  quota: { scope: ({ quota }) => ofRoot("denied")(quota), run: passOn, cost: "grows" },
  unquota: { scope: ofRoot("nothing"), run: passOn, cost: "changes" },
  seen: { scope: ofUser("denied"), run: passOn, cost: "grows" },
  sub: { scope: ofUser("denied"), run: passOn, cost: "grows" },
  unsub: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  annotation: { scope: ofMailboxOrServer("absent", "denied"), run: passOn, cost: "grows" },
  unannotation: { scope: ofMailboxOrServer("absent", "denied"), run: passOn, cost: "changes" },
  sieve: { scope: ofUser("denied"), run: applyScript, cost: "grows" },
  unsieve: { scope: ofUser("nothing"), run: applyScript, cost: "changes" },
  activateSieve: { scope: ofUser("absent"), run: passOn, cost: "grows" },
  unactivateSieve: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  unuser: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  force: { scope: nothingNamed, run: forceFromNowOn, cost: "changes" },
  capabilities: { scope: nothingNamed, run: enableCapabilities, cost: "changes" },
};

/** A command that has been read, with what its row in the table says. */
export interface ReadCommand {
  readonly command: GetCommand | ApplyRequest;
  readonly touches: readonly Touch[];
  readonly cost: Cost;
  readonly overlaps: boolean;
  readonly run: (context: CommandContext) => Promise<Outcome>;
}

/** Reads what follows a verb; undefined for a name that is no command. Throws FieldError. */
type ReadVerb = (
  name: string,
  value: DlistValue,
  options: ParseApplyOptions,
) => ReadCommand | undefined;

function verb<Command extends GetCommand | ApplyRequest>(
  parse: (name: string, value: DlistValue, options: ParseApplyOptions) => Command | undefined,
  rows: Rows<Command>,
): ReadVerb {
  return (name, value, options) => {
    const command = parse(name, value, options);
    if (command === undefined) return undefined;
    // The row under the kind of a command is a row for commands of that kind.
    const row = rows[command.kind as Command["kind"]] as unknown as Row<Command>;
    const { scope, run, cost, overlaps = false } = row;
    return {
      command,
      touches: scope(command),
      cost,
      overlaps,
      run: (context) => run(command, context),
    };
  };
}

/** The verbs in capitals, each with what reads its commands. */
export const VERBS: ReadonlyMap<string, ReadVerb> = new Map([
  ["GET", verb(parseGet, GETS)],
  ["APPLY", verb(parseApply, APPLIES)],
  ["RESTORE", verb<ApplyRequest>(parseRestore, APPLIES)],
]);
