/**
 * The commands that read and write mail, as a table: how each verb is read, and for every command
 * of it what it touches, what does it, and what it costs. Syntax is the business of `formats/sync`
 * alone.
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
import type { Outcome } from "../../model/outcome.ts";
import type { CommandContext } from "../session/context.ts";
import {
  getAnnotation,
  getFetch,
  getFetchSieve,
  getFullmailbox,
  getMailboxes,
  getMeta,
  getQuota,
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
 * `reads`: only what is there. `changes`: a little on the disk, or nothing. `grows`: brings mail,
 * and is refused on a disk that is nearly full.
 */
export type Cost = "reads" | "changes" | "grows";

interface Row<Command> {
  /** All that the command names; what an account may touch some of is narrowed down in `run`. */
  readonly scope: (command: Command) => readonly Touch[];
  readonly run: (command: Command, context: CommandContext) => Promise<Outcome>;
  readonly cost: Cost;
  /** The next command's messages are staged while this one runs. */
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
  (orElse: { readonly mailbox: OutOfScope; readonly server: OutOfScope }) =>
  ({ name }: { readonly name: string }) => [
    name === "" ? touchesServer(orElse.server) : touchesMailbox(name, orElse.mailbox),
  ];

/** What is not there is no error to most of them: OK with no data, as from Cyrus. */
const GETS: Rows<GetCommand> = {
  user: { scope: ofUser("nothing"), run: getUser, cost: "reads" },
  meta: { scope: ofUser("nothing"), run: getMeta, cost: "reads" },
  mailboxes: { scope: nothingNamed, run: getMailboxes, cost: "reads" },
  uniqueids: { scope: nothingNamed, run: getUniqueids, cost: "reads" },
  fullmailbox: { scope: ofMailbox("absent"), run: getFullmailbox, cost: "reads" },
  annotation: {
    scope: ofMailboxOrServer({ mailbox: "nothing", server: "nothing" }),
    run: getAnnotation,
    cost: "reads",
  },
  quota: { scope: ofRoot("nothing"), run: getQuota, cost: "reads" },
  fetch: {
    scope: ({ mailbox }) => [touchesMailbox(mailbox, "absent")],
    run: getFetch,
    cost: "reads",
  },
  fetchSieve: { scope: ofUser("absent"), run: getFetchSieve, cost: "reads" },
};

const APPLIES: Rows<ApplyRequest> = {
  reserve: { scope: nothingNamed, run: reserve, cost: "changes" },
  // Its files have been staged while its line was read, and were refused there if they had to be.
  message: { scope: nothingNamed, run: (_, { files }) => files.finish(), cost: "changes" },
  mailbox: {
    scope: ({ state }) => [touchesMailbox(state.name, "denied")],
    run: applyMailbox,
    cost: "grows",
    overlaps: true,
  },
  restore: { scope: ofMailbox("denied"), run: restoreMailbox, cost: "grows" },
  unmailbox: { scope: ofMailbox("absent"), run: passOn, cost: "changes" },
  rename: {
    scope: ({ oldName, newName }) => [
      touchesMailbox(oldName, "absent"),
      touchesMailbox(newName, "denied"),
    ],
    run: applyRename,
    cost: "changes",
  },
  expunge: { scope: ofMailbox("absent"), run: passOn, cost: "changes" },
  quota: {
    scope: ({ quota }) => [touchesMailbox(quota.root, "denied")],
    run: passOn,
    cost: "changes",
  },
  unquota: { scope: ofRoot("nothing"), run: passOn, cost: "changes" },
  seen: { scope: ofUser("denied"), run: passOn, cost: "changes" },
  sub: { scope: ofUser("denied"), run: passOn, cost: "changes" },
  unsub: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  annotation: {
    scope: ofMailboxOrServer({ mailbox: "absent", server: "denied" }),
    run: passOn,
    cost: "changes",
  },
  unannotation: {
    scope: ofMailboxOrServer({ mailbox: "absent", server: "denied" }),
    run: passOn,
    cost: "changes",
  },
  sieve: { scope: ofUser("denied"), run: applyScript, cost: "changes" },
  unsieve: { scope: ofUser("nothing"), run: applyScript, cost: "changes" },
  activateSieve: { scope: ofUser("absent"), run: passOn, cost: "changes" },
  unactivateSieve: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  unuser: { scope: ofUser("nothing"), run: passOn, cost: "changes" },
  force: { scope: nothingNamed, run: forceFromNowOn, cost: "changes" },
  capabilities: { scope: nothingNamed, run: enableCapabilities, cost: "changes" },
};

/** A command that has been read, and all that its row says of it. */
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
    // The row that is found under a command's kind is for commands of that kind.
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

/** By the words that clients send, in capitals. */
export const VERBS: ReadonlyMap<string, ReadVerb> = new Map([
  ["GET", verb(parseGet, GETS)],
  ["APPLY", verb(parseApply, APPLIES)],
  ["RESTORE", verb<ApplyRequest>(parseRestore, APPLIES)],
]);
