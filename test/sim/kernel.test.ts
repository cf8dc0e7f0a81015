/** The parts of the simulator, each alone: a judge that is wrong acquits everybody. */
import { Context, Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import type { LogCore, LogListener } from "../../src/link/logCore.ts"
import { EventHash } from "../../src/testing/hash.ts"
import { runEffectIn } from "../../src/testing/runEffect.ts"
import { SimDisk } from "../../src/testing/simDisk.ts"
import { type Endpoint, SimNetwork } from "../../src/testing/simNetwork.ts"
import { VirtualTime } from "../../src/testing/virtualTime.ts"
import { LogMemory } from "../../src/testing/watchLog.ts"

const runAll = (time: VirtualTime): void => {
  while (time.next());
}

describe("virtual time", () => {
  it("lets events happen by time, those of one millisecond in the order of planning", () => {
    const random = new Prng(1)
    const time = new VirtualTime()
    const planned = Array.from({ length: 2000 }, (_, order) => ({ at: random.below(50), order }))
    const happened: Array<{ at: number; order: number }> = []
    for (const event of planned) time.after(event.at, () => happened.push(event))
    runAll(time)
    expect(happened).toEqual(planned.toSorted((a, b) => a.at - b.at || a.order - b.order))
    expect(time.steps).toBe(2000)
  })

  it("lets an event plan another for the same millisecond", () => {
    const time = new VirtualTime()
    const happened: Array<string> = []
    time.after(5, () => {
      happened.push("a")
      time.after(0, () => happened.push(`c at ${time.nowMs}`))
    })
    time.after(5, () => happened.push("b"))
    runAll(time)
    expect(happened).toEqual(["a", "b", "c at 5"])
  })

  it("refuses a delay that is no natural number", () => {
    const time = new VirtualTime()
    for (const delay of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => time.after(delay, () => {})).toThrow("natural number")
    }
  })
})

describe("the event hash", () => {
  const hashOf = (feed: (hash: EventHash) => unknown): string => {
    const hash = new EventHash()
    feed(hash)
    return hash.digest()
  }

  it("differs wherever two logs differ", () => {
    const digests = new Set<string>()
    const feeds: Array<(hash: EventHash) => void> = [() => {}]
    for (let i = 0; i < 300; i++) feeds.push((hash) => hash.int(i))
    for (let i = 1; i < 50; i++) feeds.push((hash) => hash.int(i * 2 ** 32))
    for (let i = 0; i < 20; i++) feeds.push((hash) => hash.bytes(new Uint8Array(i)))
    for (let i = 0; i < 20; i++) feeds.push((hash) => hash.bytes(Uint8Array.of(1, 2, i, 4, 5)))
    feeds.push((hash) => hash.text("ab"))
    feeds.push((hash) => hash.text("ba"))
    for (const feed of feeds) digests.add(hashOf(feed))
    expect(digests.size).toBe(feeds.length)
  })

  it("depends on the order", () => {
    const ab = hashOf((hash) => [hash.int(1), hash.int(2)])
    const ba = hashOf((hash) => [hash.int(2), hash.int(1)])
    expect(ab).not.toBe(ba)
    expect(ab).toMatch(/^[0-9a-f]{16}$/)
  })
})

/** What an endpoint was told, in order. */
type Told = ReadonlyArray<string>

interface Net {
  readonly time: VirtualTime
  readonly network: SimNetwork
  readonly told: ReadonlyMap<Endpoint, Array<string>>
  readonly attach: (endpoint: Endpoint) => void
  readonly send: (from: Endpoint, to: Endpoint, value: number) => boolean
}

const TIMING = { delayMsMax: 20, slowPerMille: 100, slowMsMax: 200, dialMsMax: 30, noticeMsMax: 60 }

const net = (seed: number): Net => {
  const time = new VirtualTime()
  const network = new SimNetwork(time, new Prng(seed), TIMING)
  const told = new Map<Endpoint, Array<string>>()
  return {
    time,
    network,
    told,
    attach: (endpoint) => {
      const mine = told.get(endpoint) ?? []
      told.set(endpoint, mine)
      network.attach(endpoint, {
        hello: () => ({ storeId: `store ${endpoint}`, horizonMs: 0 }),
        opened: (peer, hello) => mine.push(`open ${peer} ${hello.storeId}`),
        closed: (peer) => mine.push(`close ${peer}`),
        receive: (_, bytes) => mine.push(String(bytes[0]! * 256 + bytes[1]!))
      })
    },
    send: (from, to, value) => network.send(from, to, Uint8Array.of(value >> 8, value & 255))
  }
}

/** The messages between one open and the next close, connection by connection. */
const connections = (told: Told): ReadonlyArray<ReadonlyArray<number>> => {
  const all: Array<Array<number>> = []
  let open = false
  for (const what of told) {
    if (what.startsWith("open")) {
      expect(open).toBe(false)
      open = true
      all.push([])
    } else if (what.startsWith("close")) {
      expect(open).toBe(true)
      open = false
    } else {
      expect(open).toBe(true)
      all.at(-1)!.push(Number(what))
    }
  }
  return all
}

describe("the envelopes network", () => {
  it("keeps the order within a connection, and loses a suffix at each break", () => {
    let lost = 0
    for (let seed = 1; seed <= 50; seed++) {
      const { time, network, told, attach, send } = net(seed)
      const random = new Prng(seed)
      network.join(1, 2)
      attach(1)
      attach(2)
      const sent: Array<Array<number>> = []
      for (let at = 0; at < 3000; at += 3) {
        time.after(at, () => {
          const opens = told.get(1)!.filter((what) => what.startsWith("open")).length
          if (send(1, 2, at)) (sent[opens - 1] ??= []).push(at)
          if (random.chance(10)) network.cut(1, 2, random.below(200))
        })
      }
      runAll(time)
      const received = connections(told.get(2)!).flat()
      // Everything came at most once and in order, whatever connection it came over.
      expect(received).toEqual(received.toSorted((a, b) => a - b))
      expect(new Set(received).size).toBe(received.length)
      for (const connection of sent) {
        const came = connection?.filter((value) => received.includes(value)) ?? []
        expect(came).toEqual(connection?.slice(0, came.length) ?? [])
      }
      lost += sent.flat().length - received.length
      expect(network.lost).toBeGreaterThanOrEqual(sent.flat().length - received.length)
    }
    expect(lost).toBeGreaterThan(100)
  })

  it("tells an end of each connection and of its end, in turns, before and after a crash", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { time, network, told, attach, send } = net(seed)
      const random = new Prng(seed)
      network.join(1, 2)
      attach(1)
      attach(2)
      for (let at = 5; at < 4000; at += 200 + random.below(300)) {
        time.after(at, () => network.detach(2))
        time.after(at + 100, () => {
          told.get(2)!.length = 0
          attach(2)
        })
      }
      for (let at = 0; at < 4000; at += 7) time.after(at, () => void send(2, 1, at))
      runAll(time)
      const ends = connections(told.get(1)!)
      expect(ends.length).toBeGreaterThan(3)
      connections(told.get(2)!)
      expect(
        told
          .get(1)!
          .filter((what) => what.startsWith("open"))
          .at(-1)
      ).toBe("open 2 store 2")
    }
  })

  it("comes back after a cut, not before its time, and at once when it is healed", () => {
    const { time, network, told, attach } = net(3)
    network.join(1, 2)
    attach(1)
    attach(2)
    const openings: Array<number> = []
    const look = (): void => {
      const opens = told.get(2)!.filter((what) => what.startsWith("open")).length
      while (openings.length < opens) openings.push(time.nowMs)
      if (time.nowMs < 9000) time.after(1, look)
    }
    look()
    time.after(1000, () => network.cut(1, 2, 2000))
    time.after(5000, () => network.cut(1, 2, 100_000))
    time.after(6000, () => network.heal())
    runAll(time)
    expect(openings).toHaveLength(3)
    expect(openings[1]).toBeGreaterThanOrEqual(3000)
    expect(openings[2]).toBeGreaterThanOrEqual(6000)
    expect(openings[2]).toBeLessThan(6300)
  })

  it("says nothing to who is not connected", () => {
    const { time, attach, network, send } = net(1)
    network.join(1, 2)
    attach(1)
    runAll(time)
    expect(send(1, 2, 7)).toBe(false)
    expect(send(1, 3, 7)).toBe(false)
    expect(network.isUp(1, 2)).toBe(false)
  })
})

const DISK = { syncMsMax: 10, slowPerMille: 0, slowMsMax: 10 }

describe("the simulated disk", () => {
  it("keeps what was synced, and of the rest any prefix, torn at any byte", () => {
    const lengths = new Set<number>()
    for (let seed = 1; seed <= 400; seed++) {
      const time = new VirtualTime()
      const disk = new SimDisk(time, new Prng(seed), DISK)
      const first = disk.mount()
      let [synced, late] = [false, false]
      first.append("log", [Uint8Array.of(1, 2, 3)], () => (synced = true))
      runAll(time)
      first.append("log", [Uint8Array.of(4, 5), Uint8Array.of(6, 7, 8)], () => (late = true))
      expect(disk.unsyncedBytes).toBe(5)
      disk.crash()
      runAll(time)
      const kept = [...disk.mount().read("log")]
      expect([synced, late]).toEqual([true, false])
      expect(kept).toEqual([1, 2, 3, 4, 5, 6, 7, 8].slice(0, kept.length))
      expect(kept.length).toBeGreaterThanOrEqual(3)
      lengths.add(kept.length)
    }
    expect([...lengths].sort()).toEqual([3, 4, 5, 6, 7, 8])
  })

  it("may lose a new file whole, or keep it empty", () => {
    const found = new Set<string>()
    for (let seed = 1; seed <= 100; seed++) {
      const disk = new SimDisk(new VirtualTime(), new Prng(seed), DISK)
      disk.mount().append("log", [Uint8Array.of(1)], () => {})
      disk.crash()
      const after = disk.mount()
      found.add(
        after
          .list()
          .map((name) => `${name} ${after.read(name).length}`)
          .join()
      )
    }
    expect([...found].sort()).toEqual(["", "log 0", "log 1"])
  })

  it("calls back after the call has returned, and never into a dead process", () => {
    const time = new VirtualTime()
    const disk = new SimDisk(time, new Prng(1), DISK)
    const mounted = disk.mount()
    let done = 0
    mounted.append("log", [Uint8Array.of(1)], () => done++)
    expect(done).toBe(0)
    mounted.close()
    runAll(time)
    expect(done).toBe(0)
    expect(() => mounted.read("log")).toThrow("dead process")
  })

  it("takes one write to a file at a time", () => {
    const disk = new SimDisk(new VirtualTime(), new Prng(1), DISK).mount()
    disk.append("log", [Uint8Array.of(1)], () => {})
    disk.append("other", [Uint8Array.of(1)], () => {})
    expect(() => disk.append("log", [Uint8Array.of(2)], () => {})).toThrow("two writes")
  })
})

describe("the memory of a log", () => {
  /**
   * A log that was given 1 … 4, then perhaps a checkpoint, and said that 1 and 2 are durable, comes
   * back with `found`.
   */
  const restarted = (found: ReadonlyArray<number>, checkpoint?: number) => {
    const durable: Array<number> = []
    const broken: Array<string> = []
    const memory = new LogMemory({
      durable: (record) => durable.push(record[0]!),
      cut: () => durable.push(0),
      broken: (what) => broken.push(what)
    })
    let listener: LogListener | undefined
    const first = fakeLog([], (heard) => (listener = heard))
    const log = memory.over(first)
    log.replay(() => {})
    log.listen({ durable: () => {}, failed: () => {} })
    for (const value of [1, 2, 3, 4]) log.append(Uint8Array.of(value))
    if (checkpoint !== undefined) log.cut(Uint8Array.of(checkpoint))
    first.durable = 2
    listener!.durable()
    expect(durable).toEqual([1, 2])
    const replayed: Array<number> = []
    memory.over(fakeLog(found)).replay((record) => replayed.push(record[0]!))
    expect(replayed).toEqual(found)
    return { durable, broken }
  }

  it("takes a restart with all that was durable and some of what was not", () => {
    expect(restarted([1, 2])).toEqual({ durable: [1, 2], broken: [] })
    expect(restarted([1, 2, 3])).toEqual({ durable: [1, 2, 3], broken: [] })
    expect(restarted([1, 2, 3, 4])).toEqual({ durable: [1, 2, 3, 4], broken: [] })
  })

  it("takes a restart from a checkpoint, which stands for all before it", () => {
    expect(restarted([9], 9)).toEqual({ durable: [1, 2, 3, 4, 0], broken: [] })
    expect(restarted([1, 2, 3], 9)).toEqual({ durable: [1, 2, 3], broken: [] })
    expect(restarted([8], 9).broken).toEqual([
      "1 of 2 durable records are gone",
      "record 1 came back with other bytes"
    ])
  })

  it("notices a durable record that is gone, one that changed, and one that nobody wrote", () => {
    expect(restarted([1]).broken).toEqual(["1 of 2 durable records are gone"])
    expect(restarted([1, 9]).broken).toEqual(["record 2 came back with other bytes"])
    expect(restarted([1, 2, 4]).broken).toEqual(["record 3 came back with other bytes"])
    expect(restarted([1, 2, 3, 4, 5]).broken).toEqual(["5 records where 4 were written"])
  })
})

const fakeLog = (found: ReadonlyArray<number>, listen?: (listener: LogListener) => void) => {
  const log = {
    durable: 0,
    appended: 0,
    replay: (each: (record: Uint8Array) => void) => {
      for (const value of found) each(Uint8Array.of(value))
    },
    append: () => ++log.appended,
    cut: () => ++log.appended,
    listen: (listener: LogListener) => listen?.(listener)
  }
  return log as typeof log & LogCore
}

describe("entry handlers' Effects", () => {
  const run = runEffectIn(Context.empty())

  it("run to their end at once, or fail as they say", () => {
    expect(run(Effect.succeed({ kind: "wait" }))).toEqual({ kind: "wait" })
    expect(run(Effect.fail({ code: "conflict", detail: "taken" }))).toEqual({
      kind: "fail",
      code: "conflict",
      detail: "taken"
    })
    expect(run(Effect.die(new Error("boom")))).toEqual({ failure: "Error: boom" })
  })

  it("are refused where they wait for real time", () => {
    expect(run(Effect.never)).toBe("async")
  })
})
