/** Joins nodes and clients with who looks on; see {@link Observe}. */
import { Effect, type Tracer } from "effect"
import { type Family, type Labels, type Meters, samplesOf } from "../../base/families.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { ErrorCode } from "../../base/errorCode.ts"
import type { CallCore } from "../../link/callCore.ts"
import type { CallSpec } from "../../link/callTypes.ts"
import { CallMeter } from "../../link/callMeter.ts"
import type { HostCore } from "../../link/hostCore.ts"
import { HostWatch } from "../../link/hostWatch.ts"
import { NodeMeter } from "../../link/nodeMeter.ts"
import { NodeTraces } from "../../link/nodeTraces.ts"
import type { Tap } from "../../link/tap.ts"
import { ClientTap, clientName, NodeTap } from "../../link/tapped.ts"
import type { MethodId } from "../../server/Message.ts"
import type { ProtocolSpec } from "../../server/Protocol.ts"
import { CurrentMeters, CurrentTap, SampleRate } from "../Observe.ts"
import { makeTracePort, pluggedIn } from "./spans.ts"
import { tapped } from "./tappedHandlers.ts"

/** Who looks on, as the context says. */
export interface Observers {
  readonly tap: Tap | undefined
  readonly meters: Meters | undefined
  readonly tracer: Tracer.Tracer | undefined
  readonly sampleRate: number
}
export const NOBODY: Observers = {
  ...{ tap: undefined, meters: undefined, tracer: undefined, sampleRate: 0 }
}

export const observers: Effect.Effect<Observers> = Effect.gen(function* () {
  return {
    tap: yield* CurrentTap,
    meters: yield* CurrentMeters,
    tracer: pluggedIn(yield* Effect.tracer),
    sampleRate: yield* SampleRate
  }
})

const wallMs = (): number => Date.now()
const preciseMs = (): number => performance.now()

export interface ObservedNode {
  /** To run in place of those given. */
  readonly protocols: ReadonlyArray<ProtocolSpec>
  readonly watch: HostWatch | undefined
  /** Once the host is there; what is returned ends it. */
  readonly begin: (host: MeteredHost) => () => void
}

/** What is read of a host when somebody scrapes. */
export interface MeteredHost {
  readonly core: HostCore
  readonly counters: { readonly [what: string]: number }
  readonly clientCount: number
}

export const observeNode = (
  { tap, meters, tracer }: Observers,
  {
    group,
    self,
    protocols,
    limits
  }: {
    readonly group: string
    readonly limits: Limits
    readonly self: NodeId
    readonly protocols: ReadonlyArray<ProtocolSpec>
  }
): ObservedNode => {
  const meter = meters && new NodeMeter({ protocols, nowMs: preciseMs })
  const nodeTap = tap && new NodeTap({ tap, at: self, nowMs: wallMs, protocols })
  const port = tracer && makeTracePort(tracer, { group, node: self })
  const traces = port && new NodeTraces({ limits, protocols, port })
  const looked = meter !== undefined || nodeTap !== undefined || traces !== undefined
  const labels = { group, node: String(self) }
  return {
    protocols: nodeTap === undefined ? protocols : protocols.map((spec) => tapped(spec, nodeTap)),
    watch: looked ? new HostWatch({ tap: nodeTap, meter, traces }) : undefined,
    begin: (host) => {
      const counted = () => [...(meter?.families(labels) ?? []), ...hostFamilies(host, labels)]
      const leave = meters?.add(counted)
      return () => {
        leave?.()
        traces?.close()
      }
    }
  }
}
const nothing = (): void => {}

/** Read off what the engine and its host count anyway. */
const hostFamilies = (host: MeteredHost, labels: Labels): ReadonlyArray<Family> => {
  const { engine } = host.core
  const sizes = Object.entries(engine.size())
  const isBytes = ([table]: readonly [string, number]): boolean => table.endsWith("Bytes")
  const entries = Object.fromEntries(sizes.filter((size) => !isBytes(size)))
  const bytes = Object.fromEntries(sizes.filter(isBytes))
  return [
    {
      name: "quorate_node_dropped_total",
      help: "What this node dropped, refused or reported, by reason.",
      type: "counter",
      samples: samplesOf(engine.counters, "reason", labels)
    },
    {
      name: "quorate_node_table_entries",
      help: "Entries of each table; each is bounded.",
      type: "gauge",
      samples: samplesOf(entries, "table", labels)
    },
    {
      name: "quorate_node_table_bytes",
      help: "Bytes kept: for members that have not taken them, and for clients.",
      type: "gauge",
      samples: samplesOf(bytes, "table", labels)
    },
    {
      name: "quorate_node_queue_entries",
      help: "What waits: for the engine, for the disk, for signatures.",
      type: "gauge",
      samples: samplesOf(host.core.queues(), "queue", labels)
    },
    {
      name: "quorate_node_link_ends_total",
      help: "Links and connections that ended badly, by what was wrong.",
      type: "counter",
      samples: samplesOf(host.counters, "what", labels)
    },
    {
      name: "quorate_node_penalties_total",
      help: "What was done about those who send too much, or what no correct member does.",
      type: "counter",
      samples: samplesOf(host.core.penalties.counters, "what", labels)
    },
    {
      name: "quorate_node_fetches_total",
      help: "Parts of states that were fetched and given; members that lied or were slow.",
      type: "counter",
      samples: samplesOf(host.core.fetches.counters, "what", labels)
    },
    {
      name: "quorate_node_clients",
      help: "Clients connected now.",
      type: "gauge",
      samples: [{ labels, value: host.clientCount }]
    }
  ]
}

type Named<R, A> = CallSpec<R, A> & { readonly name?: string }

/** Who looks on at one client. */
export class ObservedClient {
  readonly tap: ClientTap | undefined
  private readonly meter: CallMeter | undefined
  private readonly meters: Meters | undefined
  private readonly labels: Labels

  /** @param client.key in hexadecimal digits */
  constructor(
    { tap, meters }: Observers,
    client: { readonly group: string; readonly key: string }
  ) {
    this.tap = tap && new ClientTap({ tap, at: clientName(client.key), nowMs: wallMs })
    this.meters = meters
    this.meter = meters && new CallMeter(preciseMs)
    this.labels = { group: client.group }
  }

  /** Once the call table is there; what is returned ends it. */
  begin(core: CallCore): () => void {
    const { meters, meter, labels } = this
    return meters?.add(() => [...meter!.families(labels), ...callFamilies(core, labels)]) ?? nothing
  }

  /** Starts the call; what is returned cancels it. */
  start<R, A>(core: CallCore, spec: Named<R, A>): () => void {
    if (this.meter === undefined && this.tap === undefined) {
      const id = core.start(spec)
      return () => core.cancel(id)
    }
    const ended = this.called(spec)
    let over = false
    const id = core.start<R, A>({
      ...spec,
      done: (result) => {
        over = true
        ended(result.ok ? "ok" : result.code)
        spec.done(result)
      }
    })
    return () => {
      core.cancel(id)
      if (!over) ended("interrupted")
      over = true
    }
  }

  private called(spec: {
    readonly method: MethodId
    readonly name?: string
  }): (code: ErrorCode | "ok" | "interrupted") => void {
    const { method, name = "other" } = spec
    const { meter } = this
    const told = this.tap?.called(method, name)
    const startMs = meter?.start() ?? 0
    return (code) => {
      meter?.ended(method, name, startMs, code)
      told?.(code)
    }
  }
}

const callFamilies = (core: CallCore, labels: Labels): ReadonlyArray<Family> => [
  {
    name: "quorate_client_table_entries",
    help: "Entries of each table of the clients; all zero when idle, but for sessions.",
    type: "gauge",
    samples: samplesOf(core.size(), "table", labels)
  },
  {
    name: "quorate_client_dropped_total",
    help: "Replies and calls that were dropped or refused for now, by reason.",
    type: "counter",
    samples: samplesOf(core.counters, "reason", labels)
  }
]
