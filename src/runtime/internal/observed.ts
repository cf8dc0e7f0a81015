/** Joins nodes and clients with who looks on; see {@link Observe}. */
import { Effect, type Tracer } from "effect"
import { type Family, type Labels, type Meters, samplesOf } from "../../base/families.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { CallCore } from "../../link/callCore.ts"
import type { CallWatch } from "../../link/callTypes.ts"
import { CallMeter } from "../../link/callMeter.ts"
import type { Channel } from "../../link/channel.ts"
import type { HostCore } from "../../link/hostCore.ts"
import { HostWatch } from "../../link/hostWatch.ts"
import { NodeMeter } from "../../link/nodeMeter.ts"
import { NodeTraces } from "../../link/nodeTraces.ts"
import type { Tap } from "../../link/tap.ts"
import { ClientTap, clientName, NodeTap } from "../../link/tapped.ts"
import type { System } from "../../quorum/QuorumSystem.ts"
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
/** Read once: the global is an accessor. */
const steady = globalThis.performance
const preciseMs = (): number => steady.now()

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
  readonly group: { readonly system: System }
  readonly channelTo: (member: NodeId) => ObservedChannel | undefined
}
type ObservedChannel = Pick<Channel, "traffic" | "unacknowledgedBytes">

export const observeNode = (
  { tap, meters, tracer }: Observers,
  {
    group,
    epoch,
    self,
    protocols,
    limits
  }: {
    readonly group: string
    readonly epoch: number
    readonly limits: Limits
    readonly self: NodeId
    readonly protocols: ReadonlyArray<ProtocolSpec>
  }
): ObservedNode => {
  const meter = meters && new NodeMeter({ protocols, nowMs: preciseMs })
  const nodeTap = tap && new NodeTap({ tap, at: self, nowMs: wallMs, protocols })
  const port = tracer && makeTracePort(tracer, self)
  const traces = port && new NodeTraces({ limits, protocols, port })
  const looked = meter !== undefined || nodeTap !== undefined || traces !== undefined
  const labels = { group, node: String(self), ...(epoch > 1 && { epoch: String(epoch) }) }
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
    ...linkFamilies(host, labels),
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

/** Who looks on at one client. */
/** By member: those of the group, and nobody else. */
const linkFamilies = (host: MeteredHost, labels: Labels): ReadonlyArray<Family> => {
  const peers = host.group.system.members.filter((member) => String(member) !== labels["node"])
  const by = (count: (channel: ObservedChannel | undefined) => number) =>
    peers.map((peer) => ({
      labels: { ...labels, peer: String(peer) },
      value: count(host.channelTo(peer))
    }))
  return [
    {
      name: "quorate_node_link_up",
      help: "1 where this node has an open channel to the member.",
      type: "gauge",
      samples: by((channel) => (channel === undefined ? 0 : 1))
    },
    {
      name: "quorate_node_link_sent_bytes_total",
      help: "Bytes of frames to the member; 0 again with each new channel.",
      type: "counter",
      samples: by((channel) => channel?.traffic.sentBytes ?? 0)
    },
    {
      name: "quorate_node_link_received_bytes_total",
      help: "Bytes of frames from the member; 0 again with each new channel.",
      type: "counter",
      samples: by((channel) => channel?.traffic.receivedBytes ?? 0)
    },
    {
      name: "quorate_node_link_unacknowledged_bytes",
      help: "Bytes that wait for the member, or that it has not acknowledged.",
      type: "gauge",
      samples: by((channel) => channel?.unacknowledgedBytes ?? 0)
    }
  ]
}

export interface ObservedClient {
  readonly tap: ClientTap | undefined
  readonly watch: CallWatch | undefined
  /** Once the call table is there; what is returned ends it. */
  readonly begin: (core: CallCore) => () => void
}

/** @param client.key in hexadecimal digits */
export const observeClient = (
  { tap, meters }: Observers,
  client: { readonly group: string; readonly key: string }
): ObservedClient => {
  const clientTap = tap && new ClientTap({ tap, at: clientName(client.key), nowMs: wallMs })
  const meter = meters && new CallMeter(preciseMs)
  const labels = { group: client.group }
  return {
    tap: clientTap,
    watch:
      meter === undefined || clientTap === undefined
        ? (meter ?? clientTap)
        : both(meter, clientTap),
    begin: (core) =>
      meters?.add(() => [...meter!.families(labels), ...callFamilies(core, labels)]) ?? nothing
  }
}

/** The meter's time is what is handed on. */
const both = (meter: CallMeter, tap: ClientTap): CallWatch => ({
  started: (id, spec) => {
    tap.started(id, spec)
    return meter.started()
  },
  ended: (id, spec, started, code) => {
    meter.ended(id, spec, started, code)
    tap.ended(id, spec, started, code)
  }
})

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
