/** The output of `bobbin --version`. The build replaces BUILD_COMMIT by its commit. */
import packageJson from "../../package.json" with { type: "json" };

declare const BUILD_COMMIT: string | undefined;

const commit = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "not built";

export const VERSION = packageJson.version;

/** The day of this version, `2026-11-30`: not that of the build, which can be done again. */
export const RELEASE_DATE = packageJson.releaseDate;

/** `0.1.0 (1a2b3c4d5e6f)`. */
export const VERSION_TEXT = `${VERSION} (${commit})`;
