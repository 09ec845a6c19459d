/** From a PLACE on the command line to a place: the one function that knows every kind. */
import { statSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import { cyrusPlace } from "../places/cyrus/cyrus_place.ts";
import { spoolSource } from "../places/cyrus/spool_source.ts";
import { parseLocator } from "../places/locator.ts";
import type { Place, WritablePlace } from "../places/place.ts";
import { openStorePlace } from "../places/store/store_place.ts";
import { openSyncPlace } from "../places/sync/sync_place.ts";
import { syncOptionsOf } from "./place_options.ts";

type Options = Readonly<Record<string, unknown>>;

/**
 * Opens the place that `text` names, for reading. The caller closes it. `options` are those of
 * `addPlaceOptions`. Throws AppError.
 */
export async function openPlace(text: string, options: Options = {}): Promise<Place> {
  const locator = parseLocator(text);
  switch (locator.kind) {
    case "cyrus":
      if (statSync(locator.path).isDirectory())
        return cyrusPlace(spoolSource({ data: locator.path }));
      throw new AppError("usage", `Cannot read ${text}: it is not the folder of a spool`);
    case "store":
      return openStorePlace(locator.path);
    case "sync":
      return openSyncPlace(syncOptionsOf(locator.address, options));
  }
}

/** Opens the place that `text` names, to be written. The caller closes it. Throws AppError. */
export async function openWritablePlace(
  text: string,
  options: Options = {},
): Promise<WritablePlace> {
  const locator = parseLocator(text);
  switch (locator.kind) {
    case "store":
      return openStorePlace(locator.path);
    case "sync":
      return openSyncPlace(syncOptionsOf(locator.address, options));
    case "cyrus":
      throw new AppError("usage", `Cannot write to ${text}: a Cyrus spool is only read`, {
        hint: "Write to a store, or to the running Cyrus: sync://USER@HOST",
      });
  }
}
