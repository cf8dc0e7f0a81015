/** P11: Nothing leaves a node before what it depends on is durable. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { Prng } from "../../src/base/prng.ts"
import { HostCore } from "../../src/link/hostCore.ts"
import { LogCore } from "../../src/link/logCore.ts"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import { decodeRecord } from "../../src/link/recordCodec.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import { methodId, type PeerMessage, type Reply } from "../../src/server/Message.ts"
import { bracha, json } from "../support/engines.ts"
import { echo, rb } from "../support/tries.ts"

/** A node alone on a disk whose writes end when the test says so. */
class Watched {
  readonly host: HostCore
  readonly left: Array<PeerMessage | Reply> = []
  readonly writes: Array<() => void> = []
  private readonly disk = new MemoryDisk({ later: (run) => this.writes.push(run) })
  private readonly log: LogCore

  constructor() {
    const open = { disk: this.disk, limits: LIMITS, init: true, owner: "node 1" }
    const log = LogCore.open({ ...open, storeId: new Uint8Array(16) })
    if (!(log instanceof LogCore)) throw new Error(log.what)
    this.log = log
    this.host = new HostCore({
      self: 1,
      system: makeSystem([1, 2, 3, 4], "byzantine"),
      protocols: [bracha],
      limits: LIMITS,
      log,
      isEffect: () => false,
      ports: {
        clock: { nowMs: () => 2_000 },
        sendToPeer: (_, message) => this.left.push(message),
        sendToClient: (_, reply) => this.left.push(reply),
        run: () => {},
        interrupt: () => {},
        report: () => {},
        halt: (reason) => expect.unreachable(reason),
        wake: () => {},
        wakeAt: () => {},
        ...OTHER_PORTS
      }
    })
    this.host.boot()
  }

  /** What a crash right now would leave. */
  durable(): ReadonlyArray<LogEntry> {
    const entries: Array<LogEntry> = []
    const open = { disk: this.disk, limits: LIMITS, init: false, owner: "node 1" }
    const log = LogCore.open({ ...open, storeId: this.log.storeId })
    if (!(log instanceof LogCore)) throw new Error(log.what)
    let count = 0
    log.replay((record) => {
      if (++count <= this.log.durable) entries.push(...decodeRecord(record)!.entries)
    })
    return entries
  }
}
/** Ports that this test has no use for. */
const OTHER_PORTS: object = { deliver: () => {} }

describe("P11", () => {
  it("whatever leaves, at whatever speed of the disk, is in the log that is durable then", () => {
    let [words, answers] = [0, 0]
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Prng(seed)
      const node = new Watched()
      for (const peer of [2, 3, 4]) {
        node.host.peerUp(peer, `store ${peer}`)
        node.host.receive(peer, { kind: "want", position: 0 })
      }
      for (let i = 1; i <= 12; i++) {
        node.host.fromClient(7, rb(i))
        for (const peer of [2, 3, 4]) {
          const body = json.encode({ text: `m${i}` })
          const vote = { index: i, body, method: methodId("rb/ready") }
          if (random.chance(900)) node.host.receive(peer, echo(i, vote))
        }
        node.host.drain()
        while (random.chance(400)) node.writes.shift()?.()
        const durable = node.durable()
        for (const message of node.left.splice(0)) {
          if (message.kind === "word") {
            words++
            expect(durable).toContainEqual(expect.objectContaining({ position: message.position }))
          } else if (message.kind === "reply") {
            answers++
            const { index, body } = message
            expect(durable).toContainEqual(expect.objectContaining({ kind: "final", index, body }))
          }
        }
      }
    }
    expect(words).toBeGreaterThan(100)
    expect(answers).toBeGreaterThan(100)
  })
})
