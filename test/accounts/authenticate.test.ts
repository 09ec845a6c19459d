/** What a client can learn of names by signing in: nothing, by what it is told nor by when. */
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { type Accounts, makeAccount, noAccounts } from "../../src/accounts/account.ts";
import { type Mechanism, signIn } from "../../src/accounts/authenticate.ts";
import { SignInGate } from "../../src/accounts/sign_in_gate.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const SAMPLES = 3000;

const gate = new SignInGate({ now: () => 0, sleep: () => Promise.resolve() });

/** `admin` may touch everything and `nothing` nothing; `admix` is no account. */
const NAMES = ["admin", "nothing", "admix"] as const;
type Name = (typeof NAMES)[number];

let made: Promise<Accounts> | undefined;

/** As `bobbin passwd` makes them: what a check costs is the point here. */
function accounts(): Promise<Accounts> {
  const make = async (): Promise<Accounts> => {
    const [admin, nothing] = [
      await makeAccount("admin", "secret", ["*"]),
      await makeAccount("nothing", "secret", []),
    ];
    return { ...noAccounts(), byName: new Map([admin, nothing].map((one) => [one.name, one])) };
  };
  made ??= make();
  return made;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** What a client says first, and how it answers a challenge: with a wrong password. */
const DIALOGS: Readonly<
  Record<Mechanism, { first: (name: Name) => string; last: (challenge: string) => string }>
> = {
  PLAIN: { first: (name) => `\0${name}\0wrong`, last: () => "" },
  "SCRAM-SHA-256": {
    first: (name) => `n,,n=${name},r=fyko+d2lbbFgONRv9qkxdawL`,
    last: (challenge) => {
      const nonce = /r=([^,]+)/.exec(challenge)?.[1];
      return `c=biws,r=${nonce},p=${Buffer.alloc(32).toString("base64")}`;
    },
  },
};

interface Tried {
  /** The challenge, if there was one. */
  readonly text: string;
  /** Microseconds until the sign-in was refused. */
  readonly us: number;
}

async function tried(mechanism: Mechanism, name: Name): Promise<Tried> {
  const known = await accounts();
  const { first, last } = DIALOGS[mechanism];
  let text = "";
  const begun = performance.now();
  const { kind } = await signIn(mechanism, {
    accounts: known,
    gate,
    address: "10.0.0.1",
    initial: base64(first(name)),
    signal: new AbortController().signal,
    ask: (challenge) => {
      text = Buffer.from(challenge, "base64").toString();
      return Promise.resolve(base64(last(text)));
    },
  });
  const us = (performance.now() - begun) * 1000;
  expect(kind).toBe("failed");
  return { text, us };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

describe("a name", () => {
  const verify = spyOn(Bun.password, "verify");
  afterEach(() => {
    verify.mockClear();
  });

  test("that is no account gets a challenge of the same form and a lasting salt", async () => {
    const form = (text: string) => text.replace(/[A-Za-z0-9+/]/g, "x");
    const challenge = async (name: Name) => (await tried("SCRAM-SHA-256", name)).text;
    const [known, unknown, again] = [
      await challenge("admin"),
      await challenge("admix"),
      await challenge("admix"),
    ];
    expect(form(unknown)).toBe(form(known));
    const saltOf = (text: string) => /s=([^,]+)/.exec(text)?.[1];
    expect(saltOf(again)).toBe(saltOf(unknown));
    expect(saltOf(unknown)).not.toBe(saltOf(known));
  });

  test.each(NAMES)("%s costs one check of one hash, of the cost of all", async (name) => {
    await tried("PLAIN", name);
    const costs = verify.mock.calls.map(
      ([, hash]) => /^\$argon2id\$v=19\$[^$]+/.exec(`${hash}`)?.[0],
    );
    expect(costs).toEqual(["$argon2id$v=19$m=19456,t=2,p=1"]);
  });

  if (isLong) {
    test.each<Mechanism>(["PLAIN", "SCRAM-SHA-256"])(
      `takes as long by %s whether it is an account or not, over ${SAMPLES} samples`,
      async (mechanism) => {
        const times = new Map<Name, number[]>(NAMES.map((name) => [name, []]));
        for (let count = 0; count < 100; count++) await tried(mechanism, "admin"); // compiled then
        for (let count = 0; count < SAMPLES; count++) {
          // In turns, so that whatever else the machine does weighs on all alike.
          for (const [name, list] of times) list.push((await tried(mechanism, name)).us);
        }
        const medians = [...times.values()].map(median);
        // Three HMACs that only one of them computed were a third of the whole.
        expect([medians, Math.max(...medians) / Math.min(...medians) < 1.1]).toEqual([
          medians,
          true,
        ]);
      },
      1_800_000,
    );
  }
});
