/** Places that change some of what another one does are places too. */
import { identified } from "../../src/replicate/owner/identified_place.ts";
import { asUser } from "../../src/replicate/owner/renamed_place.ts";
import { newStorePlace } from "../support/replication.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "./example_mail.ts";
import { readsConform } from "./reading_conformance.ts";

async function exampleStore() {
  const place = newStorePlace();
  await putExampleMail(place);
  return place;
}

readsConform("a place with computed GUIDs", {
  open: async () => identified(await exampleStore()),
  owners: EXAMPLE_OWNERS,
});

readsConform("a place seen under another user's name", {
  open: async () => asUser(await exampleStore(), { from: "fred", to: "bert" }),
  owners: [{ kind: "user", userid: "bert" }],
});
