/** The process of `observe`: three groups with their clients, which work when they are told to. */
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer, Tracer } from "effect"
import { Observe, Quorum } from "quorate"
import { Bench as Service } from "../gen/bench/v1/bench_quorate.ts"
import type { Client, ClusterSettings, Measured } from "./Bench.ts"
import { Load } from "./load.ts"
import { connect, serve, writeGroup } from "./quorate.ts"
import { usageNow } from "./usage.ts"

export type Variant = "nothing" | "metrics" | "traces"
export type ToObserved =
  | {
      readonly kind: "begin"
      readonly place: number
      readonly variant: Variant
      readonly settings: ClusterSettings
    }
  | { readonly kind: "round"; readonly place: number; readonly ms: number }

/** What one round found; empty for the answer to `begin`. */
export interface Round extends Omit<Measured, "cpuUs" | "more"> {
  readonly kind: "round"
  readonly cpuUs: number
  readonly spans: number
}
export type FromObserved = Round | { readonly kind: "failed"; readonly why: string }

let spans = 0
/** As an exporter that drops what it gets: what that does with spans is not measured here. */
const tracer = Tracer.make({
  span: (options) => {
    spans++
    return new Tracer.NativeSpan(options)
  }
})
const meters = new Observe.Meters()
const layers: { readonly [K in Variant]: Layer.Layer<never> } = {
  nothing: Layer.empty,
  metrics: Observe.layerMeters(meters),
  traces: Layer.mergeAll(
    Observe.layerMeters(meters),
    Observe.layerSampleRate(0.01),
    Layer.succeed(Tracer.Tracer, tracer)
  )
}

const Echo = Service.protocol({ echo: ({ message, reply }) => reply(message) })

interface Group {
  readonly client: Client
  readonly settings: ClusterSettings
}
const groups: Array<Group> = []

const begin = async (
  place: number,
  variant: Variant,
  settings: ClusterSettings
): Promise<Round> => {
  const layer = layers[variant]
  await writeGroup(settings, { faults: "crash", durable: false })
  for (let id = 1; id <= settings.nodes; id++) await serve(settings, id, Echo, layer)
  const body = new Uint8Array(settings.payloadBytes).fill(1)
  const call = (bench: Service["Service"]) => bench.echo({ body }, Quorum.majority())
  if (variant === "traces") {
    // What is done for one call in a hundred is compiled late; in service that is behind a node.
    const traced = (bench: Service["Service"]) =>
      Effect.provideService(call(bench), Observe.SampleRate, 1)
    groups[place] = { settings, client: await connect(settings, Service, traced, layer) }
    await round(place, Math.max(1, 500 * settings.warmupSeconds))
    await groups[place]!.client.close()
  }
  groups[place] = { settings, client: await connect(settings, Service, call, layer) }
  return round(place, 1)
}

const round = async (place: number, ms: number): Promise<Round> => {
  const { client, settings } = groups[place]!
  const load = new Load(settings, client.operation)
  const before = usageNow()
  const spansBefore = spans
  load.start()
  load.measure()
  await sleep(ms)
  await load.some()
  const measured = load.measured()
  const { cpuUs, rssBytes } = usageNow()
  await load.stop()
  const used = { cpuUs: cpuUs - before.cpuUs, rssBytes, spans: spans - spansBefore }
  return { kind: "round", ...measured, ...used }
}

const run = (message: ToObserved): Promise<Round> =>
  message.kind === "begin"
    ? begin(message.place, message.variant, message.settings)
    : round(message.place, message.ms)

process.on("message", (message: ToObserved) => {
  run(message).then(
    (found) => process.send?.(found),
    (thrown) => process.send?.({ kind: "failed", why: String(thrown?.stack ?? thrown) })
  )
})
process.on("disconnect", () => process.exit(0))
