/**
 * `npm run bench -- backup --from PLACE --mail FOLDER --user USER`: backups with the built binary.
 * A first backup of USER of PLACE, whose mail lies in FOLDER, beside `tar c | gzip -1` and, where
 * it is installed, `restic backup` of that folder, one after the other in each round; then runs
 * that find nothing new, of USER and of 1,000 mailboxes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { recordsOf } from "../../src/model/mailbox.ts";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { bobbinPath } from "../support/cli.ts";
import { guidOf, message, record, stateOf } from "../support/store_fixture.ts";
import { type Contender, interleave, tableOf } from "./measure.ts";

const OPTIONS = {
  from: { type: "string", default: "/etc/imapd.conf" },
  mail: { type: "string", default: "/var/spool/cyrus/mail" },
  user: { type: "string", default: "ann" },
  rounds: { type: "string", default: "5" },
  dir: { type: "string", default: tmpdir() },
} as const;

const MANY = 1000;

/** Measures and prints. */
export async function benchBackup(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const dir = mkdtempSync(join(values.dir, "bench-backup-"));
  const [archives, repository] = [join(dir, "archives"), join(dir, "restic")];
  const pace = { rounds: Number(values.rounds), pauseMs: 200 };
  const backUp = (user: string, from: string): readonly string[] => [
    ...[bobbinPath(), "backup", "run", user, "--quiet", "--from", from, "--to", archives],
  ];
  const restic = ["restic", "-q", "-r", repository];
  const anew = (folder: string) => rmSync(folder, { recursive: true, force: true });
  const packed = join(dir, "mail.gz");
  const packing = `tar c -C '${values.mail}' . | gzip -1 > '${packed}' && sync '${packed}'`;
  const first: Contender[] = [
    {
      name: "bobbin backup run",
      command: backUp(values.user, values.from),
      before: () => anew(archives),
    },
    { name: "tar and gzip -1", command: ["bash", "-o", "pipefail", "-c", packing] },
  ];
  if (Bun.which("restic") === null) console.log("restic is not installed");
  else {
    const before = () => {
      anew(repository);
      must([...restic, "init"]);
    };
    first.push({ name: "restic", command: [...restic, "backup", values.mail], before });
  }
  process.env["RESTIC_PASSWORD"] = "bench";
  try {
    console.log(`A first backup\n\n${tableOf(await interleave(first, pace))}\n`);
    const many = await storeOfMany(join(dir, "store"));
    for (const command of [backUp(values.user, values.from), backUp("many", many)]) must(command);
    const again: Contender[] = [
      { name: `${MANY} mailboxes`, command: backUp("many", many) },
      { name: values.user, command: backUp(values.user, values.from) },
    ];
    console.log(`Nothing new\n\n${tableOf(await interleave(again, pace))}`);
  } finally {
    anew(dir);
  }
}

/** Runs a command that must succeed. */
function must(command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { stdout: "ignore" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr}`);
}

/** A store with one message in each of many mailboxes. */
async function storeOfMany(root: string): Promise<string> {
  initStore(root);
  const place = openStorePlace(root);
  const session = await place.openSession();
  for (let number = 1; number <= MANY; number++) {
    const name = number === 1 ? "user.many" : `user.many.F${number}`;
    const [bytes, records] = [message(number), [record(1, {}, number)]];
    const guid = guidOf(bytes);
    const writer = session.stage({ partition: "default", guid, size: bytes.length });
    await writer.write(bytes);
    await writer.end();
    const state = stateOf(name, records);
    const done = await session.apply({ kind: "mailbox", state, records: recordsOf(records) });
    if (done.kind === "refused") throw new Error(done.text);
  }
  await session.close();
  await place.close();
  return root;
}
