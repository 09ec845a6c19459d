/** Writes quota roots, which Bobbin only reads. */
import { QUOTA_RESOURCES, type QuotaRoot } from "../../../src/formats/cyrus/quota.ts";
import { printValue } from "../../../src/formats/dlist/print.ts";
import { dlistKvlist, dlistList, dlistNumber } from "../../../src/formats/dlist/value.ts";

/** A quota root in the newer form, with the line end that Cyrus gives the file. */
export function printQuota(root: Omit<QuotaRoot, "listed" | "scanning">): Uint8Array {
  const uses = QUOTA_RESOURCES.map((resource) => {
    const { used, limit } = root.resources[resource];
    const numbers = limit === undefined ? [used] : [used, limit];
    return [resource, dlistList(numbers.map(dlistNumber))] as const;
  });
  const value = dlistKvlist([...uses, ["MODSEQ", dlistNumber(root.modseq)]]);
  return new Uint8Array([...printValue(value, { from: "server" }), 0x0a]);
}
