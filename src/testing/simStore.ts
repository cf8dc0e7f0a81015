import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { LogCore } from "../link/logCore.ts"
import { decodeRecord } from "../link/recordCodec.ts"
import type { Checkers } from "./Checkers.ts"
import type { SimDisk } from "./simDisk.ts"
import { LogMemory } from "./watchLog.ts"
import type { World } from "./world.ts"

export interface SimStoreOptions {
  readonly world: World
  readonly node: NodeId
  readonly disk: SimDisk
  readonly limits: Limits
  readonly random: Prng
  readonly checkers: Checkers
}

/** The store of one node through all its lives, and the judge's memory of what it held. */
export class SimStore {
  readonly disk: SimDisk
  readonly #options: SimStoreOptions
  #memory: LogMemory
  #storeId: Uint8Array
  /** Stores that were made; a lost disk may be followed by another one. */
  #made = 0
  /** The operator vouches that the node never spoke: so until the first store is made. */
  #init = true

  constructor(options: SimStoreOptions) {
    this.#options = options
    this.disk = options.disk
    this.#storeId = options.random.bytes(16)
    this.#memory = this.#remember()
  }

  /** As peers see it in the hello. */
  get id(): string {
    return `store ${this.#options.node}.${this.#made}`
  }

  /** What was on the disk is gone: the next open must refuse it. */
  lose(): void {
    const { world, node, checkers, random } = this.#options
    world.happened("lost its disk", node, 0)
    checkers.forgot(node)
    this.disk.wipe()
    this.#memory = this.#remember()
    this.#storeId = random.bytes(16)
  }

  /** An operator, wrongly, vouches that the node never spoke. */
  beginAnew(): void {
    this.#init = true
  }

  /** @throws ProcessKilled where the node dies of one of its disk's operations */
  open(): LogCore | undefined {
    const { world, node, disk, checkers, limits } = this.#options
    const empty = disk.empty
    const options = { disk: disk.mount(), limits, init: this.#init, storeId: this.#storeId }
    const log = LogCore.open({ ...options, owner: `node ${node}` })
    disk.live()
    if (log instanceof LogCore) {
      if (empty && !this.#init) checkers.fail(`P4: node ${node} starts on an empty disk`)
      if (this.#init) this.#made++
      this.#init = false
      return this.#memory.over(log)
    }
    if (empty) world.happened("refused its empty disk", node, 0)
    else checkers.fail(`the store of node ${node} is refused: ${log.where}: ${log.what}`)
    return undefined
  }

  #remember(): LogMemory {
    const { checkers, node, world } = this.#options
    return new LogMemory({
      durable: (record) => checkers.durable(node, decodeRecord(record)),
      cut: () => world.happened("checkpoint", node, 0),
      broken: (what) => checkers.fail(`the log of node ${node}: ${what}`)
    })
  }
}
