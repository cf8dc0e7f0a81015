/** A thread that runs seeds for `npm run sim -- --workers`: a message in, a message out. */
import { parentPort } from "node:worker_threads"
import { runSeeds, type Seeds } from "./seeds.ts"

parentPort!.on("message", (seeds: Seeds) => parentPort!.postMessage(runSeeds(seeds)))
