import { serveJobs } from "../../../src/hash/jobs.ts";
import { TEST_JOBS } from "./jobs.ts";

serveJobs(TEST_JOBS);
