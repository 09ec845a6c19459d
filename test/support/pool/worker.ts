import { serveJobs } from "../../../src/threads/jobs.ts";
import { TEST_JOBS } from "./jobs.ts";

serveJobs(TEST_JOBS);
