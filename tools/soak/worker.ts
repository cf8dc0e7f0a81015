/** One process of a soak: a node, or the client that makes all calls. Told what to be over IPC. */
import { Effect, Layer, Schedule, type Scope } from "effect"
import { Observe, Quorum } from "quorate"
import { NodeGroup } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { Ledger, ReliableBroadcast, soaked, WARM } from "./protocol.ts"

export interface Begin {
  readonly kind: "begin"
  readonly calls: number
  /** The group as this process sees it: others are behind proxies. */
  readonly file: string
  readonly role:
    | {
        readonly kind: "node"
        readonly id: number
        readonly listen: string
        readonly key: string | undefined
        readonly dataFolder: string | undefined
      }
    | { readonly kind: "client"; readonly open: number; readonly transport?: "link" | "unary" }
}
/** `enough`: the client makes no more calls. */
export type ToWorker = Begin | { readonly kind: "sample" } | { readonly kind: "enough" }

/** What a process holds, after a collection. */
export interface Sample {
  readonly kind: "sample"
  readonly rssBytes: number
  readonly heapBytes: number
  /** Most that each table held since the sample before. */
  readonly tables: { readonly [table: string]: number }
  readonly dropped: { readonly [reason: string]: number }
  readonly delivered: number
  readonly again: number
}
export type FromWorker =
  | { readonly kind: "ready" }
  /** `answered` calls of the client are over. */
  | { readonly kind: "at"; readonly ended: number }
  | {
      readonly kind: "ended"
      readonly made: number
      readonly answered: number
      readonly failed: Failures
    }
  | Sample
/** How many calls failed, by code. */
export type Failures = { readonly [code: string]: number }

const LOOK_MS = 100
const PERCENT = 100
/** A call waits for so long: longer than any cut, and any stand-still, of a soak. */
const CALL_MS = 120_000
const WARM_MS = 1_000

const say = (message: FromWorker): void => void process.send?.(message)
const meters = new Observe.Meters()
let ledger = new Ledger(0)
let callsMax = 0
const most: { [table: string]: number } = {}
const TABLES = /^quorate_(node|client)_(table_entries|table_bytes|queue_entries)$/

const look = (): void => {
  for (const family of meters.read()) {
    if (family.type === "histogram" || !TABLES.test(family.name)) continue
    for (const { labels, value } of family.samples) {
      const name = labels["table"] ?? `queue ${labels["queue"]}`
      most[name] = Math.max(most[name] ?? 0, value)
    }
  }
}

const droppedNow = (): Sample["dropped"] => {
  const dropped: { [reason: string]: number } = {}
  for (const { name, ...family } of meters.read()) {
    if (family.type === "histogram" || !/_(dropped|link_ends)_total$/.test(name)) continue
    for (const { labels, value } of family.samples) {
      if (value > 0) dropped[labels["reason"] ?? `link ${labels["what"]}`] = value
    }
  }
  return dropped
}

const sample = (): void => {
  look()
  globalThis.gc?.()
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  const { delivered, again } = ledger
  say({
    ...{ kind: "sample", rssBytes: rss, heapBytes: heapUsed + arrayBuffers },
    ...{ tables: { ...most }, dropped: droppedNow(), delivered, again }
  })
  for (const table of Object.keys(most)) delete most[table]
}

const node = ({ file, role }: Begin) => {
  if (role.kind !== "node") return Effect.void
  const { id, listen, key, dataFolder } = role
  const options = { listen, ...(key && { key }), ...(dataFolder && { dataFolder, init: true }) }
  const layer = Replica.layer(soaked(ledger)).pipe(
    Layer.provide(NodeGroup.layerMember(file, id, options))
  )
  return Effect.gen(function* () {
    yield* Layer.build(layer)
    say({ kind: "ready" })
    return yield* Effect.never
  })
}

/** As many callers as calls may be open, each with the next number when its call is over. */
const client = ({ file, role, calls }: Begin) => {
  if (role.kind !== "client") return Effect.void
  const failed: { [code: string]: number } = {}
  let [next, ended, answered] = [0, 0, 0]
  const step = Math.max(1, Math.floor(calls / PERCENT))
  const byText = Quorum.matching((m: { readonly text: string }) => m.text)
  const one = (rb: ReliableBroadcast["Service"], text: string) =>
    rb.broadcast({ text }, byText, { timeoutMs: CALL_MS }).pipe(
      Effect.map((delivery) => (delivery.text === text ? undefined : "another answer")),
      Effect.catch((failure) => Effect.succeed(failure.code as string)),
      Effect.map((wrong) => {
        if (wrong === undefined) answered++
        else failed[wrong] = (failed[wrong] ?? 0) + 1
        if (++ended % step === 0) say({ kind: "at", ended })
      })
    )
  const caller = (rb: ReliableBroadcast["Service"]) =>
    Effect.whileLoop({
      while: () => next < callsMax,
      body: () => one(rb, String(next++)),
      step: () => {}
    })
  return Effect.gen(function* () {
    const rb = yield* ReliableBroadcast
    // A node without a disk keeps out of sessions that it may have spoken in: of those that were
    // opened before it was heard of.
    const warm = rb.broadcast({ text: WARM }, Quorum.all(), { timeoutMs: WARM_MS })
    yield* Effect.retry(warm, Schedule.spaced(WARM_MS / 10))
    say({ kind: "ready" })
    const callers = Array.from({ length: role.open }, () => caller(rb))
    yield* Effect.all(callers, { concurrency: "unbounded", discard: true })
    say({ kind: "ended", made: next, answered, failed })
    return yield* Effect.never
  }).pipe(
    Effect.provide(ReliableBroadcast.layer),
    Effect.provide(NodeGroup.layerFile(file, role.transport && { transport: role.transport }))
  )
}

const begin = (message: Begin): void => {
  ledger = new Ledger(message.calls)
  callsMax = message.calls
  setInterval(look, LOOK_MS)
  const own: Effect.Effect<unknown, unknown, Scope.Scope> =
    message.role.kind === "node" ? node(message) : client(message)
  const program = Effect.scoped(own)
  const observed = Effect.provide(program, Observe.layerMeters(meters))
  Effect.runPromise(observed).catch((failure: unknown) => {
    process.stderr.write(`${failure instanceof Error ? failure.message : String(failure)}\n`)
    process.exit(1)
  })
}

process.on("message", (message: ToWorker) => {
  if (message.kind === "begin") begin(message)
  else if (message.kind === "sample") sample()
  else callsMax = 0
})
// Nothing outlives who started it.
process.on("disconnect", () => process.exit(1))
