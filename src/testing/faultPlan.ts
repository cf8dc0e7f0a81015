/**
 * What will go wrong in a run, drawn from its seed before the run begins: plain data, so that a
 * failing run can be tried again with less of it.
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { type LinkFault, linkFaultOf } from "./linkPlan.ts"
import type { Endpoint } from "./simNetwork.ts"

/** Times in virtual milliseconds. */
export type Fault =
  /** These pairs lose their connections, and get none for a while: a partition of any shape. */
  | {
      readonly kind: "cut"
      readonly apartMs: number
      readonly pairs: ReadonlyArray<readonly [Endpoint, Endpoint]>
    }
  /** What one says to the other vanishes, and both take their link for alive. */
  | {
      readonly kind: "mute"
      readonly from: Endpoint
      readonly to: Endpoint
      readonly muteMs: number
    }
  /** Processes are killed, and started again from what their disks kept. */
  | {
      readonly kind: "crash"
      readonly nodes: ReadonlyArray<{ readonly node: NodeId; readonly downMs: number }>
    }
  /** The next write is refused: the node halts, and is started again. */
  | { readonly kind: "diskFails"; readonly node: NodeId; readonly downMs: number }
  /** No sync ends. */
  | { readonly kind: "diskStalls"; readonly node: NodeId; readonly stallMs: number }
  /** The disk is found empty when the node comes back; `anew`: then it is told to begin again. */
  | {
      readonly kind: "diskLost"
      readonly node: NodeId
      readonly downMs: number
      readonly anew: boolean
    }
  /** A node's clock jumps. Back it stands still, until the next start. */
  | { readonly kind: "clockJumps"; readonly node: NodeId; readonly byMs: number }
  | { readonly kind: "clientDies"; readonly client: Endpoint }
  /** On the `links` network alone. */
  | { readonly kind: "link"; readonly what: LinkFault }

export interface PlannedFault {
  readonly atMs: number
  readonly fault: Fault
}

export interface FaultOptions {
  readonly nodes: ReadonlyArray<NodeId>
  readonly clients: ReadonlyArray<Endpoint>
  /** Nodes that may crash. */
  readonly crashing: ReadonlyArray<NodeId>
  /** Nodes that may lose their disk, once each. */
  readonly forgetting: ReadonlyArray<NodeId>
  /**
   * Some of these are begun anew. Members that never heard such a node take it for new, so only a
   * model in which it may as well lie survives that.
   */
  readonly begunAnew: boolean
  /** Nodes have disks. */
  readonly durable: boolean
  /** Faults begin at `fromMs` and stop at `untilMs`. */
  readonly fromMs: number
  readonly untilMs: number
  /** Between two faults, at most. */
  readonly gapMsMax: number
  /** A crashed node stays down, at most. */
  readonly downMsMax: number
  /** There are streams that more can happen to. */
  readonly links?: boolean
}

export const planFaults = (random: Prng, options: FaultOptions): ReadonlyArray<PlannedFault> => {
  const planned: Array<PlannedFault> = []
  const { fromMs, untilMs, gapMsMax, downMsMax } = options
  for (let atMs = fromMs; atMs < untilMs; atMs += 1 + random.below(gapMsMax)) {
    planned.push({ atMs, fault: one(random, options) })
  }
  for (const node of options.forgetting) {
    const atMs = fromMs + random.below(untilMs - fromMs)
    const downMs = 20 + random.below(downMsMax)
    const anew = random.chance(500) && options.begunAnew
    const fault: Fault = { kind: "diskLost", node, downMs, anew }
    planned.push({ atMs, fault })
  }
  if (options.links !== true) return planned
  const { nodes, clients } = options
  for (let atMs = fromMs; atMs < untilMs; atMs += 1 + random.below(3 * gapMsMax)) {
    const what = linkFaultOf(random, nodes, [...nodes, ...clients])
    planned.push({ atMs, fault: { kind: "link", what } })
  }
  return planned
}

const one = (random: Prng, options: FaultOptions): Fault => {
  const { nodes, clients, crashing, durable, downMsMax } = options
  const dice = random.below(100)
  const [node, client] = [random.pick(nodes), random.pick(clients)]
  const ends = [...nodes, ...clients]
  const apartMs = random.below(random.chance(250) ? 3000 : 300)
  const downMs = 20 + random.below(downMsMax)
  if (dice < 34) return cutOf([[node, random.pick(nodes)]], apartMs)
  if (dice < 48) return cutOf([[node, client]], apartMs)
  if (dice < 55)
    return cutOf(
      ends.map((end) => [node, end]),
      apartMs
    )
  if (dice < 61) return cutOf(partition(random, nodes, clients), apartMs)
  if (dice < 65) return { kind: "mute", from: node, to: random.pick(ends), muteMs: apartMs }
  if (dice < 67) return { kind: "clockJumps", node, byMs: random.below(600_000) - 20_000 }
  if (dice < 70) return { kind: "clientDies", client }
  if (dice < 72 && durable) {
    const stallMs = 200 + random.below(2500)
    return { kind: "diskStalls", node: random.pick(nodes), stallMs }
  }
  if (crashing.length === 0) return cutOf([[node, random.pick(nodes)]], apartMs)
  if (dice < 75 && durable) return { kind: "diskFails", node: random.pick(crashing), downMs }
  if (dice < 97) return { kind: "crash", nodes: [{ node: random.pick(crashing), downMs }] }
  const down = (node: NodeId) => ({ node, downMs: 20 + random.below(downMsMax) })
  return { kind: "crash", nodes: crashing.map(down) }
}

const cutOf = (pairs: ReadonlyArray<readonly [Endpoint, Endpoint]>, apartMs: number): Fault => ({
  kind: "cut",
  apartMs,
  pairs: pairs.filter(([a, b]) => a !== b)
})

/**
 * Two or three groups; two groups and a node that sees both (a bridge); or a ring in which each
 * node sees two others. A client sees the nodes of one group, or in a ring one node.
 */
const partition = (
  random: Prng,
  nodes: ReadonlyArray<NodeId>,
  clients: ReadonlyArray<Endpoint>
): ReadonlyArray<readonly [Endpoint, Endpoint]> => {
  const order = shuffled(random, nodes)
  const ring = random.chance(250)
  const groups = ring ? order.length : 2 + random.below(2)
  const bridge = random.chance(300) ? order[0] : undefined
  const groupOf = new Map<Endpoint, number>()
  for (const [i, node] of order.entries()) groupOf.set(node, i % groups)
  for (const client of clients) groupOf.set(client, random.below(groups))
  const apart = (a: Endpoint, b: Endpoint): boolean => {
    if (a === bridge || b === bridge) return false
    const steps = Math.abs(groupOf.get(a)! - groupOf.get(b)!)
    return steps > (ring ? 1 : 0) && !(ring && steps === groups - 1)
  }
  return order.flatMap((a, i) =>
    [...order.slice(i + 1), ...clients].flatMap((b) => (apart(a, b) ? [[a, b] as const] : []))
  )
}

export const shuffled = <T>(random: Prng, xs: ReadonlyArray<T>): Array<T> => {
  const order = [...xs]
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
