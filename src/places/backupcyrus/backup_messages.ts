/** Messages of a backupcyrusd, by their UIDs: each is proven before anybody gets it. */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { type Guid, isSha1 } from "../../model/guid.ts";
import { externalName } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MessageAddress, MessageContent } from "../place.ts";
import { ReceivedMessage } from "../received_message.ts";
import { type ServerFolder, saysNoFolder } from "./backup_folders.ts";
import type { BackupLink } from "./backup_link.ts";
import type { FileTaker } from "./wire_dialogue.ts";

/** Undefined where the folder is another one, or the server has no such file. */
export async function fetchMessage(
  link: BackupLink,
  { userid, folder }: ServerFolder,
  { mailbox, uid, guid, uniqueid }: MessageAddress,
): Promise<Outcome<MessageContent> | undefined> {
  const message = new ReceivedMessage();
  let said: string | undefined;
  const files: FileTaker = {
    limitOf: (name) => (name === String(uid) ? DEFAULT_LIMITS.messageBytes : -1),
    start: ({ size }) => message.start({ guid, size }),
    data: (bytes) => message.data(bytes),
    end: (sha1) => {
      said = sha1;
    },
  };
  const { refusal, done } = await link
    .ask("FDATA", [userid, folder, String(uid)], files)
    .catch((error) => {
      message.release();
      throw error;
    });
  if (refusal !== undefined && !saysNoFolder(refusal)) {
    const text = `Cannot read message ${uid} of ${externalName(mailbox)}`;
    return refused("failed", `${text}: the server says ${refusal}`);
  }
  const isOther = done[0] !== uniqueid;
  if (isOther) message.release();
  if (refusal !== undefined || said === undefined || isOther) return undefined;
  const flaw = flawOf(message.digest(), said, guid);
  if (flaw === undefined) return ok(message.content());
  message.release();
  return refused("damaged", `Message ${uid} of ${externalName(mailbox)} ${flaw}`);
}

function flawOf(digest: Guid, said: string, guid: Guid): string | undefined {
  if (digest !== said) return `has come with the SHA-1 ${digest}, the server says ${said}`;
  return digest === guid || !isSha1(guid) ? undefined : `is not ${guid}, its SHA-1 is ${digest}`;
}
