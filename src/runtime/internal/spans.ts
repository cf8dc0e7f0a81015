/**
 * Spans of calls that are traced, made with Effect's own tracer: whatever exporter a program has
 * plugged in takes them. At the rim, and only for what is traced: nothing here is for each message.
 */
import { Context, Effect, Exit, type Fiber, Option, Tracer } from "effect"
import type { NodeId } from "../../base/NodeId.ts"
import type { NodeSpan, TraceEvent, Traced, TracePort } from "../../link/nodeTraces.ts"
import { spanIdOf, traceContext, traceIdOf } from "../../link/traceContext.ts"
import { laneText } from "../../server/laneKey.ts"
import { SampleRate } from "../Observe.ts"

const EMPTY = Context.empty()
/** As Effect's clock tells it. */
const wallMs = (): number => BEGAN_MS + steady.now()
/** Read once: the global is an accessor. */
const steady = globalThis.performance
const BEGAN_MS = steady.timeOrigin
const nanosOf = (ms: number): bigint => BigInt(Math.round(ms * 1000)) * 1000n

interface Begin {
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly parent: Tracer.AnySpan | undefined
  readonly startMs: number
  readonly links?: ReadonlyArray<Tracer.SpanLink>
}

const begin = (tracer: Tracer.Tracer, { name, kind, parent, startMs, links = [] }: Begin) =>
  tracer.span({
    ...{ name, kind, annotations: EMPTY, links: [...links], sampled: true },
    parent: Option.fromUndefinedOr(parent),
    root: parent === undefined,
    startTime: nanosOf(startMs)
  })

/** A span elsewhere. Its ids are made where somebody asks for them. */
class Elsewhere implements Tracer.ExternalSpan {
  readonly _tag = "ExternalSpan"
  readonly sampled = true
  readonly annotations = EMPTY
  private readonly context: Uint8Array

  constructor(context: Uint8Array) {
    this.context = context
  }
  get traceId(): string {
    return traceIdOf(this.context)
  }
  get spanId(): string {
    return spanIdOf(this.context)
  }
}

/** @source https://opentelemetry.io/docs/specs/semconv/rpc: the names of attributes */
const describe = (span: Tracer.Span, method: string): void => {
  const slash = method.lastIndexOf("/")
  span.attribute("rpc.system", "quorate")
  span.attribute("rpc.service", method.slice(0, Math.max(0, slash)))
  span.attribute("rpc.method", method.slice(slash + 1))
}

/** The tracer that somebody has plugged in. */
export const pluggedIn = (tracer: Tracer.Tracer | undefined): Tracer.Tracer | undefined =>
  tracer === Tracer.nativeTracer ? undefined : tracer

// ------------------------------------------------------------ clients

/** A call that is traced, at who makes it. */
export interface CallSpan {
  readonly context: Uint8Array
  readonly end: (exit: Exit.Exit<unknown, unknown>) => void
}

/** @param parent absent: the trace begins here */
export const beginCall = (
  tracer: Tracer.Tracer,
  name: string,
  kind: "client" | "server",
  parent: Tracer.AnySpan | undefined
): CallSpan | undefined => {
  const span = begin(tracer, { name, kind, parent, startMs: wallMs() })
  const context = traceContext(span)
  describe(span, name)
  return (
    context && {
      context,
      end: (exit) => span.end(nanosOf(wallMs()), exit)
    }
  )
}

/**
 * The head decision: what the caller is part of decides; where it is part of nothing, so many calls
 * of a hundred as {@link SampleRate} says.
 */
export const traceCall = (fiber: Fiber.Fiber<any, any>, name: string): CallSpan | undefined => {
  const { tracer: current, tracerEnabled, span: parent } = fiber.cache
  const tracer = pluggedIn(current)
  if (tracer === undefined || !tracerEnabled) return undefined
  const taken = parent === undefined ? Math.random() < rateOf(fiber) : parent.sampled === true
  return taken ? beginCall(tracer, name, "client", parent) : undefined
}

let rated: { readonly context: object; readonly rate: number } | undefined
/** Of the context that was asked last it is known: it mostly is the next one too. */
const rateOf = (fiber: Fiber.Fiber<any, any>): number => {
  const { context } = fiber
  if (rated?.context !== context) rated = { context, rate: fiber.getRef(SampleRate) }
  return rated.rate
}

/** The same for a call that came over the wire. */
export const traceIncoming = (
  tracer: Tracer.Tracer | undefined,
  sampleRate: number,
  name: string,
  trace: Uint8Array | undefined
): CallSpan | undefined => {
  if (tracer === undefined) return undefined
  if (trace !== undefined) return beginCall(tracer, name, "server", new Elsewhere(trace))
  return Math.random() < sampleRate ? beginCall(tracer, name, "server", undefined) : undefined
}

// ------------------------------------------------------------ nodes

export const makeTracePort = (tracer: Tracer.Tracer, node: NodeId): TracePort => ({
  nowMs: wallMs,
  begin: (parent, { method, startMs }) => {
    const from = new Elsewhere(parent)
    const span = begin(tracer, { name: method, kind: "server", parent: from, startMs })
    span.attribute("rpc.system", "quorate")
    span.attribute("quorate.node", node)
    return nodeSpan(tracer, span, parent, node)
  }
})

const nodeSpan = (
  tracer: Tracer.Tracer,
  span: Tracer.Span,
  parent: Uint8Array,
  node: NodeId
): NodeSpan => ({
  // Ids that are not of W3C cannot go on: then those that came do.
  context: () => traceContext(span) ?? parent,
  within: (effect) =>
    Effect.provideService(effect as Effect.Effect<unknown>, Tracer.ParentSpan, span),
  end: (traced) => {
    const { code, endMs } = traced
    if (traced.spoken) tellPhases(tracer, span, traced, node)
    span.end(nanosOf(endMs), code === undefined ? Exit.void : Exit.fail(code))
  }
})

/** Of a call without phases its beginning and end say all. */
const tellPhases = (
  tracer: Tracer.Tracer,
  span: Tracer.Span,
  traced: Traced,
  node: NodeId
): void => {
  const { lane, index, missed, events, endMs } = traced
  span.attribute("quorate.instance", `${laneText(lane)}/${index}`)
  if (missed > 0) span.attribute("quorate.events_missed", missed)
  for (const { kind, atMs, method } of events) {
    if (method === undefined) span.event(kind, nanosOf(atMs))
  }
  for (const words of phasesOf(events)) phaseSpan(tracer, span, words, endMs, node)
}

type WordEvent = TraceEvent & { readonly method: string }

/** Words of one phase of one instance, in one round. */
const phasesOf = (events: Traced["events"]): ReadonlyArray<ReadonlyArray<WordEvent>> => {
  const phases = new Map<string, Array<WordEvent>>()
  for (const event of events) {
    const { method, lane, index, round } = event
    if (method === undefined) continue
    const key = `${method} ${lane} ${index} ${round}`
    const known = phases.get(key)
    if (known === undefined) phases.set(key, [{ ...event, method }])
    else known.push({ ...event, method })
  }
  return [...phases.values()]
}

/** From the first word of the phase to the last that came before the node was done. */
const phaseSpan = (
  tracer: Tracer.Tracer,
  parent: Tracer.Span,
  words: ReadonlyArray<WordEvent>,
  doneMs: number,
  node: NodeId
): void => {
  const { atMs: startMs, method, round, lane = "", index } = words[0]!
  const links = words.flatMap(({ trace, from }) =>
    trace === undefined
      ? []
      : [{ span: new Elsewhere(trace), attributes: { "quorate.from": from } }]
  )
  const span = begin(tracer, { name: method, kind: "internal", parent, startMs, links })
  span.attribute("quorate.node", node)
  span.attribute("quorate.round", round)
  span.attribute("quorate.instance", `${laneText(lane)}/${index}`)
  span.attribute("quorate.words", words.length)
  let endMs = startMs
  for (const { kind, atMs, from } of words) {
    if (atMs <= doneMs) endMs = atMs
    if (kind === "said") span.event("said", nanosOf(atMs))
    else span.event("vote", nanosOf(atMs), { "quorate.from": from })
  }
  span.end(nanosOf(endMs), Exit.void)
}
