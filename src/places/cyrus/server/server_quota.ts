/** The limits of one quota root, from its file or from the database of all of them (spool-format 6.7). */
import { latin1 } from "../../../core/bytes.ts";
import {
  parseQuota,
  QUOTA_RESOURCES,
  type QuotaResource,
  type QuotaRoot,
} from "../../../formats/cyrus/quota.ts";
import type { Quota, QuotaResource as ResourceName } from "../../../model/mailbox.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { quotaFile } from "../layout/server_paths.ts";
import { accessRefusal } from "../refused_access.ts";
import { entriesOf, parsed } from "./database_access.ts";
import { readDatabaseFile, readWholeFile } from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

const NAMES: Readonly<Record<QuotaResource, ResourceName>> = {
  S: "STORAGE",
  M: "MESSAGE",
  AS: "ANNOTATION-STORAGE",
  NF: "MAILBOX",
};

/** The limits of `root`; undefined where there is no such root. */
export async function readServerQuota(
  root: string,
  conf: ImapdConf,
): Promise<Outcome<Quota | undefined>> {
  const { formatName, format, path } = conf.quotaDb;
  if (formatName === "quotalegacy") return readQuotaFile(root, conf);
  const entries = entriesOf(await readDatabaseFile(path, { expected: format }));
  if (entries.kind === "refused") return entries;
  const entry = entries.value.find(({ key }) => latin1(key) === root);
  if (entry === undefined) return ok(undefined);
  return parsed(path, () => limitsOf(root, parseQuota(entry.value)));
}

function readQuotaFile(root: string, conf: ImapdConf): Outcome<Quota | undefined> {
  const path = quotaFile(root, conf);
  if (path === undefined) return ok(undefined);
  const file = readWholeFile(path);
  if (file.state === "missing") return ok(undefined);
  if (file.state === "unreadable") {
    return accessRefusal(`quota root ${root}`, { path, errno: file.errno });
  }
  if (file.state !== "read") return refused("damaged", `Cannot read ${path}: no quota file`);
  return parsed(path, () => limitsOf(root, parseQuota(file.bytes)));
}

function limitsOf(root: string, { resources, modseq }: QuotaRoot): Quota {
  const limits: Partial<Record<ResourceName, number>> = {};
  for (const resource of QUOTA_RESOURCES) {
    const { limit } = resources[resource];
    if (limit !== undefined) limits[NAMES[resource]] = Number(limit);
  }
  return { root, limits, modseq };
}
