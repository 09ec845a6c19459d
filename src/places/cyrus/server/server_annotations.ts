/** Reads the annotations of mailboxes and of the server from annotations.db (spool-format 7.2). */
import { OWNER_TOKEN, parseMailboxAnnotation } from "../../../formats/cyrus/annotations_db.ts";
import { type Annotation, annotationKey } from "../../../model/annotation.ts";
import type { Outcome } from "../../../model/outcome.ts";
import { entriesOf, parsed } from "./database_access.ts";
import { readDatabaseFile } from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

/** By uniqueid, in databases of old releases by internal name; "" is the server. */
export type ServerAnnotations = ReadonlyMap<string, readonly Annotation[]>;

/** Reads annotations.db. The owner's private ones keep `OWNER_TOKEN` as userid: see `ownedBy`. */
export async function readServerAnnotations(conf: ImapdConf): Promise<Outcome<ServerAnnotations>> {
  const { path, format } = conf.annotationsDb;
  const entries = entriesOf(await readDatabaseFile(path, { expected: format }));
  if (entries.kind === "refused") return entries;
  return parsed(path, () => {
    const byMailbox = new Map<string, Map<string, Annotation>>();
    for (const entry of entries.value) {
      const {
        mailbox,
        entry: name,
        userid,
        modseq,
        value,
        deleted,
      } = parseMailboxAnnotation(entry);
      if (deleted) continue;
      const annotation = { entry: name, userid: userid ?? null, modseq, value };
      const same = byMailbox.get(mailbox) ?? new Map<string, Annotation>();
      byMailbox.set(mailbox, same.set(annotationKey(annotation), annotation));
    }
    return new Map([...byMailbox].map(([mailbox, same]) => [mailbox, [...same.values()]]));
  });
}

/** The annotations with the user id of the owner in the place of `OWNER_TOKEN`. */
export function ownedBy(owner: string, annotations: readonly Annotation[]): readonly Annotation[] {
  return annotations.map((one) => (one.userid === OWNER_TOKEN ? { ...one, userid: owner } : one));
}
