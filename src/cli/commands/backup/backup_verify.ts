/** `bobbin backup verify`: fsck of archives, or of a sample of them. */
import type { Command } from "commander";
import { plural } from "../../../core/counts.ts";
import { AppError } from "../../../core/errors.ts";
import { escapeText } from "../../../core/escape.ts";
import type { Sampled } from "../../../fsck/backup/sample_archive.ts";
import type { CommandEnv, Handle, Handler } from "../../command.ts";
import { EXIT, worstExit } from "../../exit.ts";
import { errorFacts } from "../../hints.ts";
import { sampleOption } from "../../options.ts";
import { formatBytes } from "../../text.ts";
import { runFsck } from "../fsck.ts";
import { foldersOf, ofArchives } from "./archive_arguments.ts";

/** Members of a sample that are named; JSON has all. */
const MEMBERS_TOLD = 8;

/** Adds it to the commands of `backup`. */
export function registerVerify(backup: Command, handle: Handle): void {
  ofArchives(backup.command("verify"))
    .summary("check archives; changes nothing")
    .description(
      "Unpacks archives, and checks every message and file against its SHA-1, every mailbox, and " +
        "the state beside the archive. It is `bobbin fsck backup:ARCHIVE`. With --sample some " +
        "members of each archive are read, chosen by chance, and checked against the state. " +
        "Then the exit code 0 says that what was read is sound.",
    )
    .option("--sample <percent>", "read only so much of each archive, like 5%", sampleOption)
    .option("--seed <text>", "what chooses the sample (the time); the same text, the same members")
    .action(handle(runVerify));
}

const runVerify: Handler<"backup verify"> = async (args, options, env) => {
  const flags = options as VerifyFlags; // as commander was told above
  const { sample: percent, seed = `${Date.now()}` } = flags;
  if (percent === undefined && flags.seed !== undefined) {
    throw new AppError("usage", "Cannot take --seed without --sample: it chooses the sample");
  }
  const folders = await foldersOf(args, options);
  const unknown = folders.filter((one) => one instanceof AppError);
  for (const error of unknown) env.output.error(error.message, errorFacts(error));
  const places = folders.flatMap((one) => (one instanceof AppError ? [] : [`backup:${one}`]));
  if (places.length === 0) return { exit: EXIT.notFound };
  const sums = { members: 0, ofMembers: 0, bytes: 0, ofBytes: 0 };
  const told = (path: string, sampled: Sampled): void => {
    sums.members += sampled.members?.length ?? 0;
    sums.ofMembers += sampled.ofMembers;
    sums.bytes += sampled.bytes;
    sums.ofBytes += sampled.ofBytes;
    tellSample(path, sampled, env);
  };
  const sample = percent === undefined ? undefined : { percent, seed, told };
  const { exit, summary } = await runFsck([places], { ...options, sample }, env);
  const worst = unknown.length > 0 ? worstExit([exit, EXIT.partial]) : exit;
  if (percent === undefined || summary === undefined)
    return { exit: worst, ...(summary && { summary }) };
  const isAll = sums.bytes === sums.ofBytes;
  const again = `--sample ${percent}% --seed ${seed} reads the same again`;
  if (!isAll)
    env.output.total(
      `only ${formatBytes(sums.bytes)} of ${formatBytes(sums.ofBytes)} were read, and nothing is ` +
        `said of the rest; ${again}`,
    );
  return { exit: worst, summary: { ...summary, sample: { percent, seed, ...sums } } };
};

interface VerifyFlags {
  readonly sample?: number;
  readonly seed?: string;
}

function tellSample(path: string, { members, ...sizes }: Sampled, env: CommandEnv): void {
  env.output.object({ type: "sample", path, ...sizes, ...(members && { members: [...members] }) });
  const { ofMembers, bytes, ofBytes } = sizes;
  const places = members?.slice(0, MEMBERS_TOLD).join(", ");
  const more = (members?.length ?? 0) > MEMBERS_TOLD ? " …" : "";
  const what =
    members === undefined
      ? "all of it is read, for no state beside it knows its members"
      : `${plural(members.length, "member")} of ${ofMembers} read, ${formatBytes(bytes)} of ` +
        `${formatBytes(ofBytes)}, at ${places}${more}`;
  env.output.step(escapeText(`${path}: ${what}`));
}
