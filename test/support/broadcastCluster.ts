/** The reliable broadcast of the README on real sockets: four nodes and clients in this process. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { onTestFinished } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { Quorum } from "../../src/index.ts"
import { NodeGroup } from "../../src/runtime/platform-node/index.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { freePorts, temporaryFolder } from "./processes.ts"

export const NODES = [1, 2, 3, 4] as const

export interface ClusterShape {
  /** `host:port` per node, for its peers; default: where it listens. */
  readonly between?: ReadonlyArray<string>
  /** The same for clients. */
  readonly before?: ReadonlyArray<string>
  /** Addresses have `"tls": true`. */
  readonly tls?: { readonly between?: boolean; readonly before?: boolean }
  /** Where the nodes listen; default: ports that were free. */
  readonly listen?: ReadonlyArray<string>
  readonly member?: NodeGroup.MemberOptions
  /** The strength of links; nodes then have keys. */
  readonly links?: "authenticated" | "encrypted"
  /** How members speak to each other. */
  readonly transport?: "unary"
}

interface FileParts {
  readonly addresses: ReadonlyArray<string>
  readonly tls: boolean | undefined
  readonly links: string | undefined
  readonly transport: string | undefined
  readonly keys: ReadonlyArray<NodeGroup.GeneratedKey>
}

const groupFile = ({ addresses, tls, links, transport, keys }: FileParts): string => {
  const file = join(temporaryFolder(), "group.json")
  const nodes = addresses.map((address, i) => ({
    id: i + 1,
    address,
    ...(tls && { tls }),
    ...(links && { key: keys[i]!.publicKey })
  }))
  const group = { group: "proxied", faults: "byzantine", durable: false, nodes }
  writeFileSync(file, JSON.stringify({ ...group, links, transport }))
  return file
}

export const loopbackAddresses = async (): Promise<ReadonlyArray<string>> =>
  (await freePorts(NODES.length)).map((port) => `127.0.0.1:${port}`)

/** Stopped when the test ends. */
export class BroadcastCluster {
  readonly listen: ReadonlyArray<string>
  readonly #file: string
  readonly #members: string
  readonly #scopes = new Map<number, Scope.Closeable>()
  readonly #shape: ClusterShape
  readonly #keys = NODES.map(() => NodeGroup.generateKey())

  private constructor(shape: ClusterShape, listen: ReadonlyArray<string>) {
    this.#shape = shape
    this.listen = listen
    const { between = listen, before = between, tls, links, transport } = shape
    const same = { links, transport, keys: this.#keys }
    this.#members = groupFile({ addresses: between, tls: tls?.between, ...same })
    this.#file = groupFile({ addresses: before, tls: tls?.before, ...same })
  }

  static async start(shape: ClusterShape = {}): Promise<BroadcastCluster> {
    const cluster = new BroadcastCluster(shape, shape.listen ?? (await loopbackAddresses()))
    onTestFinished(async () => {
      for (const scope of cluster.#scopes.values()) {
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    })
    for (const id of NODES) await cluster.node(id)
    return cluster
  }

  async node(id: number): Promise<void> {
    const { links, member } = this.#shape
    const key = join(temporaryFolder(), "key.pem")
    writeFileSync(key, this.#keys[id - 1]!.privateKey)
    const options = { listen: this.listen[id - 1]!, ...member, ...(links && { key }) }
    const layer = Replica.layer(Bracha).pipe(
      Layer.provide(NodeGroup.layerMember(this.#members, id, options))
    )
    const scope = Scope.makeUnsafe()
    this.#scopes.set(id, scope)
    await Effect.runPromise(Layer.buildWithScope(layer, scope))
  }

  client(options?: NodeGroup.FileOptions): BroadcastClient {
    return new BroadcastClient(this.#file, options)
  }
}

/** Stopped when the test ends. */
export class BroadcastClient {
  readonly #runtime: ManagedRuntime.ManagedRuntime<ReliableBroadcast, unknown>
  #calls = 0

  constructor(file: string, options?: NodeGroup.FileOptions) {
    this.#runtime = ManagedRuntime.make(
      ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(file, options)))
    )
    onTestFinished(() => this.#runtime.dispose())
  }

  /** One broadcast: the text that a quorum delivered. */
  async call(text: string, timeoutMs = 10_000): Promise<string> {
    const call = ReliableBroadcast.use((rb) =>
      rb.broadcast(
        { text },
        Quorum.matching((delivery) => delivery.text),
        { timeoutMs }
      )
    )
    return (await this.#runtime.runPromise(call)).text
  }

  /** `count` calls, `atOnce` at a time, each of `bytes`; fails unless each has its own answer. */
  async load(count: number, { atOnce = 16, bytes = 16 } = {}): Promise<void> {
    const one = async (): Promise<void> => {
      const text = `${++this.#calls}`.padEnd(bytes, ".")
      const answer = await this.call(text)
      if (answer !== text) throw new Error(`"${text.slice(0, 40)}" got "${answer.slice(0, 40)}"`)
    }
    let begun = 0
    const lane = async (): Promise<void> => {
      while (begun++ < count) await one()
    }
    await Promise.all(Array.from({ length: atOnce }, lane))
  }

  /** Calls, one after the other, until `enough`; how many. */
  async loadUntil(enough: () => boolean, atOnce = 8): Promise<number> {
    let calls = 0
    const lane = async (): Promise<void> => {
      while (!enough()) {
        await this.load(1, { atOnce: 1 })
        calls++
      }
    }
    await Promise.all(Array.from({ length: atOnce }, lane))
    return calls
  }
}
