/** From a PLACE on the command line to a place: the one function that knows every kind. */
import { statSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import { cyrusPlace } from "../places/cyrus/cyrus_place.ts";
import { spoolSource } from "../places/cyrus/spool_source.ts";
import { parseLocator } from "../places/locator.ts";
import type { Place } from "../places/place.ts";
import { openStorePlace } from "../places/store/store_place.ts";

/** Opens the place that `text` names, for reading. The caller closes it. Throws AppError. */
export async function openPlace(text: string): Promise<Place> {
  const locator = parseLocator(text);
  switch (locator.kind) {
    case "cyrus":
      if (statSync(locator.path).isDirectory())
        return cyrusPlace(spoolSource({ data: locator.path }));
      throw new AppError("usage", `Cannot read ${text}: it is not the folder of a spool`);
    case "store":
      return openStorePlace(locator.path);
  }
}
