/**
 * `npm run bench -- backup --from PLACE --mail FOLDER --user USER`: backups with the built binary.
 * A first backup of USER of PLACE, whose mail lies in FOLDER, beside `tar c | gzip -1` and, where
 * it is installed, `restic backup` of that folder, one after the other in each round; then runs
 * that find nothing new, of USER and of 1,000 mailboxes; what else is done to the archive, beside
 * gzip on its file; and one message out of an archive of `--large` MiB.
 */
import { randomFillSync } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { recordsOf } from "../../src/model/mailbox.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { archiveFolder } from "../../src/places/backup/archive_folder.ts";
import { openArchive } from "../../src/places/backup/write/open_archive.ts";
import { packMember } from "../../src/places/backup/write/pack_member.ts";
import { dataFilesIn } from "../../src/places/backup_locator.ts";
import type { PlaceSession } from "../../src/places/place.ts";
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
  large: { type: "string", default: "1024" },
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
  const restic = ["restic", "-q", "--password-command", "echo bench", "-r", repository];
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
  try {
    console.log(`A first backup\n\n${tableOf(await interleave(first, pace))}\n`);
    const many = await storeOfMany(join(dir, "store"));
    for (const command of [backUp(values.user, values.from), backUp("many", many)]) must(command);
    const again: Contender[] = [
      { name: `${MANY} mailboxes`, command: backUp("many", many) },
      { name: values.user, command: backUp(values.user, values.from) },
    ];
    console.log(`Nothing new\n\n${tableOf(await interleave(again, pace))}\n`);
    const archive = archiveFolder(archives, { kind: "user", userid: values.user });
    for (const group of upkeepOf(archive, dir)) {
      console.log(`${group.title}\n\n${tableOf(await interleave(group.contenders, pace))}\n`);
    }
    const large = await largeArchive(join(dir, "big"), Number(values.large));
    const cat = (uid: number) => [
      bobbinPath(),
      "cat",
      `backup:${large.folder}`,
      `big/INBOX/${uid}`,
    ];
    const one: Contender[] = [1, large.messages / 2, large.messages].map((uid) => ({
      ...{ name: `message ${uid}`, command: cat(uid) },
    }));
    console.log(`One of ${values.large} MiB\n\n${tableOf(await interleave(one, pace))}`);
  } finally {
    anew(dir);
  }
}

/** What is done to an archive, beside what gzip does with its data file. */
function upkeepOf(archive: string, dir: string): { title: string; contenders: Contender[] }[] {
  const [file = ""] = dataFilesIn(archive).map((name) => join(archive, name));
  const [copy, packed] = [join(dir, "compacted"), join(dir, "again.gz")];
  const backup = (...words: string[]) => [bobbinPath(), "backup", ...words, "--quiet"];
  const again = `gzip -dc '${file}' | gzip -1 > '${packed}' && sync '${packed}'`;
  const before = () => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(archive, copy, { recursive: true });
    must(["sync", copy]);
  };
  const compact = { name: "bobbin backup compact", command: backup("compact", "--force", copy) };
  return [
    {
      title: "Compaction",
      contenders: [
        { ...compact, before },
        { name: "gzip -dc and gzip -1", command: ["bash", "-o", "pipefail", "-c", again] },
      ],
    },
    {
      title: "Reading all of it",
      contenders: [
        { name: "bobbin backup verify", command: backup("verify", archive) },
        { name: "bobbin backup rebuild", command: backup("rebuild", archive) },
        { name: "gzip -t", command: ["gzip", "-t", file] },
      ],
    },
  ];
}

const LARGE_MESSAGE = 32 * 1024;

/** An archive of so many MiB in messages of 32 KiB that no packing makes smaller. */
async function largeArchive(folder: string, mebibytes: number) {
  const messages = (mebibytes * 2 ** 20) / LARGE_MESSAGE;
  const place = await openArchive(folder, {
    ...{ owner: { kind: "user", userid: "big" }, source: "store:/there", version: "bench" },
    ...{ now: Date.now, pack: async (bytes) => packMember(bytes), notice: console.log },
  });
  const session = await place.openSession();
  const records: MailRecord[] = [];
  for (let uid = 1; uid <= messages; uid++) {
    const bytes = randomFillSync(new Uint8Array(LARGE_MESSAGE));
    await put(session, bytes);
    records.push(record(uid, { guid: guidOf(bytes), size: bytes.length }));
  }
  await applied(session, "user.big", records);
  await place.close();
  return { folder, messages };
}

async function put(session: PlaceSession, bytes: Uint8Array): Promise<void> {
  const guid = guidOf(bytes);
  const writer = session.stage({ partition: "default", guid, size: bytes.length });
  await writer.write(bytes);
  await writer.end();
}

async function applied(session: PlaceSession, name: string, records: MailRecord[]): Promise<void> {
  const state = stateOf(name, records);
  const done = await session.apply({ kind: "mailbox", state, records: recordsOf(records) });
  if (done.kind === "refused") throw new Error(done.text);
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
    await put(session, message(number));
    await applied(session, name, [record(1, {}, number)]);
  }
  await session.close();
  await place.close();
  return root;
}
