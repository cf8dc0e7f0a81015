/**
 * What it costs to be looked at: the same quorum calls in groups of one process, one of them at
 * work at a time, in turns: nothing on; metrics; metrics and traces. In processes of their own they
 * would differ by more than what is measured: each compiles its code in its own way.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { LocalBench, Measured, Settings } from "./Bench.ts"
import { freeAddresses } from "./cluster.ts"
import type { FromObserved, Round, ToObserved, Variant } from "./observeWorker.ts"

const WORKER = fileURLToPath(new URL("./observeWorker.ts", import.meta.url))
const VARIANTS: ReadonlyArray<Variant> = ["nothing", "metrics", "traces"]
/** Two groups of each: those that were made later are slower, and so all are alike. */
const PLACES: ReadonlyArray<Variant> = [...VARIANTS, ...VARIANTS.toReversed()]
/** Short ones: what else the machine does then falls on all alike. */
const ROUND_MS = 100

export const observe: LocalBench = {
  kind: "local",
  about: "a QUORUM call with nothing on, with metrics, with metrics and 1 % traced; ratios of CPU",
  transports: ["link", "unary"],
  nodes: 3,
  inflight: 64,
  payloadBytes: 16,
  run: async (settings) => {
    const folder = await mkdtemp(join(tmpdir(), "quorate-bench-"))
    // Results go to standard output: nothing a node prints may stand between them.
    const child = fork(WORKER, [], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    try {
      for (const [place, variant] of PLACES.entries()) {
        const addresses = await freeAddresses(settings.nodes)
        const own = await mkdtemp(join(folder, `${variant}-`))
        const given = { ...settings, addresses, folder: own }
        await ask(child, { kind: "begin", place, variant, settings: given })
      }
      return await measure(settings, child)
    } finally {
      if (child.connected) child.disconnect()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

const ask = async (child: ChildProcess, message: ToObserved): Promise<Round> => {
  const over = new AbortController()
  const { signal } = over
  child.send(message)
  const ended = once(child, "exit", { signal }).then(([code]) => {
    throw new Error(`the process of the benchmark ended early (exit code ${code})`)
  })
  try {
    const [answer] = (await Promise.race([once(child, "message", { signal }), ended])) as [
      FromObserved
    ]
    if (answer.kind === "failed") throw new Error(answer.why)
    return answer
  } finally {
    ended.catch(() => {})
    over.abort()
  }
}

const measure = async (
  { seconds, warmupSeconds }: Settings,
  child: ChildProcess
): Promise<Measured> => {
  const take = (place: number): Promise<Round> => ask(child, { kind: "round", place, ms: ROUND_MS })
  const warmups = (warmupSeconds * 1000) / ROUND_MS
  for (let i = 0; i < Math.max(PLACES.length, warmups); i++) await take(i % PLACES.length)
  const rounds: Array<ReadonlyArray<Round>> = []
  for (let i = 0; i < Math.max(3, (seconds * 1000) / ROUND_MS / PLACES.length); i++) {
    const found: Array<Round> = []
    for (const place of orderOf(i)) found[place] = await take(place)
    rounds.push(found)
  }
  return measuredOf(rounds)
}

/** Each comes first, second, … and last equally often, and after each other. */
const orderOf = (round: number): ReadonlyArray<number> => {
  const turned = PLACES.map((_, place) => (place + round) % PLACES.length)
  return (round / PLACES.length) % 2 < 1 ? turned : turned.toReversed()
}

type Counted = "operations" | "errors" | "cpuUs" | "elapsedUs" | "spans"
const sum = (of: ReadonlyArray<Round>, field: Counted): number =>
  of.reduce((total, it) => total + it[field], 0)

const measuredOf = (rounds: ReadonlyArray<ReadonlyArray<Round>>): Measured => {
  const plain = rounds.flatMap((found) => ofVariant(found, "nothing"))
  const all = rounds.flat()
  return {
    ...plain.at(-1)!,
    operations: sum(plain, "operations"),
    errors: sum(all, "errors"),
    elapsedUs: sum(plain, "elapsedUs"),
    cpuUs: { client: 0, nodes: sum(plain, "cpuUs") },
    more: {
      rounds: rounds.length,
      metricsPercent: dearer(rounds, "metrics"),
      tracesPercent: dearer(rounds, "traces"),
      spans: sum(all, "spans")
    }
  }
}

const ofVariant = (found: ReadonlyArray<Round>, variant: Variant): ReadonlyArray<Round> =>
  found.filter((_, place) => PLACES[place] === variant)

/**
 * CPU per call in percent above nothing: of the quietest quarter of each one's rounds, since what
 * else the machine does makes a round dearer and never cheaper.
 */
const dearer = (rounds: ReadonlyArray<ReadonlyArray<Round>>, variant: Variant): number => {
  const quiet = (which: Variant): number => {
    const perCall = rounds
      .map((found) => ofVariant(found, which))
      .map((of) => sum(of, "cpuUs") / sum(of, "operations"))
      .sort((a, b) => a - b)
    return perCall[perCall.length >> 2]!
  }
  return Math.round((quiet(variant) / quiet("nothing") - 1) * 1000) / 10
}
