/**
 * What nodes and clients show of their work. All of it is off until a layer of this module, of
 * `quorate/platform-node` or of an exporter turns it on. docs/guide/observing.md has examples.
 */
import { Context, Effect, Layer, Queue, Stream } from "effect"
import { Meters } from "../base/families.ts"
import type { Tap, TapEvent } from "../link/tap.ts"

export type { Family } from "../base/families.ts"
export { Tap, type TapEvent, type TapKind, type Who } from "../link/tap.ts"
export { Meters }

/** Where the nodes and clients of a program write what they do; `undefined`: nowhere. */
export const CurrentTap = Context.Reference<Tap | undefined>("quorate/Observe/Tap", {
  defaultValue: () => undefined
})

/** Nodes and clients built with it write into `tap`, several of them into the same if it is. */
export const layerTap = (tap: Tap): Layer.Layer<never> => Layer.succeed(CurrentTap, tap)

/** Who reads what nodes and clients count; `undefined`: nobody, and they count less. */
export const CurrentMeters = Context.Reference<Meters | undefined>("quorate/Observe/Meters", {
  defaultValue: () => undefined
})

/**
 * Nodes and clients built with it count into `meters`, for `meters.read()`. To have them scraped,
 * take `Metrics.layerPrometheus` of `quorate/platform-node` instead.
 */
export const layerMeters = (meters: Meters): Layer.Layer<never> =>
  Layer.succeed(CurrentMeters, meters)

/**
 * How many of the calls that are part of no span are traced, 0 to 1; those that are part of one are
 * where it is sampled. Default: 0.01. Nothing is traced without a tracer, as an exporter's layer
 * brings it.
 */
export const SampleRate = Context.Reference<number>("quorate/Observe/SampleRate", {
  defaultValue: () => 0.01
})
export const layerSampleRate = (rate: number): Layer.Layer<never> => Layer.succeed(SampleRate, rate)

/** Events that wait for who reads {@link events}; then the oldest are dropped. */
const WAITING_MAX = 16_384

/** What happens from now on, until whoever reads it stops. */
export const events = (tap: Tap): Stream.Stream<TapEvent> =>
  Stream.callback<TapEvent>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => tap.listen((event) => Queue.offerUnsafe(queue, event))),
        (stop) => Effect.sync(stop)
      ),
    { bufferSize: WAITING_MAX, strategy: "sliding" }
  )
