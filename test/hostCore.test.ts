import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { HostCore, type HostOptions } from "../src/link/hostCore.ts"
import { LogCore } from "../src/link/logCore.ts"
import { MemoryDisk } from "../src/link/memoryDisk.ts"
import type { Disk, DiskFailure } from "../src/link/ports.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { bracha, json, protocolOf, request } from "./support/engines.ts"

/** A disk whose writes end when the test says so. */
class SlowDisk extends MemoryDisk {
  readonly writes: Array<(failure?: DiskFailure) => void>

  constructor() {
    const writes: Array<(failure?: DiskFailure) => void> = []
    super({ later: (run) => writes.push(() => run()) })
    this.writes = writes
  }
}
class BrokenDisk extends SlowDisk {
  override append(
    _: string,
    __: ReadonlyArray<Uint8Array>,
    done: (failure: DiskFailure) => void
  ): void {
    this.writes.push(() => done("no space left"))
  }
}

const openLog = (disk: Disk): LogCore => {
  const storeId = new Uint8Array(16)
  const log = LogCore.open({ disk, limits: LIMITS, init: true, storeId, owner: "node 1" })
  if (!(log instanceof LogCore)) throw new Error(log.what)
  return log
}

const hostOn = (
  log: LogCore | undefined,
  more: Partial<Pick<HostOptions, "limits" | "makeEngine" | "protocols">> = {},
  nowMs = (): number => 2_000
) => {
  const out: Array<string> = []
  let wakes = 0
  const host = new HostCore({
    self: 1,
    system: makeSystem([1, 2, 3, 4], "byzantine"),
    protocols: more.protocols ?? [bracha],
    limits: more.limits ?? LIMITS,
    log,
    isEffect: () => false,
    ...(more.makeEngine && { makeEngine: more.makeEngine }),
    ports: {
      clock: { nowMs },
      sendToPeer: (peer, message) => out.push(`${message.kind} to ${peer}`),
      sendToClient: (route, reply) => out.push(`${reply.code ?? "answer"} to client ${route}`),
      run: () => out.push("run"),
      interrupt: () => out.push("interrupt"),
      report: (what) => out.push(what),
      halt: (reason) => out.push(`halt: ${reason}`),
      wake: () => wakes++,
      wakeAt: () => {}
    }
  })
  const take = () => out.splice(0)
  return { host, take, wakes: () => wakes }
}
const broadcast = request("rb", "broadcast", { text: "a" })
const up = (host: HostCore, peer: number) => {
  host.peerUp(peer, `store ${peer}`)
  host.receive(peer, { kind: "want", position: 0 })
}

describe("the gate", () => {
  it("P11: a word leaves only when its record and those before it are durable", () => {
    const disk = new SlowDisk()
    const { host, take } = hostOn(openLog(disk))
    host.boot()
    up(host, 2)
    host.drain()
    expect(take()).toEqual(["want to 2", "resume to 2"])
    host.fromClient(7, broadcast)
    host.drain()
    expect(take()).toEqual([])
    expect(host.queues()["gate"]).toBeGreaterThan(0)
    disk.writes.shift()!()
    host.drain()
    expect(take()).toEqual(["word to 2"])
    expect(host.queues()["gate"]).toBe(0)
  })

  it("all records of a turn go in one write", () => {
    const disk = new SlowDisk()
    const { host } = hostOn(openLog(disk))
    host.boot()
    for (let index = 1; index <= 10; index++) host.fromClient(7, { ...broadcast, index })
    host.drain()
    expect(disk.writes).toHaveLength(1)
    disk.writes.shift()!()
    host.drain()
    expect(host.queues()["gate"]).toBe(0)
  })

  it("words said while a link was up do not leave over the next one", () => {
    const disk = new SlowDisk()
    const { host, take } = hostOn(openLog(disk))
    host.boot()
    up(host, 2)
    host.fromClient(7, broadcast)
    host.drain()
    take()
    host.peerDown(2)
    host.peerUp(2, "store 2")
    disk.writes.shift()!()
    host.drain()
    expect(take()).toEqual(["want to 2"])
    host.receive(2, { kind: "want", position: 0 })
    host.drain()
    expect(take()).toEqual(["resume to 2", "word to 2"])
  })

  it("what the engine said to a link that is gone does not leave over the next one", () => {
    const disk = new SlowDisk()
    const limits = { ...LIMITS, drainInputsMax: 2 }
    const { host, take } = hostOn(openLog(disk), { limits })
    host.boot()
    host.fromClient(7, broadcast)
    host.drain()
    disk.writes.shift()!()
    up(host, 2)
    host.peerDown(2)
    host.peerUp(2, "store 2")
    host.drain()
    expect(take()).toEqual([])
    host.drain()
    expect(take()).toEqual(["want to 2"])
  })

  it("P8: a disk that stands still makes no more wait than the inbox holds", () => {
    const limits = { ...LIMITS, inboxMax: 8, drainInputsMax: 8 }
    const { host, take } = hostOn(openLog(new SlowDisk()), { limits })
    host.boot()
    for (let i = 0; i < 50; i++) {
      host.fromClient(7, { ...broadcast, ackedBelow: 1, body: Uint8Array.of(123) })
      host.fromClient(7, broadcast)
      host.drain()
    }
    expect(host.queues()["gate"]).toBeLessThanOrEqual(16)
    expect(take()).toContain("overloaded to client 7")
  })

  it("a log that cannot be written halts the node, and nothing leaves", () => {
    const disk = new BrokenDisk()
    const { host, take } = hostOn(openLog(disk))
    host.boot()
    up(host, 2)
    host.fromClient(7, broadcast)
    host.drain()
    take()
    disk.writes.shift()!()
    host.drain()
    expect(take()).toEqual(["halt: the log cannot be written: no space left"])
  })

  it("without a log nothing waits, and sessions that an earlier life may know are expired", () => {
    const { host, take } = hostOn(undefined)
    host.boot()
    expect(host.horizonMs).toBe(2_000 + LIMITS.sessionAheadMsMax)
    host.fromClient(7, broadcast)
    host.drain()
    expect(take()).toEqual(["session_expired to client 7"])
  })
})

describe("the inbox", () => {
  it("a full inbox answers overloaded at once", () => {
    const { host, take } = hostOn(undefined, {
      limits: { ...LIMITS, inboxMax: 2, drainInputsMax: 2 }
    })
    host.boot()
    for (let i = 0; i < 3; i++) host.fromClient(7, broadcast)
    expect(take()).toEqual(["overloaded to client 7"])
  })

  it("one wake stands until the drain; a long inbox is drained in several turns", () => {
    const { host, wakes } = hostOn(undefined, {
      limits: { ...LIMITS, inboxMax: 10, drainInputsMax: 2 }
    })
    host.boot()
    for (let i = 0; i < 5; i++) host.fromClient(7, broadcast)
    expect(wakes()).toBe(1)
    expect([host.drain(), host.drain(), host.drain()]).toEqual([true, true, false])
    expect(wakes()).toBe(3)
  })

  it("P8: peers, which are never refused, do not fill it faster than it drains", () => {
    const { host } = hostOn(undefined, { limits: { ...LIMITS, inboxMax: 10, drainInputsMax: 2 } })
    host.boot()
    for (let i = 0; i < 1_000; i++) host.receive(2, { kind: "taken", taken: 0, done: 0 })
    let turns = 1
    while (host.drain()) turns++
    expect(turns).toBeLessThan(10)
  })

  it("after stop nothing is taken and nothing leaves", () => {
    const { host, take } = hostOn(undefined)
    host.boot()
    up(host, 2)
    host.stop()
    host.drain()
    expect(take()).toEqual([])
  })
})

describe("boot", () => {
  it("what was said and durable is said again, the same bytes", () => {
    const disk = new SlowDisk()
    const first = hostOn(openLog(disk))
    first.host.boot()
    first.host.fromClient(7, broadcast)
    first.host.drain()
    disk.writes.shift()!()
    const second = hostOn(openLog(disk))
    second.host.boot()
    up(second.host, 2)
    second.host.drain()
    expect(second.take()).toEqual(["want to 2", "resume to 2", "word to 2"])
  })

  it("a record of another version refuses the boot", () => {
    const disk = new SlowDisk()
    openLog(disk).append(Uint8Array.of(99))
    disk.writes.shift()!()
    const { host } = hostOn(openLog(disk))
    expect(host.boot()).toMatchObject({ where: "log record 1" })
  })
})

describe("deliveries", () => {
  const shout = (to: () => void) =>
    protocolOf(
      "shout",
      {
        ask: ["multiparty", ({ message, forward }) => forward.say(message)],
        say: ["phase", ({ message, deliver }) => deliver(message)]
      },
      { deliver: { message: json, to } }
    )
  const ask = request("shout", "ask", { text: "a" })

  it("P11: what is delivered is handed in once it is durable, and again at boot", () => {
    const disk = new SlowDisk()
    let got = 0
    const protocols = [shout(() => got++)]
    const { host, take } = hostOn(openLog(disk), { protocols })
    host.boot()
    host.fromClient(7, ask)
    host.drain()
    expect([got, take()]).toEqual([0, []])
    disk.writes.shift()!()
    host.drain()
    expect([got, take()]).toEqual([1, ["answer to client 7"]])
    const again = hostOn(openLog(disk), { protocols })
    again.host.boot()
    again.host.drain()
    expect(got).toBe(2)
  })

  it("a node whose program throws on a delivery halts, and says nothing more", () => {
    const to = () => {
      throw new Error("full")
    }
    const disk = new SlowDisk()
    const { host, take } = hostOn(openLog(disk), { protocols: [shout(to)] })
    host.boot()
    host.fromClient(7, ask)
    host.drain()
    disk.writes.shift()!()
    host.drain()
    expect(take()).toEqual(["halt: deliver of shout threw: Error: full"])
  })
})

describe("a host core's part of a turn", () => {
  it("ends when its time is over, and the rest waits for the next", () => {
    let now = 2_000
    const { host } = hostOn(
      undefined,
      {
        makeEngine: (make) => {
          const engine = make()
          const step = engine.step.bind(engine)
          return Object.assign(engine, {
            step: (input: Parameters<typeof step>[0]) => {
              now++
              return step(input)
            }
          })
        }
      },
      () => now
    )
    host.boot()
    for (let i = 1; i <= 300; i++)
      host.fromClient(7, { kind: "oneWay", method: i, body: new Uint8Array(0) })
    expect(host.drain()).toBe(true)
    const left = host.queues()["inbox"]!
    expect(left).toBeGreaterThanOrEqual(300 - 2 * 64)
    expect(left).toBeLessThan(300)
    let turns = 1
    while (host.drain()) turns++
    expect(turns).toBeGreaterThanOrEqual(2)
    expect(host.queues()["inbox"]).toBe(0)
  })
})
